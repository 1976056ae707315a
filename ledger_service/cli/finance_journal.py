"""The journal by its events."""

from __future__ import annotations

from typing import Annotated

import typer

from credits.ledger.v1 import finance_reports_pb2
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    Address,
    AsJson,
    CaFile,
    console,
    show_instant,
)
from ledger_service.cli.finance_scope import (
    CURRENCY,
    ENTITY,
    REPORT_SECONDS_MAX,
    Currency,
    Entity,
    From,
    Known,
    Stub,
    To,
    call,
    instant,
    make_report,
    scope_of,
)
from ledger_service.cli.journal_table import journal_table
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


@app.command("journal")
def journal(
    from_time: From,
    to_time: To,
    currency: Currency = "",
    entity: Entity = "",
    known: Known = "",
    wallet: Annotated[str, typer.Option(help="wallets/{wallet}; all of them if empty.")] = "",
    account: Annotated[str, typer.Option(help="Code of an account, such as CONTRACT_LIABILITY.")] = "",
    product: Annotated[str, typer.Option(help="What was sold or used.")] = "",
    feature: Annotated[str, typer.Option(help="What was used.")] = "",
    model: Annotated[str, typer.Option(help="The model that the usage names.")] = "",
    recorded_from: Annotated[str, typer.Option(help="First day of the record.")] = "",
    recorded_to: Annotated[str, typer.Option(help="Day after the last of the record.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most entries to show.")] = 100,
    page_token: Annotated[str, typer.Option(help="Where to go on.")] = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """List the entries of events: what each debited and credited. See journal-summary for their sums."""
    request = finance_reports_pb2.ListJournalRequest(
        scope=scope_of(from_time, to_time, currency, entity, known),
        wallet=wallet,
        account=account,
        product=product,
        feature=feature,
        model=model,
        record_from_time=instant(recorded_from, option="--recorded-from"),
        record_to_time=instant(recorded_to, option="--recorded-to"),
        page_token=page_token,
    )
    answer = finance_reports_pb2.ListJournalResponse()

    def ask(stub: Stub) -> None:
        # A page may be short, or empty, and not the last.
        while not answer.position or (request.page_token and len(answer.entries) < limit):
            request.page_size = min(limit - len(answer.entries), 1_000)
            page = stub.ListJournal(request, timeout=REPORT_SECONDS_MAX)
            answer.entries.extend(page.entries)
            answer.position = page.position
            answer.next_page_token = request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    call(ask, address, ca_file)
    if json or csv or parquet:
        put_out(answer, lambda: _journal_report(answer), Wanted(json, csv, parquet))
        return
    console.print(journal_table(answer.entries))
    if answer.next_page_token:
        console.print(f"more with --page-token {answer.next_page_token}", soft_wrap=True)


@app.command("journal-summary")
def journal_summary(
    from_time: From,
    to_time: To,
    currency: Currency = "",
    entity: Entity = "",
    known: Known = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """Sum the journal up by account, product, feature and model; journal with --model lists what is behind a sum."""
    request = finance_reports_pb2.SummarizeJournalRequest(
        scope=scope_of(from_time, to_time, currency, entity, known)
    )
    asked = finance_reports_pb2.StreamReportRequest(journal=request)
    answer = make_report(asked, address, ca_file).journal
    put_out(answer, lambda: _summary_report(answer), Wanted(json, csv, parquet))


def _summary_report(answer: finance_reports_pb2.SummarizeJournalResponse) -> Report:
    columns = (
        ENTITY,
        CURRENCY,
        Column("Account", "account"),
        Column("Product", "product"),
        Column("Feature", "feature"),
        Column("Model", "model"),
        Column("Entries", "entries", Kind.COUNT),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            each.entity,
            each.debits.currency_code,
            each.account,
            each.product,
            each.feature,
            each.model,
            each.entry_count,
            *nanos_of(each.debits, each.credits),
        )
        for each in answer.sums
    ]
    return Report("Journal by what it was for", (*columns, *money_columns("Debits", "Credits")), rows)


def _journal_report(answer: finance_reports_pb2.ListJournalResponse) -> Report:
    columns = (
        Column("Posted", "posting_date"),
        Column("Counts", "effective_time"),
        Column("Recorded", "record_time"),
        Column("Stream", "stream"),
        Column("Version", "version", Kind.COUNT),
        Column("Event", "event"),
        ENTITY,
        Column("Account", "account"),
        Column("Product", "product"),
        Column("Feature", "feature"),
        Column("Model", "model"),
        CURRENCY,
    )
    rows = [
        (
            show_instant(entry.posting_time)[:10],
            show_instant(entry.effective_time),
            show_instant(entry.record_time),
            entry.stream,
            entry.version,
            entry.topic.split(".")[1],
            entry.entity,
            line.account,
            line.product,
            entry.feature,
            entry.model,
            line.amount.currency_code,
            max(line.amount.nanos, 0),
            max(-line.amount.nanos, 0),
        )
        for entry in answer.entries
        for line in entry.lines
    ]
    return Report("Journal", (*columns, *money_columns("Debit", "Credit")), rows)
