"""Included credit: what the phases of a contract include in a billing cycle, as allotments with exact spans.

The law. Phases that follow each other and include the same are one stretch. A stretch that is in force for part of a
cycle includes floor(units x its time in the cycle / the cycle's length), exact to the microsecond; it may be drawn
from where the stretch begins in the cycle until the cycle ends, or the contract if that is earlier. So what a cycle
includes is the sum over its stretches, never more than any of them would include alone for all of it, and what an
earlier phase included stays usable until the cycle's end: a change of plan takes no credit away. What is left when
the cycle ends rolls over as the stretch's phase says; credit that ends with its contract does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from rating_service.domain.agreements.agreement import Contract, ContractPhase, IncludedRollOver, Record
from rating_service.domain.agreements.contract_life import end_of
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at

MICROSECOND: Final = timedelta(microseconds=1)
LEAD: Final = timedelta(days=7)
"""How long before a cycle begins its credit is granted at the latest; the cycle that comes next is granted always."""


class Allotment(Record, frozen=True):
    """Credit that a stretch includes in a cycle: it may be drawn in [from_time, expire_time)."""

    cycle: CycleBounds
    from_time: datetime
    expire_time: datetime
    entitled_units: int
    roll_over: IncludedRollOver | None = None


def allotments_of(contract: Contract, cycle: CycleBounds) -> tuple[Allotment, ...]:
    """Return what a contract includes in a cycle, in order of time; what rounds down to nothing is left out."""
    end = end_of(contract)
    expire_time = cycle.end_time if end is None else min(cycle.end_time, end)
    length = (cycle.end_time - cycle.start_time) // MICROSECOND
    found = []
    for first, from_time, to_time in _stretches(contract, cycle):
        units = first.terms.included_units * ((to_time - from_time) // MICROSECOND) // length
        if units:
            roll_over = first.terms.included_roll_over if expire_time == cycle.end_time else None
            found.append(Allotment(cycle, from_time, expire_time, units, roll_over))
    return tuple(found)


def entitled_units(contract: Contract, cycle: CycleBounds) -> int:
    """Return what all stretches of a contract include in a cycle."""
    return sum(allotment.entitled_units for allotment in allotments_of(contract, cycle))


def cycles_of(contract: Contract, from_time: datetime) -> Iterator[CycleBounds]:
    """Yield the cycles in which a contract is in force, in order, from the one that holds an instant; for ever."""
    end = end_of(contract)
    cycle = cycle_at(contract.cycle, max(from_time, contract.start_time))
    while end is None or max(cycle.start_time, contract.start_time) < end:
        yield cycle
        cycle = cycle_at(contract.cycle, cycle.end_time)


def grant_time(contract: Contract, cycle: CycleBounds) -> datetime:
    """Return when a cycle's credit is granted, always before the cycle begins."""
    before = cycle_at(contract.cycle, cycle.start_time - MICROSECOND)
    return min(before.start_time, cycle.start_time - LEAD)


def _stretches(contract: Contract, cycle: CycleBounds) -> Iterator[tuple[ContractPhase, datetime, datetime]]:
    """Yield the first phase of each stretch, and from when to when the stretch is in force in the cycle."""
    first: ContractPhase | None = None
    from_time = to_time = cycle.start_time
    for phase in contract.phases:
        begin = max(phase.from_time, cycle.start_time)
        end = cycle.end_time if phase.to_time is None else min(phase.to_time, cycle.end_time)
        if begin >= end:
            continue
        if first is not None and begin == to_time and _include_the_same(first, phase):
            to_time = end
            continue
        if first is not None:
            yield first, from_time, to_time
        first, from_time, to_time = phase, begin, end
    if first is not None:
        yield first, from_time, to_time


def _include_the_same(one: ContractPhase, other: ContractPhase) -> bool:
    return (one.terms.included_units, one.terms.included_roll_over) == (
        other.terms.included_units,
        other.terms.included_roll_over,
    )
