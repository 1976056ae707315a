"""Bills of a contract over a span: now by its own terms, and under each candidate.

A bill is the sum over the contract's cycles of what `plan_bill` says, each rounded by itself. The terms of a cycle are
those in force when it begins, or when the contract does, as on an invoice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from rating_service.domain.agreements.agreement import Contract, Money, PlanPhase
from rating_service.domain.agreements.catalogue import find_contract_phase
from rating_service.domain.agreements.contract_life import end_of
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.simulation.amounts import percent_text, whole_units
from rating_service.domain.simulation.candidate import Candidate
from rating_service.domain.simulation.cells import Cell
from rating_service.domain.simulation.outcome import Bill
from rating_service.domain.simulation.plan_bill import plan_bill

_MICROSECOND: Final = timedelta(microseconds=1)


class Span(NamedTuple):
    """[from_time, to_time)."""

    from_time: datetime
    to_time: datetime


class Bills(NamedTuple):
    """What a contract owes now and under each candidate; None where nothing has a price."""

    now: Money | None
    simulated: tuple[Money | None, ...]


def bills_of(
    contract: Contract,
    span: Span,
    candidates: Sequence[Candidate],
    cells: Mapping[datetime, Cell],
    *,
    baseline: PlanPhase | None = None,
) -> Bills:
    """Return the bills of a contract; `cells` are its usage by the beginning of the cycle.

    `baseline` are terms in place of the contract's own. Refuses MIXED_CURRENCIES.
    """
    now = _Sum()
    simulated = [_Sum() for _ in candidates]
    for cycle, share in _cycles(contract, span):
        cell = cells.get(cycle.start_time)
        own = baseline or _terms_of(contract, cycle)
        now.add(own, contract, whole_units(cell.now) if cell else 0, share)
        for place, (candidate, total) in enumerate(zip(candidates, simulated, strict=True)):
            used = whole_units(cell.sides[place].amount) if cell else 0
            total.add(candidate.terms or own, contract, used, share)
    return Bills(now.money(), tuple(total.money() for total in simulated))


def compared(bills: Bills) -> tuple[tuple[Bill, ...], int]:
    """Return the bills beside the one of now, and the place of the candidate that is cheapest, -1 for now."""
    now = bills.now
    told: list[Bill] = []
    best, best_nanos = -1, now.nanos if now else 0
    for place, bill in enumerate(bills.simulated):
        if bill is None:
            continue
        if now is None or bill.currency_code != now.currency_code:
            told.append(Bill(place, bill, 0, ""))
            continue
        difference = bill.nanos - now.nanos
        told.append(Bill(place, bill, difference, percent_text(difference, now.nanos)))
        if bill.nanos < best_nanos:
            best, best_nanos = place, bill.nanos
    return tuple(told), best


class _Sum:
    """Money that is added up; terms that change their currency on the way leave no sum."""

    __slots__ = ("currencies", "nanos")

    def __init__(self) -> None:
        self.currencies: set[str] = set()
        self.nanos = 0

    def add(self, terms: PlanPhase | None, contract: Contract, used_units: int, share: Fraction) -> None:
        """Add a cycle's bill."""
        bill = None if terms is None else plan_bill(terms, contract.asset, used_units=used_units, share=share)
        if bill is not None:
            self.currencies.add(bill.currency_code)
            self.nanos += bill.nanos

    def money(self) -> Money | None:
        """Return the sum, None if there is none."""
        if len(self.currencies) != 1:
            return None
        return Money(next(iter(self.currencies)), self.nanos)


def _terms_of(contract: Contract, cycle: CycleBounds) -> PlanPhase | None:
    phase = find_contract_phase(contract, max(cycle.start_time, contract.start_time))
    return phase.terms if phase else None


def _cycles(contract: Contract, span: Span) -> list[tuple[CycleBounds, Fraction]]:
    """Return the cycles of a span in which the contract is in force, and which share of each."""
    ends = end_of(contract)
    begin = max(span.from_time, contract.start_time)
    end = span.to_time if ends is None else min(span.to_time, ends)
    found: list[tuple[CycleBounds, Fraction]] = []
    while begin < end:
        cycle = cycle_at(contract.cycle, begin)
        inside = min(end, cycle.end_time) - begin
        found.append(
            (cycle, Fraction(inside // _MICROSECOND, (cycle.end_time - cycle.start_time) // _MICROSECOND))
        )
        begin = cycle.end_time
    return found
