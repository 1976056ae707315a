"""What invoices owe their customers and no credit note has settled, as a table."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from credits.rating.v1 import credit_due_pb2
from rating_service.cli.amounts import money
from rating_service.cli.instants import day

CAPTION = "settled by itself where an earlier invoice has room; else: rating credit-note settle INVOICE"


def credits_due(owing: Iterable[credit_due_pb2.CreditDue]) -> Table:
    """Return a table with a row for each invoice."""
    table = Table(title="owed to customers", title_justify="left", caption=CAPTION, caption_justify="left")
    table.add_column("invoice", overflow="fold")
    table.add_column("issued", overflow="fold")
    for heading in ("due", "settled", "left"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in owing:
        table.add_row(
            each.invoice, day(each.issue_time), money(each.due), money(each.settled), money(each.left)
        )
    return table
