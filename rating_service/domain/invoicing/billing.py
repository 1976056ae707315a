"""The billing of a contract: how far its cycles are billed and their credit is granted, and when it is due again.

It is pure: given what is agreed and the time, it says what is to be done. All of it may be said again after any
break, by any number of services at once: positions in time only advance, and what is older changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from itertools import takewhile
from typing import Final, NamedTuple

import msgspec

from rating_service.domain.agreements.agreement import Contract, Record
from rating_service.domain.agreements.contract_life import closing_time, end_of
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.invoicing.allotted import Allotted, ended, replanned, with_amounts
from rating_service.domain.invoicing.included import allotments_of, cycles_of, grant_time
from rating_service.domain.invoicing.invoice_advance import fees_in_advance

PLANNED_CYCLES_MAX: Final = 60
"""Cycles whose credit is planned at once; a contract that was signed years late takes several turns."""
RETRY_MIN: Final = timedelta(minutes=1)
RETRY_MAX: Final = timedelta(hours=1)
"""Pause before what was refused is tried again: doubles with each refusal in a row."""


class CycleState(Enum):
    """How far a cycle is: it goes on, it has ended and waits for late usage, or it has its invoice."""

    OPEN = "OPEN"
    DRAFT = "DRAFT"
    ISSUED = "ISSUED"


class Failure(Record, frozen=True):
    """What kept a contract's billing from going on; without a cycle it was the included credit."""

    reason: str
    message: str
    fail_time: datetime
    attempts: int = 1
    cycle_start_time: datetime | None = None


class Waits(NamedTuple):
    """How long billing waits: `grace` after a cycle for its usage, `lateness` for the latest usage that is taken."""

    grace: timedelta
    lateness: timedelta


class ContractBilling(Record, frozen=True):
    """How far the billing of a contract is. `change_position` is that of the newest page that changed what is due.

    Every cycle that ends by `billed_until` has its invoice (after a contract's end only those with something to
    adjust), and the credit of every cycle that ends by
    `allotted_until` was planned. `plan_position` is the position of the log that the plan knew. No `due_time` means
    that nothing is to be done any more.
    """

    contract: str
    due_time: datetime | None
    change_position: int = 0
    billed_until: datetime | None = None
    allotted_until: datetime | None = None
    plan_position: int = 0
    allotted: tuple[Allotted, ...] = ()
    failure: Failure | None = None

    @property
    def open_allotted(self) -> list[Allotted]:
        """Allotments of which the ledger has yet to hear."""
        return [each for each in self.allotted if each.is_open]


def planned(billing: ContractBilling, contract: Contract, now: datetime, position: int) -> ContractBilling:
    """Return a billing with the credit that is to be granted by now, given what is agreed at a position of the log.

    Cycles that have ended are planned once and then left alone; what is agreed for others may change at any time.
    """
    if position < billing.plan_position:
        return billing
    kept = [each for each in billing.allotted if not ended(each, now)]
    cycles = {each.allotment.cycle for each in kept if each.allotment.cycle.end_time > now}
    begin = contract.start_time if billing.allotted_until is None else billing.allotted_until
    fresh = [
        cycle for cycle, _ in zip(_to_grant(contract, begin, now), range(PLANNED_CYCLES_MAX), strict=False)
    ]
    replaced = [
        each
        for cycle in sorted(cycles.union(fresh), key=lambda each: each.start_time)
        for each in replanned(_of(cycle, kept), allotments_of(contract, cycle))
    ]
    left = [each for each in kept if each.allotment.cycle not in cycles]
    return msgspec.structs.replace(
        billing,
        allotted=(*left, *replaced),
        allotted_until=fresh[-1].end_time if fresh else billing.allotted_until,
        plan_position=position,
    )


def changed_cycle(
    billing: ContractBilling,
    cycle: CycleBounds,
    change: Callable[[tuple[Allotted, ...]], tuple[Allotted, ...]],
) -> ContractBilling:
    """Return a billing with the allotments of one cycle changed, and the amounts that are known by that."""
    others = tuple(each for each in billing.allotted if each.allotment.cycle != cycle)
    after = with_amounts(change(_of(cycle, billing.allotted)))
    return msgspec.structs.replace(billing, allotted=others + after)


def due_cycles(
    billing: ContractBilling, contract: Contract, now: datetime, waits: Waits
) -> Iterator[CycleBounds]:
    """Yield the cycles that are to be invoiced by now, oldest first: their grace is over."""
    return takewhile(
        lambda cycle: issue_time(contract, cycle, waits.grace) <= now, _to_bill(billing, contract, waits)
    )


def issue_time(contract: Contract, cycle: CycleBounds, grace: timedelta) -> datetime:
    """Return when a cycle is invoiced: its grace begins where it is over for the contract."""
    return closing_time(contract, cycle) + grace


def owes_advance(billing: ContractBilling, contract: Contract) -> bool:
    """Say whether the fees of a contract's first cycle are to be billed when it begins; once it is billed, not."""
    first = cycle_at(contract.cycle, contract.start_time)
    return billing.billed_until is None and bool(fees_in_advance(contract, first))


def next_time(billing: ContractBilling, contract: Contract, now: datetime, waits: Waits) -> datetime | None:
    """Return when there is something to do next, None if never: an invoice, or credit to grant.

    What waits for the ledger makes it due since the contract began. Fees in advance of a first cycle that has begun by
    now were seen to.
    """
    if billing.open_allotted:
        return contract.start_time
    to_bill = next(_to_bill(billing, contract, waits), None)
    to_allot = next(cycles_of(contract, billing.allotted_until or contract.start_time), None)
    instants = [] if to_bill is None else [issue_time(contract, to_bill, waits.grace)]
    instants += [] if to_allot is None else [grant_time(contract, to_allot)]
    instants += [contract.start_time] if contract.start_time > now and owes_advance(billing, contract) else []
    return min(instants, default=None)


def retry_time(failure: Failure) -> datetime:
    """Return when what failed is tried again."""
    doublings = min(failure.attempts - 1, RETRY_MAX // RETRY_MIN)
    return failure.fail_time + min(RETRY_MIN * (1 << doublings), RETRY_MAX)


def failed(before: Failure | None, failure: Failure) -> Failure:
    """Return a failure that counts those before it in a row."""
    attempts = 1 if before is None else before.attempts + 1
    return msgspec.structs.replace(failure, attempts=attempts)


def state_of(
    contract: Contract,
    cycle: CycleBounds,
    billing: ContractBilling,
    now: datetime,
    *,
    is_issued: bool = False,
) -> CycleState:
    """Return how far a cycle of a contract is at an instant."""
    if is_issued or (billing.billed_until is not None and cycle.end_time <= billing.billed_until):
        return CycleState.ISSUED
    return CycleState.DRAFT if closing_time(contract, cycle) <= now else CycleState.OPEN


def cycles_until(contract: Contract, from_time: datetime, now: datetime) -> Iterator[CycleBounds]:
    """Yield the cycles of a contract that have begun by now, from the one that holds an instant."""
    return takewhile(lambda cycle: cycle.start_time <= now, cycles_of(contract, from_time))


def _to_bill(billing: ContractBilling, contract: Contract, waits: Waits) -> Iterator[CycleBounds]:
    """Yield the cycles that are not billed yet, oldest first; for ever if the contract has no end.

    Those after a contract's end may have something to adjust, up to the one in which its last usage becomes too late.
    """
    end = end_of(contract)
    begin = max(billing.billed_until or contract.start_time, contract.start_time)
    cycle = cycle_at(contract.cycle, begin)
    while end is None or cycle.start_time < end + waits.lateness:
        yield cycle
        cycle = cycle_at(contract.cycle, cycle.end_time)


def _to_grant(contract: Contract, begin: datetime, now: datetime) -> Iterator[CycleBounds]:
    return takewhile(lambda cycle: grant_time(contract, cycle) <= now, cycles_of(contract, begin))


def _of(cycle: CycleBounds, allotted: list[Allotted] | tuple[Allotted, ...]) -> tuple[Allotted, ...]:
    return tuple(each for each in allotted if each.allotment.cycle == cycle)
