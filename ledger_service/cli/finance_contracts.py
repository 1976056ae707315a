"""Reports of what contracts promise and of what is owed each way under them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import typer

from credits.ledger.v1 import finance_reports_pb2, money_pb2
from ledger_service.cli.client import ADDRESS_DEFAULT, Address, AsJson, CaFile, console
from ledger_service.cli.finance_scope import (
    CURRENCY,
    ENTITY,
    REPORT_SECONDS_MAX,
    Currency,
    Entity,
    Known,
    On,
    Stub,
    call,
    make_report,
    scope_of,
)
from ledger_service.cli.money import show_money
from ledger_service.cli.report_output import (
    Cell,
    Column,
    Csv,
    Kind,
    ParquetFile,
    Report,
    Wanted,
    money_columns,
    nanos_of,
    put_out,
)

app = typer.Typer()
PARTS: Final = {
    finance_reports_pb2.OBLIGATION_PART_CREDIT: "credit",
    finance_reports_pb2.OBLIGATION_PART_BILLED_AHEAD: "billed ahead",
    finance_reports_pb2.OBLIGATION_PART_COMMITMENTS: "commitments, unbilled",
    finance_reports_pb2.OBLIGATION_PART_FEES: "fees, unbilled",
    finance_reports_pb2.OBLIGATION_PART_USAGE: "usage, estimated",
}


@app.command("remaining-obligation")
def remaining_obligation(
    on: On,
    leave_out_short: Annotated[
        bool, typer.Option(help="Leave out contracts and credit of at most a year (606-10-50-14(a)).")
    ] = False,
    count_usage: Annotated[
        bool,
        typer.Option(
            help="Count usage that is billed as it is used, estimated; else it is left out (50-14(b))."
        ),
    ] = False,
    currency: Currency = "",
    entity: Entity = "",
    known: Known = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """Divide the remaining performance obligation by part and by when it is expected to be revenue (606-10-50-13)."""
    request = finance_reports_pb2.GetRemainingObligationRequest(
        scope=scope_of("", on, currency, entity, known),
        leave_out_short=leave_out_short,
        count_usage=count_usage,
    )
    asked = finance_reports_pb2.StreamReportRequest(remaining_obligation=request)
    answer = make_report(asked, address, ca_file).remaining_obligation
    put_out(answer, lambda: _obligation_report(on, answer), Wanted(json, csv, parquet))
    if not (json or csv or parquet):
        for total in answer.totals:
            console.print(
                f"{total.entity}: {show_money(total.obligation)} remain = contract liability"
                f" {show_money(total.contract_liability)} + unbilled {show_money(total.unbilled)} - of at most a year"
                f" {show_money(total.left_out_short)} - billed as used {show_money(total.left_out_usage)}",
                soft_wrap=True,
            )


@app.command("contract-positions")
def contract_positions(
    on: On,
    currency: Currency = "",
    entity: Entity = "",
    known: Known = "",
    limit: Annotated[int, typer.Option(min=1, help="Most positions to show.")] = 100,
    page_token: Annotated[str, typer.Option(help="Where to go on.")] = "",
    totals: Annotated[bool, typer.Option(help="Show what all positions add up to, and no position.")] = False,
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """Net contract liability and unbilled receivable of each contract (606-10-45-1)."""
    scope = scope_of("", on, currency, entity, known)
    wanted = Wanted(json, csv, parquet)
    if totals:
        summary = finance_reports_pb2.SummarizeContractPositionsRequest(scope=scope)
        asked = finance_reports_pb2.StreamReportRequest(contract_positions=summary)
        sums = make_report(asked, address, ca_file).contract_positions
        put_out(sums, lambda: _total_report(on, sums), wanted)
        return
    request = finance_reports_pb2.ListContractPositionsRequest(scope=scope, page_token=page_token)
    answer = finance_reports_pb2.ListContractPositionsResponse()

    def ask(stub: Stub) -> None:
        # A page may be short, or empty, and not the last.
        while not answer.position or (request.page_token and len(answer.positions) < limit):
            request.page_size = min(limit - len(answer.positions), 1_000)
            page = stub.ListContractPositions(request, timeout=REPORT_SECONDS_MAX)
            answer.positions.extend(page.positions)
            answer.position = page.position
            answer.next_page_token = request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    call(ask, address, ca_file)
    put_out(answer, lambda: _position_report(on, answer), wanted)
    if json or csv or parquet:
        return
    if answer.next_page_token:
        console.print(
            f"more with --page-token {answer.next_page_token}; --totals adds all of them up", soft_wrap=True
        )
    elif not page_token:
        _show_sums(answer.positions)


def _obligation_report(on: str, answer: finance_reports_pb2.GetRemainingObligationResponse) -> Report:
    columns = (
        ENTITY,
        CURRENCY,
        Column("Part", "part"),
        Column("Band", "band"),
        Column("Counts", "counts"),
        Column("Lots", "lots", Kind.COUNT),
        *money_columns("Amount"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            band.entity,
            band.amount.currency_code,
            PARTS[band.part],
            band.label,
            "left out" if band.left_out else "yes",
            band.lot_count,
            band.amount.nanos,
        )
        for band in answer.bands
    ]
    return Report(f"Remaining performance obligation on {on}", columns, rows)


def _show_sums(positions: Iterable[finance_reports_pb2.ContractPosition]) -> None:
    """Show what positions add up to, by entity and currency."""
    sums: dict[tuple[str, str], list[int]] = {}
    for each in positions:
        figures = nanos_of(
            each.unbilled_receivable, each.contract_liability, each.net_asset, each.net_liability
        )
        before = sums.get((each.entity, each.net_asset.currency_code), [0] * len(figures))
        after = [one + other for one, other in zip(before, figures, strict=True)]
        sums[each.entity, each.net_asset.currency_code] = after
    for (entity, currency), figures_of in sorted(sums.items()):
        money = (money_pb2.Money(currency_code=currency, nanos=nanos) for nanos in figures_of)
        unbilled, liability, assets, liabilities = map(show_money, money)
        console.print(
            f"{entity}: unbilled {unbilled} - contract liability {liability} = net assets {assets}"
            f" - net liabilities {liabilities}",
            soft_wrap=True,
        )


def _position_report(on: str, answer: finance_reports_pb2.ListContractPositionsResponse) -> Report:
    columns = (ENTITY, CURRENCY, Column("Contract", "contract"), Column("Wallet", "wallet"))
    rows: list[tuple[Cell, ...]] = [
        (
            each.entity,
            each.net_asset.currency_code,
            each.source,
            each.wallet,
            *nanos_of(each.contract_liability, each.unbilled_receivable, each.net_asset, each.net_liability),
        )
        for each in answer.positions
    ]
    money = money_columns("Liability", "Unbilled", "Net asset", "Net liability")
    return Report(f"Contracts on {on}", (*columns, *money), rows)


def _total_report(on: str, answer: finance_reports_pb2.SummarizeContractPositionsResponse) -> Report:
    counts = (Column("Assets", "assets", Kind.COUNT), Column("Liabilities", "liabilities", Kind.COUNT))
    rows: list[tuple[Cell, ...]] = [
        (
            each.entity,
            each.net_assets.currency_code,
            each.asset_count,
            each.liability_count,
            *nanos_of(
                each.contract_liability, each.unbilled_receivable, each.net_assets, each.net_liabilities
            ),
        )
        for each in answer.totals
    ]
    money = money_columns("Liability", "Unbilled", "Net assets", "Net liabilities")
    return Report(f"Contracts on {on}", (ENTITY, CURRENCY, *counts, *money), rows)
