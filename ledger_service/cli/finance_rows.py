"""Lots as the books hold them, and the journal by its rows: whole lists, read page by page."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from credits.ledger.v1 import finance_commands_pb2
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    CALL_SECONDS_MAX,
    Address,
    AsJson,
    CaFile,
    show_instant,
)
from ledger_service.cli.finance_scope import (
    CURRENCY,
    ENTITY,
    Currency,
    Entity,
    From,
    Known,
    Stub,
    To,
    call,
    instant,
)
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
PAGE_SIZE: Final = 1_000


@app.command("paid-lots")
def paid_lots(
    wallet: Annotated[str, typer.Argument(help="wallets/{wallet}")],
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """List the lots with consideration of a wallet, with what each has earned."""
    request = finance_commands_pb2.ListPaidLotsRequest(name=wallet, page_size=PAGE_SIZE)
    answer = finance_commands_pb2.ListPaidLotsResponse()

    def ask(stub: Stub) -> None:
        while request.page_token or not answer.position:
            page = stub.ListPaidLots(request, timeout=CALL_SECONDS_MAX)
            answer.lots.extend(page.lots)
            answer.position, request.page_token = page.position, page.next_page_token
            if not page.next_page_token:
                return

    call(ask, address, ca_file)
    put_out(answer, lambda: _lots_report(wallet, answer), Wanted(json, csv, parquet))


@app.command("journal-days")
def journal_days(
    from_time: From,
    to_time: To,
    currency: Currency = "USD",
    entity: Entity = "",
    known: Known = "",
    moved_only: Annotated[bool, typer.Option(help="Only what is posted later than it counts.")] = False,
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """List what was posted by day and account; --moved-only shows by what closed periods would have been different."""
    request = finance_commands_pb2.ListJournalDaysRequest(
        from_time=instant(from_time, option="--from"),
        to_time=instant(to_time, option="--to"),
        known_time=instant(known, option="--known"),
        currency_code=currency,
        entity=entity,
        moved_only=moved_only,
        page_size=PAGE_SIZE,
    )
    answer = finance_commands_pb2.ListJournalDaysResponse()

    def ask(stub: Stub) -> None:
        while request.page_token or not answer.position:
            page = stub.ListJournalDays(request, timeout=CALL_SECONDS_MAX)
            answer.rows.extend(page.rows)
            answer.position, request.page_token = page.position, page.next_page_token
            if not page.next_page_token:
                return

    call(ask, address, ca_file)
    put_out(answer, lambda: _days_report(currency, answer), Wanted(json, csv, parquet))


def _lots_report(wallet: str, answer: finance_commands_pb2.ListPaidLotsResponse) -> Report:
    columns = (
        Column("Grant", "grant"),
        ENTITY,
        Column("Product", "product"),
        Column("Pool", "pool"),
        Column("Units", "units", Kind.COUNT),
        Column("Left", "left", Kind.COUNT),
        CURRENCY,
        *money_columns("Consideration", "Usage", "Breakage", "Refunds", "Moved", "Escheat", "Liability"),
        Column("Expected breakage", "expected_breakage"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            lot.grant.rpartition("/")[2],
            lot.entity,
            lot.product,
            lot.pool.rpartition("/")[2],
            lot.amount_units,
            lot.left_units,
            lot.consideration.currency_code,
            *nanos_of(lot.consideration, lot.usage, lot.breakage, lot.refunds, lot.moved, lot.escheat),
            lot.contract_liability.nanos,
            lot.expected_breakage,
        )
        for lot in answer.lots
    ]
    return Report(f"Paid lots of {wallet}", columns, rows)


def _days_report(currency: str, answer: finance_commands_pb2.ListJournalDaysResponse) -> Report:
    columns = (
        Column("Posted", "posting_date"),
        Column("Counts", "effective_date"),
        Column("Recorded", "record_date"),
        ENTITY,
        Column("Account", "account"),
        Column("Why", "movement"),
        Column("Product", "product"),
        Column("Pool", "pool"),
        *money_columns("Debit", "Credit"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            *(show_instant(day)[:10] for day in (row.posting_time, row.effective_time, row.record_time)),
            row.entity,
            row.account,
            row.movement,
            row.product,
            row.source.rpartition("/")[2],
            max(row.amount.nanos, 0),
            max(-row.amount.nanos, 0),
        )
        for row in answer.rows
    ]
    return Report(f"Journal by day, {currency}", columns, rows)
