"""Commitments: an amount that a customer undertakes to spend in a period of several cycles.

Usage money (overage before any bound) draws a commitment down, counted in the period in which it was used. What a
period costs beside the usage itself is a function of that sum alone:
- in arrears: what is missing to the amount, once the period is over (COMMITMENT);
- prepaid: the amount, as soon as the period begins (COMMITMENT), less the usage that it covers
  (COMMITMENT_DRAW_DOWN);
- in both: usage beyond the amount × (overage factor − 1) (COMMITMENT_OVERAGE).
An invoice bills by how much this function has grown since the invoices before it, so late usage and reversals need no
rule of their own, and the lines of a period add up to the function of all its usage, rounded once.

A period that the contract's end or another commitment cuts short is owed in proportion to its time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final, NamedTuple

from rating_service.domain.agreements.agreement import Commitment, Contract, Cycle, CycleInterval, Money
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.agreements.stretches import Run, Stretch, runs, stretches
from rating_service.domain.documents.invoice_document import CommitmentState
from rating_service.domain.documents.invoice_lines import LineKind
from rating_service.domain.exact import parse_exact
from rating_service.domain.invoicing.proration import share_of_time

COMMITMENT_KINDS: Final = (
    LineKind.COMMITMENT,
    LineKind.COMMITMENT_DRAW_DOWN,
    LineKind.COMMITMENT_OVERAGE,
)
_PERIOD: Final = re.compile(r"P([1-9][0-9]{0,3})([DWMY])", re.ASCII)
_INTERVALS: Final = {
    "D": CycleInterval.DAY,
    "W": CycleInterval.WEEK,
    "M": CycleInterval.MONTH,
    "Y": CycleInterval.YEAR,
}
_ALWAYS: Final = datetime.max.replace(tzinfo=UTC)


class CommitmentPeriod(NamedTuple):
    """One period of a commitment, [from_time, to_time). `share` is below 1 where it was cut short."""

    from_time: datetime
    to_time: datetime
    contract_phase: str
    terms: Commitment
    share: Fraction

    @property
    def amount(self) -> Fraction:
        """What is committed to, exact, in nanos."""
        return self.terms.amount.nanos * self.share


class CommitmentBill(NamedTuple):
    """What an invoice bills of a period: exact amounts by kind, and to what they come together, rounded."""

    period: CommitmentPeriod
    growth: dict[LineKind, Fraction]
    exact_total: Fraction
    state: CommitmentState


def periods_in(contract: Contract, span: CycleBounds) -> list[CommitmentPeriod]:
    """Return the periods that share time with a span, in order of time."""
    whole = stretches(contract, CycleBounds(contract.start_time, _ALWAYS))
    found = []
    for run in runs(whole, lambda terms: terms.commitment):
        if run.value is not None and run.from_time < span.end_time and run.to_time > span.start_time:
            found += _periods_of_run(contract, run, run.value, span)
    return found


def cuts_of(periods: Iterable[CommitmentPeriod]) -> list[datetime]:
    """Return the instants at which periods begin and end."""
    return [instant for period in periods for instant in (period.from_time, period.to_time)]


def usage_in(
    period: CommitmentPeriod, parts: Sequence[Stretch], usage_nanos: Mapping[int, Fraction]
) -> Fraction:
    """Return the usage money of the stretches that lie in a period."""
    inside = [
        usage_nanos.get(place, Fraction(0))
        for place, part in enumerate(parts)
        if period.from_time <= part.from_time < period.to_time
    ]
    return sum(inside, Fraction(0))


def bill_of(
    period: CommitmentPeriod,
    before: CommitmentState | None,
    used: Mapping[datetime, Fraction],
    *,
    over_from: datetime,
    running: bool = False,
) -> CommitmentBill:
    """Return what a period comes to, less what was billed of it before.

    `used` are the usage sums of cycles that this invoice knows anew, by their first instant. A period is over if it
    ends by `over_from`. Of a `running` cycle only what usage has caused is billed.
    """
    cycles = dict(before.cycles) if before else {}
    cycles |= {start.isoformat(): str(nanos) for start, nanos in used.items()}
    total = sum((Fraction(nanos) for nanos in cycles.values()), Fraction(0))
    costs = cost_of(period, total, is_over=period.to_time <= over_from)
    billed = {LineKind(kind): Fraction(nanos) for kind, nanos in before.billed.items()} if before else {}
    if running:
        costs[LineKind.COMMITMENT] = billed.get(LineKind.COMMITMENT, Fraction(0))
    growth = {kind: costs[kind] - billed.get(kind, Fraction(0)) for kind in COMMITMENT_KINDS}
    state = CommitmentState(
        from_time=period.from_time,
        to_time=period.to_time,
        amount=Money(period.terms.amount.currency_code, period.terms.amount.nanos),
        overage_factor=period.terms.overage_factor,
        prepaid=period.terms.prepaid,
        used_nanos=str(total),
        cycles=dict(sorted(cycles.items())),
        billed={kind.value: str(costs[kind]) for kind in COMMITMENT_KINDS if costs[kind]},
        billed_nanos=before.billed_nanos if before else 0,
    )
    return CommitmentBill(period, growth, sum(costs.values(), Fraction(0)), state)


def cost_of(period: CommitmentPeriod, used: Fraction, *, is_over: bool) -> dict[LineKind, Fraction]:
    """Return what a period costs beside its usage, by line kind, exact."""
    covered = min(used, period.amount)
    beyond = (used - covered) * (parse_exact(period.terms.overage_factor) - 1)
    if period.terms.prepaid:
        amounts = (period.amount, -covered, beyond)
    else:
        amounts = (period.amount - covered if is_over else Fraction(0), Fraction(0), beyond)
    return dict(zip(COMMITMENT_KINDS, amounts, strict=True))


def _periods_of_run(
    contract: Contract, run: Run[Commitment | None], terms: Commitment, span: CycleBounds
) -> list[CommitmentPeriod]:
    match = _PERIOD.fullmatch(terms.period)
    assert match is not None, "the ledger checks the period of a commitment"
    calendar = Cycle(_INTERVALS[match[2]], run.from_time, int(match[1]), contract.cycle.zone)
    found = []
    instant, end = max(run.from_time, span.start_time), min(run.to_time, span.end_time)
    while instant < end:
        whole = cycle_at(calendar, instant)
        until = min(whole.end_time, run.to_time)
        share = share_of_time(whole.start_time, until, whole_from=whole.start_time, whole_to=whole.end_time)
        found.append(CommitmentPeriod(whole.start_time, until, run.terms.key, terms, share))
        instant = whole.end_time
    return found
