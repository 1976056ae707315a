"""What a contract remembers of its invoices: enough to refuse a second one for a cycle, and notes above it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from ledger_service.domain.events import CreditNoteIssued, InvoiceIssued
from ledger_service.domain.values import CLOSING_KINDS

CREDIT_DUE: Final = "CREDIT_DUE"
"""Kind of the amount that an invoice owes, and of the notes that settle it."""


class Invoiced(msgspec.Struct, frozen=True):
    """An invoice: its total, what credit notes gave back of it, and whether it closes its cycle.

    One that comes to less than nothing has a total of 0 and owes `owed_nanos` to the customer.
    """

    currency_code: str
    total_nanos: int
    cycle_start_time: datetime
    closes_cycle: bool
    credited_nanos: int = 0
    owed_nanos: int = 0


def invoiced_with(
    invoices: dict[str, Invoiced], issued: InvoiceIssued | CreditNoteIssued
) -> dict[str, Invoiced]:
    """Return what is known of invoices after one more document."""
    if isinstance(issued, InvoiceIssued):
        new = Invoiced(
            issued.currency_code,
            issued.total_nanos,
            issued.cycle_start_time,
            issued.kind in CLOSING_KINDS,
            owed_nanos=sum(each.nanos for each in issued.amounts if each.kind == CREDIT_DUE),
        )
        return {**invoices, issued.invoice: new}
    before = invoices[issued.invoice]
    credited_nanos = before.credited_nanos + issued.total_nanos
    return {**invoices, issued.invoice: msgspec.structs.replace(before, credited_nanos=credited_nanos)}
