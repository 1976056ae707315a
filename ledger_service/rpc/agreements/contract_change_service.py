"""The part of ContractService that changes contracts."""

from __future__ import annotations

from credits.ledger.v1 import contract_changes_pb2, contract_service_pb2_grpc
from ledger_service.application.procedures.dry_run import dry_run
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.commands import AnyCommand, Request
from ledger_service.domain.refusals import ContractNotFound
from ledger_service.rpc.agreements.contract_change_messages import (
    check_change,
    read_change_plan,
    read_end_contract,
    read_extend_trial,
    read_schedule,
    write_change,
)
from ledger_service.rpc.calls import Context, actor_of


class ContractChangeServicer(contract_service_pb2_grpc.ContractServiceServicer):
    """Changes contracts that are signed."""

    _writer: Writer

    async def ScheduleContractPhase(
        self, request: contract_changes_pb2.ScheduleContractPhaseRequest, context: Context
    ) -> contract_changes_pb2.ScheduleContractPhaseResponse:
        """Let a contract run under other terms from an instant on."""
        command = read_schedule(request, await self._wallet(request.name, request.idempotency_key))
        outcome = await self._change(command, request.idempotency_key, context)
        return contract_changes_pb2.ScheduleContractPhaseResponse(
            change=_change_of(outcome),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def ExtendTrial(
        self, request: contract_changes_pb2.ExtendTrialRequest, context: Context
    ) -> contract_changes_pb2.ExtendTrialResponse:
        """Let a phase that another follows end later."""
        command = read_extend_trial(request, await self._wallet(request.name, request.idempotency_key))
        outcome = await self._change(command, request.idempotency_key, context)
        return contract_changes_pb2.ExtendTrialResponse(
            change=_change_of(outcome),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def ChangePlan(
        self, request: contract_changes_pb2.ChangePlanRequest, context: Context
    ) -> contract_changes_pb2.ChangePlanResponse:
        """Let a contract follow another plan version."""
        wallet = await self._wallet(
            request.name, request.idempotency_key, validate_only=request.validate_only
        )
        command = read_change_plan(request, wallet)
        if request.validate_only:
            event = await dry_run(self._writer, command)
            return contract_changes_pb2.ChangePlanResponse(change=write_change(request.name, event))
        outcome = await self._change(command, request.idempotency_key, context)
        return contract_changes_pb2.ChangePlanResponse(
            change=_change_of(outcome),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def EndContract(
        self, request: contract_changes_pb2.EndContractRequest, context: Context
    ) -> contract_changes_pb2.EndContractResponse:
        """End a contract."""
        command = read_end_contract(request, await self._wallet(request.name, request.idempotency_key))
        outcome = await self._change(command, request.idempotency_key, context)
        return contract_changes_pb2.EndContractResponse(
            change=_change_of(outcome),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def _wallet(self, name: str, idempotency_key: str, *, validate_only: bool = False) -> str:
        """Return the wallet of a contract, which never changes."""
        check_change(name, idempotency_key, validate_only=validate_only)
        contract = (await self._writer.read(name)).state
        if not isinstance(contract, Contract):
            raise ContractNotFound(f"{name} does not exist", field="name")
        return contract.signed.wallet

    async def _change(self, command: AnyCommand, key: str, context: Context) -> Outcome:
        outcome = await self._writer.submit(Request(command, key, actor_of(context)))
        assert outcome is not None, "a keyed command records something"
        return outcome


def _change_of(outcome: Outcome) -> contract_changes_pb2.ContractChange:
    return write_change(outcome.stream, outcome.fact.event)
