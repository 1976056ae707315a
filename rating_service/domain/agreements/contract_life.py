"""A contract after its signing: each change says what holds from an instant on, and moves nothing earlier."""

from __future__ import annotations

from datetime import datetime

import msgspec

from rating_service.domain.agreements.agreement import Contract, ContractPhase, PlanFrom
from rating_service.domain.agreements.agreement_events import (
    ContractEnded,
    ContractPhaseScheduled,
    PlanChanged,
    TrialExtended,
)
from rating_service.domain.agreements.cycles import CycleBounds

Change = ContractPhaseScheduled | TrialExtended | PlanChanged | ContractEnded
CHANGE_TYPES: dict[str, type[Change]] = {
    "contract.ContractPhaseScheduled.v1": ContractPhaseScheduled,
    "contract.TrialExtended.v1": TrialExtended,
    "contract.PlanChanged.v1": PlanChanged,
    "contract.ContractEnded.v1": ContractEnded,
}
"""By topic."""


def changed(contract: Contract, change: Change) -> Contract:
    """Return a contract after a change."""
    match change:
        case ContractEnded(end_time=end_time):
            return _with_phases(contract, end_time, ())
        case PlanChanged(from_time=from_time, phases=phases):
            later = PlanFrom(from_time, change.plan, change.plan_version)
            changes = (*(each for each in contract.plan_changes if each.from_time < from_time), later)
            return msgspec.structs.replace(_with_phases(contract, from_time, phases), plan_changes=changes)
        case ContractPhaseScheduled(from_time=from_time, phases=phases):
            return _with_phases(contract, from_time, phases)
        case TrialExtended(from_time=from_time, phases=phases):
            return _with_phases(contract, from_time, phases)


def end_of(contract: Contract) -> datetime | None:
    """Return the first instant at which nothing is agreed any more, or None if there is none."""
    return contract.phases[-1].to_time if contract.phases else contract.start_time


def closing_time(contract: Contract, cycle: CycleBounds) -> datetime:
    """Return when a cycle is over for a contract: at its end, or at the contract's if that comes within it."""
    end = end_of(contract)
    return end if end is not None and cycle.start_time < end < cycle.end_time else cycle.end_time


def plan_at(contract: Contract, instant: datetime) -> PlanFrom:
    """Return the plan version that a contract follows at an instant."""
    found = PlanFrom(contract.start_time, contract.plan, contract.plan_version)
    for change in contract.plan_changes:
        if change.from_time <= instant:
            found = change
    return found


def _with_phases(contract: Contract, from_time: datetime, later: tuple[ContractPhase, ...]) -> Contract:
    earlier = [
        phase
        if phase.to_time is not None and phase.to_time <= from_time
        else msgspec.structs.replace(phase, to_time=from_time)
        for phase in contract.phases
        if phase.from_time < from_time
    ]
    return msgspec.structs.replace(contract, phases=(*earlier, *later))
