"""Changes of contracts: requests read into commands, events written for the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import contract_changes_pb2
from ledger_service.domain.commands import ChangePlan, EndContract, ExtendTrial, ScheduleContractPhase
from ledger_service.domain.events import (
    ContractEnded,
    ContractPhaseScheduled,
    Event,
    PlanChanged,
    TrialExtended,
)
from ledger_service.domain.names import check_idempotency_key, check_name
from ledger_service.domain.refusals import FieldRequired, ValueUnspecified
from ledger_service.domain.values import ChangeTiming
from ledger_service.rpc.agreements.contract_messages import read_plan_phase, write_contract_phase
from ledger_service.rpc.values import read_time, write_time

TIMING: Final = {
    contract_changes_pb2.CHANGE_TIMING_AT_ONCE: ChangeTiming.AT_ONCE,
    contract_changes_pb2.CHANGE_TIMING_AT_CYCLE_END: ChangeTiming.AT_CYCLE_END,
}


def read_schedule(
    request: contract_changes_pb2.ScheduleContractPhaseRequest, wallet: str
) -> ScheduleContractPhase:
    """Return the command. Raises Refusal."""
    paths = tuple(sorted(set(request.update_mask.paths)))
    return ScheduleContractPhase(
        contract=request.name,
        wallet=wallet,
        paths=paths,
        terms=read_plan_phase(request.terms, "terms", paths),
        from_time=_time(request.from_time, "from_time") if request.HasField("from_time") else None,
        replace_later=request.replace_later,
    )


def read_extend_trial(request: contract_changes_pb2.ExtendTrialRequest, wallet: str) -> ExtendTrial:
    """Return the command. Raises Refusal."""
    if not request.key:
        raise FieldRequired("key is required", field="key")
    if not request.HasField("end_time"):
        raise FieldRequired("end_time is required", field="end_time")
    return ExtendTrial(request.name, wallet, request.key, _time(request.end_time, "end_time"))


def read_change_plan(request: contract_changes_pb2.ChangePlanRequest, wallet: str) -> ChangePlan:
    """Return the command. Raises Refusal."""
    check_name(request.plan, collection="plans", field="plan")
    timing = TIMING.get(request.timing)
    if timing is None:
        raise ValueUnspecified("timing must be AT_ONCE or AT_CYCLE_END", field="timing")
    return ChangePlan(
        contract=request.name,
        wallet=wallet,
        plan=request.plan,
        plan_version=request.plan_version,
        timing=timing,
        from_time=_time(request.from_time, "from_time") if request.HasField("from_time") else None,
        take_trial=request.take_trial,
        expected_change_version=request.expected_change_version,
    )


def read_end_contract(request: contract_changes_pb2.EndContractRequest, wallet: str) -> EndContract:
    """Return the command. Raises Refusal."""
    end_time = _time(request.end_time, "end_time") if request.HasField("end_time") else None
    return EndContract(request.name, wallet, end_time)


def check_change(name: str, idempotency_key: str, *, validate_only: bool = False) -> None:
    """Refuse what no change of a contract can be asked with."""
    check_name(name, collection="contracts", field="name")
    if not validate_only:
        check_idempotency_key(idempotency_key)


def write_change(contract: str, event: Event) -> contract_changes_pb2.ContractChange:
    """Return what a change records."""
    change = contract_changes_pb2.ContractChange(contract=contract)
    if isinstance(event, ContractEnded):
        change.from_time.CopyFrom(write_time(event.end_time))
        return change
    assert isinstance(event, ContractPhaseScheduled | TrialExtended | PlanChanged)
    change.from_time.CopyFrom(write_time(event.from_time))
    change.phases.extend(write_contract_phase(phase) for phase in event.phases)
    if isinstance(event, PlanChanged):
        change.plan = event.plan
        change.plan_version = event.plan_version
    return change


def _time(timestamp: Timestamp, field: str) -> datetime:
    return read_time(timestamp, field=field)
