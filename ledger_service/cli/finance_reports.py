"""Reports of accounts and revenue: each a table for people, and JSON, CSV or Parquet for programs."""

from __future__ import annotations

from typing import Annotated

import typer

from credits.ledger.v1 import finance_reports_pb2
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    Address,
    AsJson,
    CaFile,
    fail,
    show_units,
)
from ledger_service.cli.finance_scope import (
    CURRENCY,
    ENTITY,
    REPORT_SECONDS_MAX,
    Currency,
    Entity,
    From,
    Known,
    To,
    call,
    make_report,
    scope_of,
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
    columns = (ENTITY, CURRENCY, Column("Account", "account"), Column("Kind", "account_kind"))

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
    asked = finance_reports_pb2.StreamReportRequest(opening_revenue=request)
    answer = make_report(asked, address, ca_file).opening_revenue

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
        return Report("Revenue out of the opening liability", (ENTITY, CURRENCY, *money), rows)

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
    if by_model:
        asked = finance_reports_pb2.StreamReportRequest(revenue=request)
        answer = make_report(asked, address, ca_file).revenue
    else:
        answer = call(lambda stub: stub.GetRevenue(request, timeout=REPORT_SECONDS_MAX), address, ca_file)
    named = (Column("Account", "account"), Column("Product", "product"), Column("Model", "model"))

    def report() -> Report:
        rows = [
            (row.entity, row.amount.currency_code, row.account, row.product, row.model, row.amount.nanos)
            for row in answer.rows
        ]
        return Report("Revenue", (ENTITY, CURRENCY, *named, *money_columns("Amount")), rows)

    put_out(answer, report, Wanted(json, csv, parquet))


@app.command("outstanding")
def outstanding(
    on: Annotated[
        str, typer.Option("--on", help="Day (UTC) at whose beginning things stood so; now if empty.")
    ] = "",
    currency: Currency = "",
    entity: Entity = "",
    known: Known = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """Show the credit that customers have, beside the liability for it; what begins later stands apart.

    Of a day what begins later is left out.
    """
    if on:
        request = finance_reports_pb2.ListCreditsOutstandingRequest(
            scope=scope_of("", on, currency, entity, known)
        )
        asked = finance_reports_pb2.StreamReportRequest(credits_outstanding=request)
        answer = make_report(asked, address, ca_file).credits_outstanding
    elif currency or known:
        fail("--currency and --known are of a day: --on names it")
    else:
        now = finance_reports_pb2.ListCreditsOutstandingRequest(entity=entity)
        answer = call(
            lambda stub: stub.ListCreditsOutstanding(now, timeout=REPORT_SECONDS_MAX), address, ca_file
        )
    columns = (
        ENTITY,
        Column("Asset", "asset"),
        Column("Category", "category"),
        Column("Grants", "grants", Kind.COUNT),
        Column("Credit", "credit"),
        CURRENCY,
        *money_columns("Liability"),
        Column("Not yet effective", "not_yet_effective"),
        Column("Its liability", "not_yet_effective_liability", Kind.MONEY),
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
                show_units(row.future_units, row.asset.scale),
                row.future_contract_liability.nanos,
            )
            for row in answer.rows
        ]
        return Report("Credit outstanding", columns, rows)

    put_out(answer, report, Wanted(json, csv, parquet))
