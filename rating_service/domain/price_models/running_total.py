"""Running totals: how much of a meter a billing period has seen.

A meter is what a rate counts together: the usage of one dimension that falls under one match of a rate card.
Its name says so, and stays the same from phase to phase, so that totals are carried; a phase that restarts the
counters begins meters of its own. The wallet counts them by (contract, cycle, meter); here they are a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rating_service.domain.agreements.agreement import Rate, RateCardPhase, Record
from rating_service.domain.agreements.price_terms import (
    Counters,
    MultiplierModel,
    PercentageModel,
    RateScope,
)
from rating_service.domain.usage import TotalBefore


class RunningTotal(Record, frozen=True):
    """Sum of the quantities of so many usages. No usage means that nothing was charged yet."""

    quantity: int = 0
    usages: int = 0


NOTHING = RunningTotal()


class Totals(Protocol):
    """What a cycle has seen before a usage."""

    def before(self, dimension: str, meter: str) -> TotalBefore:
        """Return the running total of a meter, which counts that dimension; 0 if nothing came before."""


class ToldTotals(Record, frozen=True):
    """Totals that somebody who asks for a price tells, by dimension. What is not there begins at nothing."""

    by_dimension: Mapping[str, RunningTotal]

    def before(self, dimension: str, meter: str) -> TotalBefore:
        """Return the total that was told."""
        total = self.by_dimension.get(dimension, NOTHING)
        return TotalBefore(meter, total.quantity, total.usages)


NO_TOTALS = ToldTotals({})


def advanced(total: RunningTotal, quantity: int) -> RunningTotal:
    """Return the total after one more usage."""
    return RunningTotal(total.quantity + quantity, total.usages + 1)


def counts_over_cycle(rate: Rate) -> bool:
    """Tell whether what a usage costs depends on the usages before it in the cycle."""
    if rate.scope is RateScope.USAGE:
        return False
    if rate.free_units or rate.cycle_minimum or rate.cycle_maximum:
        return True
    match rate.price_model:
        case None | MultiplierModel():
            return False
        case PercentageModel(free_usages=free_usages):
            return free_usages > 0
        case _:
            return True


def meter_of(rate: Rate, *, root: str) -> str:
    """Return the name of a rate's meter. `root` is that of `meter_root`."""
    match = ",".join(f"{name}={pattern}" for name, pattern in sorted(rate.match.items()))
    return f"{root}:{rate.dimension}{{{match}}}"


def meter_root(card_name: str, phases: tuple[RateCardPhase, ...], phase: RateCardPhase) -> str:
    """Return where the counters of a phase began: the card, or the last phase that restarted them.

    `phases` are those of the card, in order of their beginnings.
    """
    restarted = [
        each.name
        for each in phases
        if each.counters is Counters.RESTART and each.from_time <= phase.from_time
    ]
    return restarted[-1] if restarted else card_name
