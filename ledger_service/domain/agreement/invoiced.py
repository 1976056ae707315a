"""What a contract remembers of its invoices: enough to refuse a second one for a cycle, and notes above it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.events import CreditNoteIssued, InvoiceIssued
from ledger_service.domain.values import InvoiceKind


class Invoiced(msgspec.Struct, frozen=True):
    """An invoice: its total, what credit notes gave back of it, and whether it closes its cycle."""

    currency_code: str
    total_nanos: int
    cycle_start_time: datetime
    closes_cycle: bool
    credited_nanos: int = 0


def invoiced_with(
    invoices: dict[str, Invoiced], issued: InvoiceIssued | CreditNoteIssued
) -> dict[str, Invoiced]:
    """Return what is known of invoices after one more document."""
    if isinstance(issued, InvoiceIssued):
        new = Invoiced(
            issued.currency_code,
            issued.total_nanos,
            issued.cycle_start_time,
            issued.kind is not InvoiceKind.THRESHOLD,
        )
        return {**invoices, issued.invoice: new}
    before = invoices[issued.invoice]
    credited_nanos = before.credited_nanos + issued.total_nanos
    return {**invoices, issued.invoice: msgspec.structs.replace(before, credited_nanos=credited_nanos)}
