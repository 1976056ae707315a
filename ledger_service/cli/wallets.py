"""Commands that show wallets: balance, grants, statement, replay."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.table import Table

from credits.ledger.v1 import (
    history_service_pb2,
    history_service_pb2_grpc,
    wallet_pb2,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
)
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
    read_instant,
    show_instant,
    show_units,
)
from ledger_service.cli.money import show_money
from ledger_service.cli.sale_options import show_sale

app = typer.Typer()
UNIT_COLUMNS: Final = (
    "Granted",
    "Drawn",
    "Expired",
    "Revoked",
    "Rolled over",
    "Transferred",
    "Held",
    "Remaining",
)
GRANT_COLUMNS: Final = ("Grant", "Category", "Priority", "Effective", "Expires", *UNIT_COLUMNS, "Sold for")
Name = Annotated[str, typer.Argument(help="wallets/{wallet}")]


@app.command()
def balance(
    name: Name, address: Address = ADDRESS_DEFAULT, ca_file: CaFile = "", json: AsJson = False
) -> None:
    """Show a wallet's balance, true now."""
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        request = wallet_service_pb2.GetBalanceRequest(name=name)
        response = stub.GetBalance(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response.balance)
    else:
        _show_balance(response.balance)


@app.command()
def wallets(
    customer: Annotated[str, typer.Option(help="Only wallets of customers/{customer}.")] = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """List wallets by name."""
    table = Table("Wallet", "Customer", "Entity", "Asset", "Shortfall", "Contract", "Events")
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        request = wallet_service_pb2.ListWalletsRequest(customer=customer, page_size=1000)
        while True:
            page = stub.ListWallets(request, timeout=CALL_SECONDS_MAX)
            for wallet in page.wallets:
                if json:
                    print_json(wallet)
                mode = wallet_pb2.ShortfallMode.Name(wallet.shortfall_mode).removeprefix("SHORTFALL_MODE_")
                asset = f"{wallet.asset.code}/{wallet.asset.scale}"
                version = str(wallet.version)
                table.add_row(
                    wallet.name, wallet.customer, wallet.entity, asset, mode, wallet.contract, version
                )
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
    if not json:
        console.print(folded(table))


@app.command()
def grants(
    name: Name, address: Address = ADDRESS_DEFAULT, ca_file: CaFile = "", json: AsJson = False
) -> None:
    """List a wallet's grants, what is left of them, and on which terms they were sold."""
    rows: list[list[str]] = []
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        scale = _scale(stub, name)
        request = wallet_service_pb2.ListGrantsRequest(name=name, page_size=1000)
        while True:
            page = stub.ListGrants(request, timeout=CALL_SECONDS_MAX)
            for grant in page.grants:
                if json:
                    print_json(grant)
                rows.append(_grant_cells(grant, scale))
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
    if not json:
        console.print(folded(_grant_table(name, rows)))


def _grant_table(name: str, rows: list[list[str]]) -> Table:
    """Return the grants as a table, without columns in which nothing stands: all of them together are wide."""
    table = Table(title=name)
    filled = [place for place in range(len(GRANT_COLUMNS)) if any(row[place] for row in rows)]
    for place in filled:
        title = GRANT_COLUMNS[place]
        table.add_column(title, justify="right" if title in UNIT_COLUMNS else "left")
    for row in rows:
        table.add_row(*(row[place] for place in filled))
    return table


@app.command()
def statement(
    name: Name,
    from_time: Annotated[str, typer.Option("--from", help="First instant, inclusive.")] = "",
    to_time: Annotated[str, typer.Option("--to", help="Last instant, exclusive.")] = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Show what happened to a wallet, with a running balance."""
    table = Table("#", "Effective (UTC)", "What", title=f"Statement of {name}")
    for column in ("Change", "Overage", "Posted"):
        table.add_column(column, justify="right")
    request = wallet_service_pb2.ListStatementLinesRequest(name=name, page_size=1000)
    if from_time:
        request.from_time.CopyFrom(read_instant(from_time, option="--from"))
    if to_time:
        request.to_time.CopyFrom(read_instant(to_time, option="--to"))
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        scale = _scale(stub, name)
        while True:
            page = stub.ListStatementLines(request, timeout=CALL_SECONDS_MAX)
            for line in page.lines:
                if json:
                    print_json(line)
                table.add_row(*_line_cells(line, scale))
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
    if not json:
        console.print(folded(table))


@app.command()
def replay(
    name: Name,
    as_of: Annotated[str, typer.Option(help="Count what is effective at or before this instant.")] = "",
    as_recorded: Annotated[str, typer.Option(help="Count what was recorded at or before this instant.")] = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Fold a wallet's events up to an instant on either clock and show the balance."""
    request = history_service_pb2.ReplayWalletRequest(name=name)
    if as_of:
        request.as_of_effective_time.CopyFrom(read_instant(as_of, option="--as-of"))
    if as_recorded:
        request.as_of_record_time.CopyFrom(read_instant(as_recorded, option="--as-recorded"))
    with connect(address, ca_file) as channel:
        response = history_service_pb2_grpc.HistoryServiceStub(channel).ReplayWallet(request)
    if json:
        print_json(response)
    else:
        console.print(f"{response.event_count:,} events replayed")
        _show_balance(response.balance)


def _scale(stub: wallet_service_pb2_grpc.WalletServiceStub, name: str) -> int:
    request = wallet_service_pb2.GetWalletRequest(name=name)
    return stub.GetWallet(request, timeout=CALL_SECONDS_MAX).wallet.asset.scale


def _show_balance(balance: wallet_pb2.Balance) -> None:
    scale = balance.asset.scale
    table = Table(
        "Lot",
        "Category",
        "Effective",
        "Expires",
        title=f"{balance.name} at {show_instant(balance.as_of_time)}",
    )
    table.add_column("Held", justify="right")
    table.add_column(balance.asset.code, justify="right")
    for lot in balance.lots:
        expires = show_instant(lot.expire_time) if lot.HasField("expire_time") else "never"
        category = wallet_pb2.GrantCategory.Name(lot.category).removeprefix("GRANT_CATEGORY_")
        effective = show_instant(lot.effective_time)
        posted = show_units(lot.posted_units, scale)
        held = show_units(lot.held_units, scale) if lot.held_units else ""
        table.add_row(lot.grant.rpartition("/")[2], category, effective, expires, held, posted)
    table.add_section()
    for label, units in (
        ("held", balance.held_units),
        ("available", balance.available_units),
        ("pending", balance.pending_units),
        ("debited", balance.debited_units),
        ("of which overage", balance.overage_units),
        ("of which debt", balance.debt_units),
        ("expired", balance.expired_units),
        ("revoked", balance.revoked_units),
        ("in transit", balance.in_transit_units),
    ):
        table.add_row("", "", "", "", label, show_units(units, scale))
    for owed in balance.receivables:
        table.add_row("", "", "", "", "receivable", show_money(owed))
    console.print(folded(table))
    if balance.HasField("close_time"):
        console.print(f"closed {show_instant(balance.close_time)}")


def _grant_cells(grant: wallet_pb2.Grant, scale: int) -> list[str]:
    moved = (
        grant.expired_units,
        grant.revoked_units,
        grant.rolled_over_units,
        grant.transferred_units,
        grant.held_units,
    )
    return [
        grant.name.rpartition("/")[2],
        wallet_pb2.GrantCategory.Name(grant.category).removeprefix("GRANT_CATEGORY_"),
        str(grant.priority) if grant.priority else "",
        show_instant(grant.effective_time),
        show_instant(grant.expire_time) if grant.HasField("expire_time") else "never",
        show_units(grant.amount_units, scale),
        show_units(grant.drawn_units, scale),
        *(show_units(units, scale) if units else "" for units in moved),
        show_units(grant.remaining_units, scale),
        show_sale(grant),
    ]


def _line_cells(line: wallet_pb2.StatementLine, scale: int) -> list[str]:
    return [
        str(line.version),
        show_instant(line.effective_time),
        line.description,
        show_units(line.change_units, scale),
        show_units(line.overage_units, scale) if line.overage_units else "",
        show_units(line.posted_units, scale),
    ]
