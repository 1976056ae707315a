"""Fees of a cycle: base fee and seats, in proportion to time where they change.

A fee is that of a whole cycle. What applies when the cycle begins is charged in full. Where it ends or changes in
mid-cycle the unused rest is given back (PRORATION_CREDIT), and what applies from there on is charged for the rest
(PRORATION_CHARGE), whether the reason is another plan, a scheduled phase, a trial's end, other seats, or that the
contract begins or ends. So what a cycle costs is each fee times its exact share of the cycle, and no credit exceeds
what was charged before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Final, NamedTuple

from rating_service.domain.agreements.agreement import Money, PlanPhase
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.agreements.stretches import Run, Stretch, runs
from rating_service.domain.documents.invoice_lines import LineKey, LineKind
from rating_service.domain.invoicing.exact_lines import ExactLine
from rating_service.domain.invoicing.proration import share_of_time

FEES: Final = (LineKind.BASE_FEE, LineKind.SEATS)
FEE_KINDS: Final = frozenset({*FEES, LineKind.PRORATION_CREDIT, LineKind.PRORATION_CHARGE})
"""Lines of fees, prorated or not."""


class Fee(NamedTuple):
    """The fee of a whole cycle, and for how many seats it is: 0 for the base fee."""

    currency_code: str
    nanos: int
    seats: int = 0


def fee_of(terms: PlanPhase, kind: LineKind) -> Fee | None:
    """Return the fee of a whole cycle under some terms, None if they have none."""
    if kind is LineKind.BASE_FEE:
        return _base_fee(terms.base_fee)
    if terms.seat_fee is None or not terms.seats:
        return None
    return Fee(terms.seat_fee.currency_code, terms.seat_fee.nanos * terms.seats, terms.seats)


def fee_lines(parts: Sequence[Stretch], cycle: CycleBounds) -> list[ExactLine]:
    """Return the fees of a cycle, in order of time, those of the base fee first."""
    lines: list[ExactLine] = []
    for kind in FEES:
        for run in runs(parts, partial(fee_of, kind=kind)):
            if run.value is not None:
                lines += _lines_of_run(run, run.value, kind, cycle)
    return lines


def share_of_cycle(from_time: datetime, to_time: datetime, cycle: CycleBounds) -> Fraction:
    """Return which part of a cycle a span is."""
    return share_of_time(from_time, to_time, whole_from=cycle.start_time, whole_to=cycle.end_time)


def fees_nanos(part: Stretch, cycle: CycleBounds) -> Fraction:
    """Return what the fees come to over a stretch of a cycle, exact."""
    fees = [fee_of(part.terms, kind) for kind in FEES]
    nanos = sum(fee.nanos for fee in fees if fee is not None)
    return nanos * share_of_cycle(part.from_time, part.to_time, cycle)


def _base_fee(fee: Money | None) -> Fee | None:
    return None if fee is None else Fee(fee.currency_code, fee.nanos)


def _lines_of_run(run: Run[Fee | None], fee: Fee, kind: LineKind, cycle: CycleBounds) -> list[ExactLine]:
    """Return the charge of a run's fee, and the credit of what it left unused."""
    begins_with_cycle = run.from_time == cycle.start_time
    charge = _line(run, fee, kind, kind if begins_with_cycle else LineKind.PRORATION_CHARGE, cycle)
    if run.to_time == cycle.end_time:
        return [charge]
    rest = run._replace(from_time=run.to_time)
    return [charge, _line(rest, fee, kind, LineKind.PRORATION_CREDIT, cycle)]


def _line(
    run: Run[Fee | None], fee: Fee, kind: LineKind, line_kind: LineKind, cycle: CycleBounds
) -> ExactLine:
    """Return a line over [run.from_time, end of the cycle)."""
    sign = -1 if line_kind is LineKind.PRORATION_CREDIT else 1
    key = LineKey(line_kind, run.terms.key)
    if line_kind is not kind:
        key = LineKey(line_kind, run.terms.key, prorated_kind=kind, from_time=run.from_time)
    return ExactLine(
        key,
        sign * fee.nanos * share_of_cycle(run.from_time, cycle.end_time, cycle),
        run.from_time,
        cycle.end_time,
        fee.currency_code,
        quantities={"seats": fee.seats} if fee.seats else {},
    )
