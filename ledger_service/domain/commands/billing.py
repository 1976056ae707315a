"""Commands that record what rating has issued."""

from __future__ import annotations

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import CreditNoteIssued, InvoiceIssued


class RecordInvoice(Command, frozen=True):
    """Record an invoice of a contract."""

    contract: str
    issued: InvoiceIssued


class RecordCreditNote(Command, frozen=True):
    """Record a credit note on a recorded invoice of a contract."""

    contract: str
    issued: CreditNoteIssued
