"""Whether anybody is priced by a rate card: a plan in its newest version, or a contract from now on."""

from __future__ import annotations

import sys
from typing import Final

import grpc

from credits.ledger.v1 import agreement_lists_pb2, contract_service_pb2_grpc
from rating_service.cli.connection import open_ledger

LOOK_SECONDS_MAX: Final = 5.0
"""How long one page may take: whoever checks a file need not have a ledger at hand."""


def card_use(card: str) -> bool | None:
    """Return whether a card is used; None if the ledger cannot be asked."""
    try:
        with open_ledger() as channel:
            stub = contract_service_pb2_grpc.ContractServiceStub(channel)
            return _has_plan(stub, card) or _has_contract(stub, card)
    except grpc.RpcError:
        return None


def warn_unused(card: str, used: bool | None) -> None:
    """Say on stderr that nobody is priced by a card; it is no error, for a card comes before its plans."""
    if used is False:
        print(f"warning: no plan or contract in force uses {card}", file=sys.stderr)


def _has_plan(stub: contract_service_pb2_grpc.ContractServiceStub, card: str) -> bool:
    request = agreement_lists_pb2.ListPlansRequest(rate_card=card, page_size=1)
    while True:
        answer = stub.ListPlans(request, timeout=LOOK_SECONDS_MAX)
        if answer.plans or not answer.next_page_token:
            return bool(answer.plans)
        request.page_token = answer.next_page_token


def _has_contract(stub: contract_service_pb2_grpc.ContractServiceStub, card: str) -> bool:
    request = agreement_lists_pb2.ListContractsRequest(rate_card=card, page_size=1)
    while True:
        answer = stub.ListContracts(request, timeout=LOOK_SECONDS_MAX)
        if answer.contracts or not answer.next_page_token:
            return bool(answer.contracts)
        request.page_token = answer.next_page_token
