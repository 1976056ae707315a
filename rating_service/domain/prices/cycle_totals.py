"""The running totals of a contract's cycles, as the wallet counts them.

A usage counts in the cycle that holds its effective time, whenever it comes: late usage goes on from the total of
its own cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from typing import NamedTuple

from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.price_models.running_total import NOTHING, RunningTotal, advanced
from rating_service.domain.usage import Charge, TotalBefore


class MeterKey(NamedTuple):
    """A meter of a contract in the cycle that begins at an instant."""

    contract: str
    cycle_start_time: datetime
    meter: str


Counts = Mapping[MeterKey, RunningTotal]
"""What was counted. A meter that is not there has seen nothing."""
CycleOf = Callable[[Contract, datetime], CycleBounds]


def cycle_of(contract: Contract, instant: datetime) -> CycleBounds:
    """Return the cycle of a contract that holds an instant."""
    return cycle_at(contract.cycle, instant)


class CountedTotals:
    """Totals of the cycle of a contract that holds an instant. Nothing is looked up before it is asked."""

    __slots__ = ("_contract", "_counts", "_cycle_of", "_instant")

    def __init__(
        self, contract: Contract, instant: datetime, counts: Counts, cycle_of: CycleOf = cycle_of
    ) -> None:
        """Tell from counts."""
        self._contract = contract
        self._instant = instant
        self._counts = counts
        self._cycle_of = cycle_of

    def before(self, dimension: str, meter: str) -> TotalBefore:  # noqa: ARG002 # told totals need it
        """Return what was counted of a meter; it counts one dimension, so its name says all."""
        cycle = self._cycle_of(self._contract, self._instant)
        total = self._counts.get(MeterKey(self._contract.name, cycle.start_time, meter), NOTHING)
        return TotalBefore(meter, total.quantity, total.usages, cycle.start_time, cycle.end_time)


def key_of(contract: str, total: TotalBefore) -> MeterKey:
    """Return what a total counts. It must name its cycle."""
    assert total.cycle_start_time is not None, "totals of recorded usage name their cycle"
    return MeterKey(contract, total.cycle_start_time, total.meter)


def count(counts: MutableMapping[MeterKey, RunningTotal], charge: Charge) -> None:
    """Count a charge that was recorded, or is expected to be."""
    for line in charge.lines:
        before = line.total_before
        if before is not None:
            counts[key_of(charge.contract, before)] = advanced(
                RunningTotal(before.quantity, before.usages), line.quantity
            )
