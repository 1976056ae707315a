"""Builders of what rating has issued: invoices and credit notes to be recorded."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands import RecordCreditNote, RecordInvoice
from ledger_service.domain.events import BilledAmount, CreditNoteIssued, InvoiceIssued
from ledger_service.domain.values import InvoiceKind, NoteSettlement
from tests.builders import CONTRACT, NOW, after

INVOICE = "invoices/acme-20260301T120000Z"
NOTE = "creditNotes/acme-1"
HASH = "ab" * 32


def record_invoice(
    *nanos: int,
    invoice: str = INVOICE,
    kind: InvoiceKind = InvoiceKind.CYCLE,
    tax_nanos: int = 0,
    total_nanos: int | None = None,
    currency_code: str = "EUR",
    start_time: datetime = NOW,
    issue_time: datetime = NOW,
) -> RecordInvoice:
    """Return an invoice over amounts of one kind each; the total is their sum with the tax unless told."""
    issued = InvoiceIssued(
        invoice=invoice,
        kind=kind,
        cycle_start_time=start_time,
        cycle_end_time=after(days=31),
        watermark_position=7,
        document_hash=HASH,
        issue_time=issue_time,
        currency_code=currency_code,
        amounts=tuple(BilledAmount("BASE_FEE", each, NOW, after(days=31), "pro") for each in nanos),
        tax_nanos=tax_nanos,
        total_nanos=sum(nanos) + tax_nanos if total_nanos is None else total_nanos,
    )
    return RecordInvoice(CONTRACT, issued)


def record_credit_note(
    nanos: int,
    *,
    credit_note: str = NOTE,
    invoice: str = INVOICE,
    tax_nanos: int = 0,
    currency_code: str = "EUR",
    issue_time: datetime = NOW,
) -> RecordCreditNote:
    """Return a credit note over one amount and its tax."""
    issued = CreditNoteIssued(
        credit_note=credit_note,
        invoice=invoice,
        settlement=NoteSettlement.CREDIT,
        document_hash=HASH,
        issue_time=issue_time,
        currency_code=currency_code,
        amounts=(BilledAmount("BASE_FEE", nanos),),
        tax_nanos=tax_nanos,
        total_nanos=nanos + tax_nanos,
        reason="outage",
    )
    return RecordCreditNote(CONTRACT, issued)
