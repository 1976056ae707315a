"""The roll-forward of contract liability on the command line."""

from __future__ import annotations

from typing import Annotated, Final

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

COLUMNS: Final = (
    Column("Day", "day"),
    CURRENCY,
    *money_columns("Opening", "Billings"),
    *money_columns("Usage", "Breakage", "By time", "Drawn down", "Refunds", "Escheat"),
    *money_columns("Closing"),
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

    def report() -> Report:
        rows = [cells_of(show_instant(row.from_time)[:10], row) for row in answer.days]
        return Report("Contract liability", COLUMNS, [*rows, cells_of("Total", answer.total)])

    put_out(answer, report, Wanted(json, csv, parquet))


def cells_of(label: str, row: finance_service_pb2.RollForwardRow) -> tuple[Cell, ...]:
    """Return the cells of a row; what comes after billings is taken off, and closing is what is left."""
    recognised = (row.recognised_usage, row.recognised_breakage, row.recognised_over_time)
    gone = (*recognised, row.commitments_drawn, row.refunds, row.escheat)
    return (label, row.opening.currency_code, *nanos_of(row.opening, row.billings, *gone, row.closing))
