"""Reports of finance: each a table for people, and JSON, CSV or Parquet for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Annotated, Final, TypeVar

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import finance_reports_pb2, finance_service_pb2_grpc
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    Address,
    AsJson,
    CaFile,
    connect,
    console,
    read_instant,
    show_instant,
    show_units,
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
REPORT_SECONDS_MAX: Final = 3_600.0
"""Longest wait for a report that folds the log."""
Stub = finance_service_pb2_grpc.FinanceServiceStub
Answer = TypeVar("Answer")
From = Annotated[str, typer.Option("--from", help="First day, UTC.")]
To = Annotated[str, typer.Option("--to", help="Day after the last, UTC.")]
On = Annotated[str, typer.Option("--on", help="Day (UTC) at whose beginning things stood so.")]
Currency = Annotated[str, typer.Option(help="ISO 4217 code; all of them if empty.")]
Entity = Annotated[str, typer.Option(help="Legal entity; all of them if empty.")]
Known = Annotated[str, typer.Option("--known", help="As it was known at the beginning of this day, UTC.")]
_ENTITY: Final = Column("Entity", "entity")
_CURRENCY: Final = Column("Currency", "currency")


class Basis(Enum):
    """How the schedule of contract liability is divided."""

    EXPIRY = "expiry"
    AGE = "age"


def scope_of(
    from_time: str, to_time: str, currency: str, entity: str, known: str
) -> finance_reports_pb2.ReportScope:
    """Return what a report is of, by its options."""
    return finance_reports_pb2.ReportScope(
        from_time=_instant(from_time, option="--from"),
        to_time=_instant(to_time, option="--to"),
        known_time=_instant(known, option="--known"),
        currency_code=currency,
        entity=entity,
    )


def call(ask: Callable[[Stub], Answer], address: str, ca_file: str) -> Answer:
    """Ask, and show meanwhile that something is being done; a refusal ends the command."""
    with connect(address, ca_file) as channel, console.status("Reading the books"):
        return ask(finance_service_pb2_grpc.FinanceServiceStub(channel))


@app.command("trial-balance")
def trial_balance(
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
    """Show the balances of accounts, which add up to zero."""
    request = finance_reports_pb2.GetTrialBalanceRequest(
        scope=scope_of(from_time, to_time, currency, entity, known)
    )
    answer = call(lambda stub: stub.GetTrialBalance(request, timeout=REPORT_SECONDS_MAX), address, ca_file)
    columns = (_ENTITY, _CURRENCY, Column("Account", "account"), Column("Kind", "account_kind"))

    def report() -> Report:
        rows: list[tuple[Cell, ...]] = [
            (
                row.entity,
                row.closing.currency_code,
                row.account,
                row.account_kind,
                *nanos_of(row.opening, row.debits, row.credits, row.closing),
            )
            for row in answer.rows
        ]
        money = money_columns("Opening", "Debits", "Credits", "Closing")
        return Report("Trial balance", (*columns, *money), rows)

    put_out(answer, report, Wanted(json, csv, parquet))


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
    """List the entries of events: what each debited and credited."""
    request = finance_reports_pb2.ListJournalRequest(
        scope=scope_of(from_time, to_time, currency, entity, known),
        wallet=wallet,
        account=account,
        product=product,
        record_from_time=_instant(recorded_from, option="--recorded-from"),
        record_to_time=_instant(recorded_to, option="--recorded-to"),
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
    put_out(answer, lambda: _journal_report(answer), Wanted(json, csv, parquet))
    if answer.next_page_token and not (json or csv or parquet):
        console.print(f"more with --page-token {answer.next_page_token}", soft_wrap=True)


@app.command("liability-schedule")
def liability_schedule(
    on: On,
    by: Annotated[Basis, typer.Option(help="How it is divided.")] = Basis.EXPIRY,
    currency: Currency = "",
    entity: Entity = "",
    known: Known = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """Divide contract liability by when it expires, or by how long ago it was sold."""
    basis = {
        Basis.EXPIRY: finance_reports_pb2.LIABILITY_BASIS_EXPIRY,
        Basis.AGE: finance_reports_pb2.LIABILITY_BASIS_AGE,
    }[by]
    request = finance_reports_pb2.GetLiabilityScheduleRequest(
        scope=scope_of("", on, currency, entity, known), basis=basis
    )
    answer = call(
        lambda stub: stub.GetLiabilitySchedule(request, timeout=REPORT_SECONDS_MAX), address, ca_file
    )
    title = f"Contract liability on {on} by {by.value}"
    put_out(answer, lambda: _band_report(title, answer.bands), Wanted(json, csv, parquet))


@app.command("remaining-obligation")
def remaining_obligation(
    on: On,
    leave_out_short: Annotated[
        bool, typer.Option(help="Tell credit sold for at most a year apart (606-10-50-14(a)).")
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
    """Divide the remaining performance obligation by when it is expected to be revenue (606-10-50-13)."""
    request = finance_reports_pb2.GetRemainingObligationRequest(
        scope=scope_of("", on, currency, entity, known), leave_out_short=leave_out_short
    )
    answer = call(
        lambda stub: stub.GetRemainingObligation(request, timeout=REPORT_SECONDS_MAX), address, ca_file
    )
    title = f"Remaining performance obligation on {on}"
    put_out(answer, lambda: _band_report(title, answer.bands), Wanted(json, csv, parquet))


@app.command("opening-revenue")
def opening_revenue(
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
    """Show the revenue that was in the opening contract liability (606-10-50-8(b))."""
    request = finance_reports_pb2.GetOpeningRevenueRequest(
        scope=scope_of(from_time, to_time, currency, entity, known)
    )
    answer = call(lambda stub: stub.GetOpeningRevenue(request, timeout=REPORT_SECONDS_MAX), address, ca_file)

    def report() -> Report:
        rows: list[tuple[Cell, ...]] = [
            (
                row.entity,
                row.opening.currency_code,
                *nanos_of(row.opening, row.from_opening, row.recognised),
            )
            for row in answer.rows
        ]
        money = money_columns("Opening", "From opening", "Recognised")
        return Report("Revenue out of the opening liability", (_ENTITY, _CURRENCY, *money), rows)

    put_out(answer, report, Wanted(json, csv, parquet))


@app.command("revenue")
def revenue(
    from_time: From,
    to_time: To,
    by_model: Annotated[bool, typer.Option(help="By the model that usage names, too.")] = False,
    currency: Currency = "",
    entity: Entity = "",
    known: Known = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """Disaggregate revenue by account, product, model, entity and currency (606-10-50-5)."""
    request = finance_reports_pb2.GetRevenueRequest(
        scope=scope_of(from_time, to_time, currency, entity, known), by_model=by_model
    )
    answer = call(lambda stub: stub.GetRevenue(request, timeout=REPORT_SECONDS_MAX), address, ca_file)
    named = (Column("Account", "account"), Column("Product", "product"), Column("Model", "model"))

    def report() -> Report:
        rows = [
            (row.entity, row.amount.currency_code, row.account, row.product, row.model, row.amount.nanos)
            for row in answer.rows
        ]
        return Report("Revenue", (_ENTITY, _CURRENCY, *named, *money_columns("Amount")), rows)

    put_out(answer, report, Wanted(json, csv, parquet))


@app.command("breakage-analysis")
def breakage_analysis(
    on: On,
    currency: Currency = "",
    entity: Entity = "",
    known: Known = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """Show how past sales were used by month, and the breakage that follows from it. Nothing is applied."""
    request = finance_reports_pb2.GetBreakageAnalysisRequest(scope=scope_of("", on, currency, entity, known))
    answer = call(
        lambda stub: stub.GetBreakageAnalysis(request, timeout=REPORT_SECONDS_MAX), address, ca_file
    )
    put_out(answer, lambda: _cohort_report(answer), Wanted(json, csv, parquet))
    if not (json or csv or parquet):
        for each in answer.suggestions:
            rate = each.expected_breakage or "nothing to say yet"
            console.print(
                f"{each.entity} {each.product or 'credit'} in {each.asset_code}: {rate}, of {each.lot_count:,} ended"
                f" lots with {each.used_units:,} units used and {each.unused_units:,} not; for the decision on the"
                " policy, and not applied"
            )


@app.command("outstanding")
def outstanding(
    entity: Entity = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """Show the credit that customers have, beside the liability for it."""
    request = finance_reports_pb2.ListCreditsOutstandingRequest(entity=entity)
    answer = call(
        lambda stub: stub.ListCreditsOutstanding(request, timeout=REPORT_SECONDS_MAX), address, ca_file
    )
    columns = (
        _ENTITY,
        Column("Asset", "asset"),
        Column("Category", "category"),
        Column("Grants", "grants", Kind.COUNT),
        Column("Credit", "credit"),
        _CURRENCY,
    )

    def report() -> Report:
        rows = [
            (
                row.entity,
                row.asset.code,
                row.category,
                row.grant_count,
                show_units(row.outstanding_units, row.asset.scale),
                row.contract_liability.currency_code,
                row.contract_liability.nanos,
            )
            for row in answer.rows
        ]
        return Report("Credit outstanding", (*columns, *money_columns("Liability")), rows)

    put_out(answer, report, Wanted(json, csv, parquet))


def _journal_report(answer: finance_reports_pb2.ListJournalResponse) -> Report:
    columns = (
        Column("Posted", "posting_date"),
        Column("Counts", "effective_time"),
        Column("Recorded", "record_time"),
        Column("Stream", "stream"),
        Column("Version", "version", Kind.COUNT),
        Column("Event", "event"),
        _ENTITY,
        Column("Account", "account"),
        Column("Product", "product"),
        _CURRENCY,
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
            line.amount.currency_code,
            max(line.amount.nanos, 0),
            max(-line.amount.nanos, 0),
        )
        for entry in answer.entries
        for line in entry.lines
    ]
    return Report("Journal", (*columns, *money_columns("Debit", "Credit")), rows)


def _band_report(title: str, bands: Iterable[finance_reports_pb2.LiabilityBand]) -> Report:
    columns = (_ENTITY, _CURRENCY, Column("Band", "band"), Column("Lots", "lots", Kind.COUNT))
    rows = [
        (band.entity, band.amount.currency_code, band.label, band.lot_count, band.amount.nanos)
        for band in bands
    ]
    return Report(title, (*columns, *money_columns("Amount")), rows)


def _cohort_report(answer: finance_reports_pb2.GetBreakageAnalysisResponse) -> Report:
    counts = ("Lots", "Ended", "Granted", "Refunded", "Unused")
    columns = (
        Column("Month", "month"),
        _ENTITY,
        Column("Product", "product"),
        Column("Asset", "asset"),
        *(Column(title, title.lower(), Kind.COUNT) for title in counts),
        Column("Used by month", "redeemed_units"),
    )
    rows = [
        (
            show_instant(each.month_time)[:7],
            each.entity,
            each.product,
            each.asset.code,
            each.lot_count,
            each.ended_lot_count,
            each.granted_units,
            each.refunded_units,
            each.expired_units,
            " ".join(map(str, each.redeemed_units)),
        )
        for each in answer.cohorts
    ]
    return Report("Use of past sales, in units", columns, rows)


def _instant(text: str, *, option: str) -> Timestamp | None:
    return read_instant(text, option=option) if text else None
