"""Refusals concerning billing terms, and invoices and credit notes that rating records."""

from __future__ import annotations

from ledger_service.domain.refusals.base import Refusal


class CurrencyMismatch(Refusal):
    """Two amounts that must be in one currency are not."""

    reason = "CURRENCY_MISMATCH"


class InvoiceExists(Refusal):
    """An invoice of this name was recorded before, under another idempotency key, or the cycle has another one."""

    reason = "INVOICE_EXISTS"


class InvoiceNotFound(Refusal):
    """No such invoice was recorded for the contract."""

    reason = "INVOICE_NOT_FOUND"


class AmountsUnbalanced(Refusal):
    """The amounts and the tax of a document do not add up to its total."""

    reason = "AMOUNTS_UNBALANCED"


class CreditNoteAboveInvoice(Refusal):
    """The credit notes of an invoice would exceed it."""

    reason = "CREDIT_NOTE_ABOVE_INVOICE"
