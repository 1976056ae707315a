"""The journal as rows, one an account, for spreadsheets, general ledgers and columnar files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, datetime
from io import StringIO
from typing import Final

import msgspec

from ledger_service.application.exporting.journal_texts import TextSpan, event_name, money_text
from ledger_service.domain.finance.accounts import KINDS, Chart
from ledger_service.domain.finance.booked import BookedEntry


class JournalRow(msgspec.Struct, frozen=True):
    """What an entry did to an account. `nanos` are debited above zero and credited below."""

    posting_day: date
    effective_day: date
    record_time: datetime
    stream: str
    version: int
    position: int
    event: str
    entity: str
    account: str
    account_kind: str
    currency_code: str
    nanos: int
    product: str
    model: str


CSV_COLUMNS: Final = (
    "posting_date",
    "effective_date",
    "record_time",
    "stream",
    "version",
    "position",
    "event",
    "entity",
    "account",
    "account_kind",
    "currency",
    "debit",
    "credit",
    "product",
    "model",
)


class CsvText:
    """Writes entries as the lines of a general ledger in CSV (RFC 4180)."""

    def __init__(self, chart: Chart, span: TextSpan) -> None:
        """Call accounts as the chart does."""
        self._chart = chart
        self._span = span

    def entry(self, booked: BookedEntry) -> str:
        """Return a line an account."""
        if not self._span.holds(booked.entry.posting_day):
            return ""
        text = StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        for row in rows_of(booked, self._chart):
            amount = money_text(abs(row.nanos))
            writer.writerow(
                (
                    row.posting_day,
                    row.effective_day,
                    row.record_time.isoformat(),
                    row.stream,
                    row.version,
                    row.position,
                    row.event,
                    row.entity,
                    row.account,
                    row.account_kind,
                    row.currency_code,
                    amount if row.nanos > 0 else "",
                    amount if row.nanos < 0 else "",
                    row.product,
                    row.model,
                )
            )
        return text.getvalue()

    def opening(self) -> str:
        """Return nothing: rows are those of the span."""
        return ""


class JsonText:
    """Writes entries as JSON, a line an account."""

    def __init__(self, chart: Chart, span: TextSpan) -> None:
        """Call accounts as the chart does."""
        self._chart = chart
        self._span = span

    def entry(self, booked: BookedEntry) -> str:
        """Return a line an account."""
        if not self._span.holds(booked.entry.posting_day):
            return ""
        return "".join(f"{msgspec.json.encode(row).decode()}\n" for row in rows_of(booked, self._chart))

    def opening(self) -> str:
        """Return nothing: rows are those of the span."""
        return ""


def csv_head(chart: Chart, *, entities: tuple[str, ...], currencies: tuple[str, ...]) -> str:  # noqa: ARG001
    """Return the line of column names."""
    return ",".join(CSV_COLUMNS) + "\r\n"


def no_head(chart: Chart, *, entities: tuple[str, ...], currencies: tuple[str, ...]) -> str:  # noqa: ARG001
    """Return nothing."""
    return ""


def rows_of(booked: BookedEntry, chart: Chart) -> Iterator[JournalRow]:
    """Yield a row for each line of an entry."""
    entry = booked.entry
    for line in entry.lines:
        yield JournalRow(
            entry.posting_day,
            entry.effective_day,
            entry.record_time,
            entry.stream,
            entry.version,
            entry.position,
            event_name(entry.topic),
            entry.entity,
            chart.name(line.account),
            KINDS[line.account].value,
            line.currency_code,
            line.nanos,
            line.product,
            booked.model,
        )
