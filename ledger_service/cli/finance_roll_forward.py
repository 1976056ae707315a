"""The roll-forward of contract liability on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from credits.ledger.v1 import finance_service_pb2
from ledger_service.cli.client import ADDRESS_DEFAULT, Address, AsJson, CaFile, read_instant, show_instant
from ledger_service.cli.finance_scope import (
    CURRENCY,
    REPORT_SECONDS_MAX,
    Entity,
    From,
    Known,
    To,
    call,
    instant,
)
from ledger_service.cli.report_output import (
    Cell,
    Column,
    Csv,
    ParquetFile,
    Report,
    Wanted,
    money_columns,
    nanos_of,
    put_out,
)


def roll_forward(
    from_time: From,
    to_time: To,
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "USD",
    entity: Entity = "",
    known: Known = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
    csv: Csv = False,
    parquet: ParquetFile = None,
) -> None:
    """Roll contract liability (deferred revenue) forward, day by day; the last row is the whole span."""
    request = finance_service_pb2.GetRollForwardRequest(
        from_time=read_instant(from_time, option="--from"),
        to_time=read_instant(to_time, option="--to"),
        currency_code=currency,
        entity=entity,
        known_time=instant(known, option="--known"),
    )
    answer = call(lambda stub: stub.GetRollForward(request, timeout=REPORT_SECONDS_MAX), address, ca_file)
    columns = (
        Column("Day", "day"),
        CURRENCY,
        *money_columns(
            "Opening", "Billings", "Usage", "Breakage", "By time", "Refunds", "Escheat", "Closing"
        ),
    )

    def report() -> Report:
        rows = [_row(show_instant(row.from_time)[:10], row) for row in answer.days]
        return Report("Contract liability", columns, [*rows, _row("Total", answer.total)])

    put_out(answer, report, Wanted(json, csv, parquet))


def _row(label: str, row: finance_service_pb2.RollForwardRow) -> tuple[Cell, ...]:
    recognised = (row.recognised_usage, row.recognised_breakage, row.recognised_over_time)
    amounts = (row.opening, row.billings, *recognised, row.refunds, row.escheat, row.closing)
    return (label, row.opening.currency_code, *nanos_of(*amounts))
