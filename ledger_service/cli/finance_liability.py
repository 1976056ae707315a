"""Reports of contract liability: by time, as remaining obligation, and how much of it is never used."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
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
    Currency,
    Entity,
    Known,
    On,
    make_report,
    scope_of,
)
from ledger_service.cli.report_output import (
    Column,
    Csv,
    Kind,
    ParquetFile,
    Report,
    Wanted,
    money_columns,
    put_out,
)

app = typer.Typer()


class Basis(Enum):
    """How the schedule of contract liability is divided."""

    EXPIRY = "expiry"
    AGE = "age"


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
    asked = finance_reports_pb2.StreamReportRequest(liability_schedule=request)
    answer = make_report(asked, address, ca_file).liability_schedule
    title = f"Contract liability on {on} by {by.value}"
    put_out(answer, lambda: _band_report(title, answer.bands), Wanted(json, csv, parquet))


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
    asked = finance_reports_pb2.StreamReportRequest(breakage_analysis=request)
    answer = make_report(asked, address, ca_file).breakage_analysis
    put_out(answer, lambda: _cohort_report(answer), Wanted(json, csv, parquet))
    if not (json or csv or parquet):
        for each in answer.suggestions:
            rate = each.expected_breakage or "nothing to say yet"
            console.print(
                f"{each.entity} {each.product or 'credit'} in {each.asset_code}: {rate}, of {each.lot_count:,} ended"
                f" lots with {each.used_units:,} units used and {each.unused_units:,} not; for the decision on the"
                " policy, and not applied"
            )


def _band_report(title: str, bands: Iterable[finance_reports_pb2.LiabilityBand]) -> Report:
    columns = (ENTITY, CURRENCY, Column("Band", "band"), Column("Lots", "lots", Kind.COUNT))
    rows = [
        (band.entity, band.amount.currency_code, band.label, band.lot_count, band.amount.nanos)
        for band in bands
    ]
    return Report(title, (*columns, *money_columns("Amount")), rows)


def _cohort_report(answer: finance_reports_pb2.GetBreakageAnalysisResponse) -> Report:
    counts = ("Lots", "Ended", "Granted", "Refunded", "Unused")
    columns = (
        Column("Month", "month"),
        ENTITY,
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
