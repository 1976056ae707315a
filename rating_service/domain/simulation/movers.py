"""Who moves: contracts by the difference that a candidate makes to them.

What counts is the bill if the candidate has a plan, and the units if it has none: then money follows from the same
terms as now, and included units may hide what a price does.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from rating_service.domain.agreements.agreement import Contract, Money
from rating_service.domain.exact import scaled_text
from rating_service.domain.simulation.amounts import EXACT_DECIMALS, percent_text
from rating_service.domain.simulation.outcome import Mover

NANO_DECIMALS = 9


class Change(NamedTuple):
    """What one contract costs now and under a candidate: integers of 10^-decimals; units if there is no currency."""

    contract: Contract
    now: int
    simulated: int
    decimals: int
    currency_code: str = ""

    @property
    def difference(self) -> int:
        """Simulated less now."""
        return self.simulated - self.now


class Movers(NamedTuple):
    """How many move which way, and the most extreme of them."""

    dearer_count: int
    cheaper_count: int
    moved_count: int
    winners: tuple[Mover, ...]
    losers: tuple[Mover, ...]


def movers_of(changes: Iterable[Change], *, threshold_percent: Fraction, movers_max: int) -> Movers:
    """Return who moves; of equals the name that comes first."""
    moving = [change for change in changes if change.difference]
    cheaper = [change for change in moving if change.difference < 0]
    dearer = [change for change in moving if change.difference > 0]
    winners = heapq.nsmallest(movers_max, cheaper, key=lambda each: (each.difference, each.contract.name))
    losers = heapq.nsmallest(movers_max, dearer, key=lambda each: (-each.difference, each.contract.name))
    return Movers(
        dearer_count=len(dearer),
        cheaper_count=len(cheaper),
        moved_count=sum(_is_moved(change, threshold_percent) for change in moving),
        winners=tuple(_mover(change, threshold_percent) for change in winners),
        losers=tuple(_mover(change, threshold_percent) for change in losers),
    )


def _is_moved(change: Change, threshold_percent: Fraction) -> bool:
    """Say whether a contract moves by more than the threshold; from nothing every move is one."""
    if not change.now:
        return True
    return abs(change.difference) * 100 > threshold_percent * abs(change.now)


def _mover(change: Change, threshold_percent: Fraction) -> Mover:
    return Mover(
        contract=change.contract.name,
        customer=change.contract.customer,
        now=scaled_text(change.now, change.decimals),
        simulated=scaled_text(change.simulated, change.decimals),
        difference=scaled_text(change.difference, change.decimals),
        difference_percent=percent_text(change.difference, change.now),
        is_moved=_is_moved(change, threshold_percent),
        currency_code=change.currency_code,
    )


def unit_change(contract: Contract, *, now: int, simulated: int) -> Change:
    """Return a change of units."""
    return Change(contract, now, simulated, EXACT_DECIMALS)


def bill_change(contract: Contract, *, now: Money, simulated: Money) -> Change:
    """Return a change of money in one currency."""
    return Change(contract, now.nanos, simulated.nanos, NANO_DECIMALS, now.currency_code)
