"""Journal entries as people read them: what happened, and below it what was debited and credited."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from credits.ledger.v1 import finance_reports_pb2
from ledger_service.cli.client import show_instant
from ledger_service.cli.money import show_money

DEFAULT_ENTITY: Final = "default"
"""It goes without saying."""


def journal_table(entries: Iterable[finance_reports_pb2.JournalEntry]) -> Table:
    """Return a table of entries; a day on which an entry counts is told where it is posted on another."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, title="Journal", title_justify="left")
    table.add_column("Posted", no_wrap=True)
    table.add_column("What", overflow="fold")
    table.add_column("Debit", justify="right", no_wrap=True)
    table.add_column("Credit", justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(show_instant(entry.posting_time)[:10], _heading(entry), "", "")
        for line in entry.lines:
            amount = show_money(line.amount).removeprefix("-")
            sides = ("", amount) if line.amount.nanos < 0 else (amount, "")
            product = f"  [dim]{line.product}[/]" if line.product else ""
            table.add_row("", f"  {line.account}{product}", *sides)
    return table


def _heading(entry: finance_reports_pb2.JournalEntry) -> str:
    counts = show_instant(entry.effective_time)[:10]
    words = [
        f"[bold]{entry.topic.split('.')[1]}[/]",
        f"{entry.stream} version {entry.version}" if entry.version else entry.stream,
        "" if counts == show_instant(entry.posting_time)[:10] else f"counts {counts}",
        "" if entry.entity == DEFAULT_ENTITY else entry.entity,
        entry.feature,
        entry.model,
    ]
    return "  ".join(word for word in words if word)
