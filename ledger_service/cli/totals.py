"""`ledger totals`: how much of each meter a wallet's cycles have seen."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from credits.ledger.v1 import meter_totals_pb2, wallet_service_pb2_grpc
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    CALL_SECONDS_MAX,
    Address,
    AsJson,
    CaFile,
    connect,
    console,
    folded,
    print_json,
    show_instant,
)

app = typer.Typer()


@app.command()
def totals(
    name: Annotated[str, typer.Argument(help="wallets/{wallet}")],
    contract: Annotated[str, typer.Option(help="Only totals of contracts/{contract}.")] = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Show the running totals that cumulative rates are priced on, by cycle and meter."""
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        request = meter_totals_pb2.GetMeterTotalsRequest(name=name, contract=contract)
        response = stub.GetMeterTotals(request, timeout=CALL_SECONDS_MAX)
    table = Table("Contract", "Cycle", "Meter", title=f"Running totals of {name}")
    for column in ("Quantity", "Usages"):
        table.add_column(column, justify="right")
    for each in response.totals:
        total = each.total
        if json:
            print_json(each)
        cycle = f"{show_instant(total.cycle_start_time)} to {show_instant(total.cycle_end_time)}"
        table.add_row(each.contract or "none", cycle, total.meter, str(total.quantity), str(total.usages))
    if not json:
        console.print(folded(table))
