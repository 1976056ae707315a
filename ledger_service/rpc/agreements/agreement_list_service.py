"""The part of ContractService that lists contracts and plans."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import agreement_lists_pb2, contract_service_pb2_grpc
from ledger_service.application.ports import LogReader
from ledger_service.application.reading.agreement_lists import ContractFilter, list_contracts, list_plans
from ledger_service.application.reading.page_tokens import AgreementsToken, decode_token, encode_token
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.names import check_name, check_range
from ledger_service.rpc.agreements.contract_messages import write_contract, write_plan
from ledger_service.rpc.calls import Context

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1_000


class AgreementListServicer(contract_service_pb2_grpc.ContractServiceServicer):
    """Lists what was agreed."""

    _writer: Writer
    _reader: LogReader

    async def ListContracts(
        self, request: agreement_lists_pb2.ListContractsRequest, context: Context
    ) -> agreement_lists_pb2.ListContractsResponse:
        """List contracts by name."""
        named = {
            "customer": "customers",
            "wallet": "wallets",
            "plan": "plans",
            "rate_card": "rateCards",
        }
        for field, collection in named.items():
            if value := getattr(request, field):
                check_name(value, collection=collection, field=field)
        page = await list_contracts(
            self._reader,
            ContractFilter(request.customer, request.wallet, request.plan, request.rate_card),
            after=_after(request.page_token),
            limit=_limit(request.page_size),
            now=self._writer.now(),
        )
        return agreement_lists_pb2.ListContractsResponse(
            contracts=[write_contract(name, contract) for name, contract in page.items],
            next_page_token=_token(page.next_after),
        )

    async def ListPlans(
        self, request: agreement_lists_pb2.ListPlansRequest, context: Context
    ) -> agreement_lists_pb2.ListPlansResponse:
        """List plans by name, each in its newest version."""
        if request.rate_card:
            check_name(request.rate_card, collection="rateCards", field="rate_card")
        page = await list_plans(
            self._reader,
            request.rate_card,
            after=_after(request.page_token),
            limit=_limit(request.page_size),
        )
        return agreement_lists_pb2.ListPlansResponse(
            plans=[write_plan(name, plan.versions[-1]) for name, plan in page.items],
            next_page_token=_token(page.next_after),
        )


def _limit(asked: int) -> int:
    limit = asked or PAGE_SIZE_DEFAULT
    check_range(limit, low=1, high=PAGE_SIZE_MAX, field="page_size")
    return limit


def _after(page_token: str) -> str:
    return decode_token(page_token, AgreementsToken).after if page_token else ""


def _token(after: str) -> str:
    return encode_token(AgreementsToken(after)) if after else ""
