"""RateCardService and ContractService."""

from __future__ import annotations

from typing import TypeVar

from credits.ledger.v1 import (
    contract_changes_pb2,
    contract_service_pb2,
    rate_card_service_pb2,
    rate_card_service_pb2_grpc,
    rerating_pb2,
)
from ledger_service.application.ports import LogReader
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.plan import Plan
from ledger_service.domain.agreement.rate_card import RateCard, phase_of
from ledger_service.domain.commands import AnyCommand, Request
from ledger_service.domain.events import (
    ContractSigned,
    PlanPublished,
    RateCardCreated,
    RateCardPhaseProposed,
    RateCardPhaseWithdrawn,
)
from ledger_service.domain.names import check_name
from ledger_service.domain.refusals import ContractNotFound, PlanNotFound, RateCardNotFound
from ledger_service.rpc.agreements.agreement_list_service import AgreementListServicer
from ledger_service.rpc.agreements.agreement_messages import (
    read_accept_phase,
    read_create_rate_card,
    read_publish_phase,
    read_reject_phase,
    read_withdraw_phase,
    write_phase,
    write_rate_card,
)
from ledger_service.rpc.agreements.billing_record_service import BillingRecordServicer
from ledger_service.rpc.agreements.contract_change_service import ContractChangeServicer
from ledger_service.rpc.agreements.contract_messages import (
    read_publish_plan,
    read_sign_contract,
    write_contract,
    write_plan,
)
from ledger_service.rpc.calls import Context, actor_of

E = TypeVar("E", RateCardCreated, RateCardPhaseWithdrawn, PlanPublished, ContractSigned)


class RateCardServicer(rate_card_service_pb2_grpc.RateCardServiceServicer):
    """Publishes prices."""

    def __init__(self, writer: Writer) -> None:
        """Serve from a writer."""
        self._writer = writer

    async def CreateRateCard(
        self, request: rate_card_service_pb2.CreateRateCardRequest, context: Context
    ) -> rate_card_service_pb2.CreateRateCardResponse:
        """Create a rate card."""
        command = read_create_rate_card(request)
        outcome = await _submit(self._writer, command, request.idempotency_key, context)
        created = _event(outcome, RateCardCreated)
        card = RateCard(created.asset, created.display_name, created.unit_definitions)
        return rate_card_service_pb2.CreateRateCardResponse(
            rate_card=write_rate_card(outcome.stream, card),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def PublishRateCardPhase(
        self, request: rate_card_service_pb2.PublishRateCardPhaseRequest, context: Context
    ) -> rate_card_service_pb2.PublishRateCardPhaseResponse:
        """Publish a phase."""
        outcome = await _submit(self._writer, read_publish_phase(request), request.idempotency_key, context)
        phase = phase_of(outcome.fact.event)
        assert phase is not None, "a publication records a phase"
        return rate_card_service_pb2.PublishRateCardPhaseResponse(
            phase=write_phase(outcome.stream, phase),
            replayed=outcome.replayed,
            position=outcome.position,
            proposed=isinstance(outcome.fact.event, RateCardPhaseProposed),
        )

    async def AcceptRateCardPhase(
        self, request: rerating_pb2.AcceptRateCardPhaseRequest, context: Context
    ) -> rerating_pb2.AcceptRateCardPhaseResponse:
        """Accept a phase that is proposed."""
        outcome = await _submit(self._writer, read_accept_phase(request), request.idempotency_key, context)
        return rerating_pb2.AcceptRateCardPhaseResponse(
            name=request.name, replayed=outcome.replayed, position=outcome.position
        )

    async def RejectRateCardPhase(
        self, request: rerating_pb2.RejectRateCardPhaseRequest, context: Context
    ) -> rerating_pb2.RejectRateCardPhaseResponse:
        """Withdraw the proposal of a phase."""
        outcome = await _submit(self._writer, read_reject_phase(request), request.idempotency_key, context)
        return rerating_pb2.RejectRateCardPhaseResponse(
            name=request.name, replayed=outcome.replayed, position=outcome.position
        )

    async def WithdrawRateCardPhase(
        self, request: contract_changes_pb2.WithdrawRateCardPhaseRequest, context: Context
    ) -> contract_changes_pb2.WithdrawRateCardPhaseResponse:
        """Withdraw a phase that has not begun."""
        outcome = await _submit(self._writer, read_withdraw_phase(request), request.idempotency_key, context)
        withdrawn = _event(outcome, RateCardPhaseWithdrawn)
        return contract_changes_pb2.WithdrawRateCardPhaseResponse(
            name=f"{outcome.stream}/phases/{withdrawn.phase}",
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def GetRateCard(
        self, request: rate_card_service_pb2.GetRateCardRequest, context: Context
    ) -> rate_card_service_pb2.GetRateCardResponse:
        """Read a rate card."""
        check_name(request.name, collection="rateCards", field="name")
        card = (await self._writer.read(request.name)).state
        if not isinstance(card, RateCard):
            raise RateCardNotFound(f"{request.name} does not exist", field="name")
        return rate_card_service_pb2.GetRateCardResponse(rate_card=write_rate_card(request.name, card))


class ContractServicer(ContractChangeServicer, BillingRecordServicer, AgreementListServicer):
    """Publishes plans and binds customers to them."""

    def __init__(self, writer: Writer, reader: LogReader) -> None:
        """Serve from a writer and the log."""
        self._reader = reader
        self._writer = writer

    async def PublishPlan(
        self, request: contract_service_pb2.PublishPlanRequest, context: Context
    ) -> contract_service_pb2.PublishPlanResponse:
        """Publish a plan version."""
        outcome = await _submit(self._writer, read_publish_plan(request), request.idempotency_key, context)
        return contract_service_pb2.PublishPlanResponse(
            plan=write_plan(outcome.stream, _event(outcome, PlanPublished)),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def GetPlan(
        self, request: contract_service_pb2.GetPlanRequest, context: Context
    ) -> contract_service_pb2.GetPlanResponse:
        """Read a plan version."""
        check_name(request.name, collection="plans", field="name")
        plan = (await self._writer.read(request.name)).state
        if not isinstance(plan, Plan):
            raise PlanNotFound(f"{request.name} does not exist", field="name")
        version = request.version or len(plan.versions)
        if not 1 <= version <= len(plan.versions):
            raise PlanNotFound(f"{request.name} has no version {version}", field="version")
        return contract_service_pb2.GetPlanResponse(plan=write_plan(request.name, plan.versions[version - 1]))

    async def SignContract(
        self, request: contract_service_pb2.SignContractRequest, context: Context
    ) -> contract_service_pb2.SignContractResponse:
        """Sign a contract."""
        outcome = await _submit(self._writer, read_sign_contract(request), request.idempotency_key, context)
        return contract_service_pb2.SignContractResponse(
            contract=write_contract(outcome.stream, _as_signed(_event(outcome, ContractSigned))),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def GetContract(
        self, request: contract_service_pb2.GetContractRequest, context: Context
    ) -> contract_service_pb2.GetContractResponse:
        """Read a contract."""
        check_name(request.name, collection="contracts", field="name")
        contract = (await self._writer.read(request.name)).state
        if not isinstance(contract, Contract):
            raise ContractNotFound(f"{request.name} does not exist", field="name")
        return contract_service_pb2.GetContractResponse(contract=write_contract(request.name, contract))


def _as_signed(signed: ContractSigned) -> Contract:
    return Contract(signed, signed.plan, signed.plan_version, signed.phases)


async def _submit(writer: Writer, command: AnyCommand, key: str, context: Context) -> Outcome:
    outcome = await writer.submit(Request(command, key, actor_of(context)))
    assert outcome is not None, "a keyed command records something"
    return outcome


def _event(outcome: Outcome, kind: type[E]) -> E:
    event = outcome.fact.event
    assert isinstance(event, kind)
    return event
