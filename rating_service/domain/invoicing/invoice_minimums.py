"""What a cycle costs at least and at most: true-up to a minimum, and relief above a maximum.

Both bound what the cycle's own fees and overage come to before tax. A bound is that of a whole cycle and is prorated
to the run of phases that have it, by exact time; what is spent counts in the run in which it was spent. Bounds that
stay the same from phase to phase bound them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from rating_service.domain.agreements.agreement import Money
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.agreements.stretches import Run, Stretch, runs
from rating_service.domain.documents.invoice_lines import LineKey, LineKind
from rating_service.domain.invoicing.exact_lines import ExactLine
from rating_service.domain.invoicing.invoice_fees import fees_nanos, share_of_cycle


def bound_lines(
    parts: Sequence[Stretch], usage_nanos: Mapping[int, Fraction], cycle: CycleBounds
) -> list[ExactLine]:
    """Return the MINIMUM and MAXIMUM lines of a cycle. `usage_nanos` is by place of the stretch."""
    spent = [fees_nanos(part, cycle) + usage_nanos.get(place, 0) for place, part in enumerate(parts)]
    lines = []
    for run in runs(parts, lambda terms: terms.minimum_spend):
        missing = _bound(run, cycle) - _spent_in(run, parts, spent)
        if run.value is not None and missing > 0:
            lines.append(_line(LineKind.MINIMUM, run, missing))
    for run in runs(parts, lambda terms: terms.maximum_spend):
        excess = _spent_in(run, parts, spent) - _bound(run, cycle)
        if run.value is not None and excess > 0:
            lines.append(_line(LineKind.MAXIMUM, run, -excess))
    return lines


def _bound(run: Run[Money | None], cycle: CycleBounds) -> Fraction:
    nanos = run.value.nanos if run.value is not None else 0
    return nanos * share_of_cycle(run.from_time, run.to_time, cycle)


def _spent_in(run: Run[Money | None], parts: Sequence[Stretch], spent: Sequence[Fraction]) -> Fraction:
    inside = [
        nanos
        for part, nanos in zip(parts, spent, strict=True)
        if run.from_time <= part.from_time < run.to_time
    ]
    return sum(inside, Fraction(0))


def _line(kind: LineKind, run: Run[Money | None], exact: Fraction) -> ExactLine:
    assert run.value is not None, "only a bound has a line"
    key = LineKey(kind, run.terms.key, from_time=run.from_time)
    return ExactLine(key, exact, run.from_time, run.to_time, run.value.currency_code)
