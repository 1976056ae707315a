"""`ledger budgets`: how a wallet's spend cap and budgets stand."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from credits.ledger.v1 import wallet_caps_pb2, wallet_service_pb2, wallet_service_pb2_grpc
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
    show_units,
)

app = typer.Typer()


@app.command()
def budgets(
    name: Annotated[str, typer.Argument(help="wallets/{wallet}")],
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Show what is left of a wallet's spend cap and budgets, the spend cap first."""
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.GetWallet(wallet_service_pb2.GetWalletRequest(name=name), timeout=CALL_SECONDS_MAX)
    table = Table("Cap", "Counts", title=f"Budgets of {name}")
    for column in ("Limit", "Used", "Held", "Remaining"):
        table.add_column(column, justify="right")
    table.add_column("Whole again")
    for use in response.cap_uses:
        if json:
            print_json(use)
        table.add_row(*_cells(use, response.wallet.asset.scale))
    if not json:
        console.print(folded(table))


def _cells(use: wallet_caps_pb2.CapUse, scale: int) -> list[str]:
    selector = use.WhichOneof("selector")
    return [
        use.budget_id or (f"spend cap of {use.contract_phase}" if use.contract_phase else "spend cap"),
        f"{selector} {getattr(use, selector)}" if selector else "all",
        show_units(use.limit_units, scale),
        show_units(use.used_units, scale),
        show_units(use.held_units, scale),
        show_units(use.remaining_units, scale),
        show_instant(use.period_end_time) if use.HasField("period_end_time") else "never",
    ]
