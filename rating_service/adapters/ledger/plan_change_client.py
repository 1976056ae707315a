"""The ledger's part in changing plans over gRPC."""

from __future__ import annotations

from typing import Final

import grpc

from credits.ledger.v1 import contract_changes_pb2, contract_service_pb2, contract_service_pb2_grpc
from rating_service.adapters.ledger.ledger_client import call_ledger
from rating_service.adapters.ledger.ledger_messages import instant, write_instant
from rating_service.application.changing_plans.plan_change_ports import (
    ChangedPlan,
    PhaseSpan,
    PlanChangeOrder,
    Timing,
)

TIMING: Final = {
    Timing.AT_ONCE: contract_changes_pb2.CHANGE_TIMING_AT_ONCE,
    Timing.AT_CYCLE_END: contract_changes_pb2.CHANGE_TIMING_AT_CYCLE_END,
}


class PlanChangeClient:
    """PlanLedger over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Call over a channel."""
        self._contracts = contract_service_pb2_grpc.ContractServiceStub(channel)

    async def change_version(self, contract: str) -> int:
        """Return the version of the last event that changed what is agreed."""
        request = contract_service_pb2.GetContractRequest(name=contract)
        return (await call_ledger(self._contracts.GetContract, request)).contract.change_version

    async def try_change(self, order: PlanChangeOrder) -> ChangedPlan:
        """Return what a change would record; nothing is recorded."""
        request = _request(order)
        request.validate_only = True
        return _changed(await call_ledger(self._contracts.ChangePlan, request))

    async def change(self, order: PlanChangeOrder, *, key: str) -> ChangedPlan:
        """Change the plan of a contract, once for a key."""
        request = _request(order)
        request.idempotency_key = key
        return _changed(await call_ledger(self._contracts.ChangePlan, request))


def _request(order: PlanChangeOrder) -> contract_changes_pb2.ChangePlanRequest:
    request = contract_changes_pb2.ChangePlanRequest(
        name=order.contract,
        plan=order.plan,
        plan_version=order.plan_version,
        timing=TIMING[order.timing],
        take_trial=order.take_trial,
        expected_change_version=order.expected_change_version,
    )
    if order.from_time is not None:
        write_instant(request.from_time, order.from_time)
    return request


def _changed(answer: contract_changes_pb2.ChangePlanResponse) -> ChangedPlan:
    change = answer.change
    phases = [
        PhaseSpan(
            phase.key,
            instant(phase.from_time),
            instant(phase.to_time) if phase.HasField("to_time") else None,
        )
        for phase in change.phases
    ]
    return ChangedPlan(
        instant(change.from_time), change.plan, change.plan_version, phases, answer.replayed, answer.position
    )
