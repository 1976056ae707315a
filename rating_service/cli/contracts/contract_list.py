"""`rating contract list`: the contracts of the ledger, by name."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from credits.ledger.v1 import agreement_lists_pb2, agreement_pb2, contract_service_pb2_grpc
from rating_service.cli.connection import CALL_SECONDS_MAX, open_ledger, print_message, printed_json
from rating_service.cli.instants import day

PAGE_SIZE: Final = 500


def list_contracts(
    customer: Annotated[str, typer.Option(help="customers/{customer}")] = "",
    wallet: Annotated[str, typer.Option(help="wallets/{wallet}")] = "",
    plan: Annotated[str, typer.Option(help="plans/{plan} that they follow now.")] = "",
    card: Annotated[str, typer.Option(help="rateCards/{rate_card} that prices them, now or ahead.")] = "",
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """List contracts by name, with the phase in force or ahead last."""
    request = agreement_lists_pb2.ListContractsRequest(
        customer=customer, wallet=wallet, plan=plan, rate_card=card, page_size=PAGE_SIZE
    )
    found: list[agreement_pb2.Contract] = []
    with open_ledger() as channel:
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)
        while True:
            answer = stub.ListContracts(request, timeout=CALL_SECONDS_MAX)
            found += answer.contracts
            if not answer.next_page_token:
                break
            request.page_token = answer.next_page_token
    if as_json:
        print_message(agreement_lists_pb2.ListContractsResponse(contracts=found))
        return
    table = Table(title="Contracts")
    # A name is copied by whoever reads it, so it is never cut.
    table.add_column("contract", no_wrap=True)
    for column in ("customer", "wallet", "plan", "from", "to", "last phase"):
        table.add_column(column, overflow="fold")
    for each in found:
        to_time = day(each.end_time) if each.HasField("end_time") else ""
        last = each.phases[-1].key if each.phases else "never began"
        version = f"{each.plan} version {each.plan_version}"
        table.add_row(each.name, each.customer, each.wallet, version, day(each.start_time), to_time, last)
    Console().print(table)
