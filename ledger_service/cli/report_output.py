"""A report for whoever reads it: a table for people, JSON, CSV or Parquet for programs.

In CSV and Parquet an amount of money is an exact decimal, with its currency in a column of its own.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from google.protobuf.message import Message
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from credits.ledger.v1 import money_pb2
from ledger_service.cli import parquet_files
from ledger_service.cli.client import console, fail, folded, print_json, show_units
from ledger_service.cli.money import MONEY_SCALE

Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
ParquetFile = Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file.")]
Cell = str | int
WIDTH_MAX: Final = 10_000
"""Columns of a screen on which every table fits."""


class Kind(Enum):
    """What a column holds: money is in integer nanos."""

    TEXT = "TEXT"
    COUNT = "COUNT"
    MONEY = "MONEY"


class Column(msgspec.Struct, frozen=True):
    """A column; its name is that of CSV and Parquet."""

    title: str
    name: str
    kind: Kind = Kind.TEXT


class Report(msgspec.Struct, frozen=True):
    """Rows of a report."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]


class Wanted(msgspec.Struct, frozen=True):
    """In which form a report is wanted."""

    json: bool
    csv: bool
    parquet: Path | None


def money_columns(*titles: str) -> tuple[Column, ...]:
    """Return columns of money."""
    return tuple(Column(title, title.lower().replace(" ", "_"), Kind.MONEY) for title in titles)


def put_out(answer: Message, report: Callable[[], Report], wanted: Wanted) -> None:
    """Give an answer in the form that is wanted; at most one may be."""
    if sum((wanted.json, wanted.csv, wanted.parquet is not None)) > 1:
        fail("--json, --csv and --parquet: only one of them")
    if wanted.json:
        print_json(answer)
    elif wanted.csv:
        _print_csv(report())
    elif wanted.parquet is not None:
        rows = report()
        parquet_files.write(wanted.parquet, _schema(rows), rows.rows)
        console.print(f"{len(rows.rows):,} rows in {wanted.parquet}")
    else:
        shown, is_whole = report_table(report(), console)
        console.print(shown)
        if not is_whole:
            console.print("Columns without a figure are left out here; --json and --csv have them.")


def nanos_of(*amounts: money_pb2.Money) -> tuple[int, ...]:
    """Return amounts of money."""
    return tuple(amount.nanos for amount in amounts)


def report_table(report: Report, screen: Console) -> tuple[Table, bool]:
    """Return a report as a table for a screen, and whether it has all columns.

    Where they are too many for its width, those without a figure are left out; what is too long even then is folded,
    and nothing is cut.
    """
    table = _table(report, range(len(report.columns)))
    width = Measurement.get(screen, screen.options.update(width=WIDTH_MAX), table).maximum
    if width <= screen.width or not report.rows:
        return table, True
    told = [place for place in range(len(report.columns)) if any(row[place] for row in report.rows)]
    return _table(report, told), len(told) == len(report.columns)


def _table(report: Report, places: Sequence[int]) -> Table:
    columns = [report.columns[place] for place in places]
    table = Table(title=report.title)
    for column in columns:
        table.add_column(column.title, justify="left" if column.kind is Kind.TEXT else "right")
    for row in report.rows:
        cells = zip(columns, (row[place] for place in places), strict=True)
        table.add_row(*(_show(column.kind, cell) for column, cell in cells))
    return folded(table)


def _show(kind: Kind, cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    return show_units(cell, MONEY_SCALE) if kind is Kind.MONEY else f"{cell:,}"


def _print_csv(report: Report) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow([column.name for column in report.columns])
    for row in report.rows:
        cells = zip(report.columns, row, strict=True)
        writer.writerow([_plain(column.kind, cell) for column, cell in cells])


def _plain(kind: Kind, cell: Cell) -> Cell:
    return (
        show_units(cell, MONEY_SCALE).replace(",", "")
        if kind is Kind.MONEY and isinstance(cell, int)
        else cell
    )


def _schema(report: Report) -> tuple[parquet_files.Field, ...]:
    kinds = {
        Kind.TEXT: parquet_files.Type.TEXT,
        Kind.COUNT: parquet_files.Type.INTEGER,
        Kind.MONEY: parquet_files.Type.MONEY,
    }
    return tuple(parquet_files.Field(column.name, kinds[column.kind]) for column in report.columns)
