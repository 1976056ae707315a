"""Issued invoices as they are named, stored and handed back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from rating_service.application.ports import StoredInvoice
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.invoicing.invoice import Invoice, document, document_hash, read_document

NAME_TIME_FORMAT: Final = "%Y%m%dT%H%M%SZ"


class ReadInvoice(msgspec.Struct, frozen=True):
    """An invoice with its document as stored, or as it would be."""

    invoice: Invoice
    document: bytes
    hash: str
    replayed: bool = False
    """True if an earlier call had issued it."""


class InvoicePage(NamedTuple):
    """Invoices by name, and the token of the next page, empty if there is none."""

    invoices: list[ReadInvoice]
    next_page_token: str


def invoice_name(contract_name: str, cycle: CycleBounds) -> str:
    """Return the name of a cycle's invoice: contract and first second, so that names sort by cycle.

    The time has a fixed length, so two contracts never share a name.
    """
    start = cycle.start_time.astimezone(UTC).strftime(NAME_TIME_FORMAT)
    return f"invoices/{contract_name.removeprefix('contracts/')}-{start}"


def advance_name(contract_name: str, cycle: CycleBounds) -> str:
    """Return the name of the invoice of a first cycle's fees in advance: before those of thresholds, from 1 on."""
    return f"{invoice_name(contract_name, cycle)}-0"


def stored_invoice(invoice: Invoice, *, issue_time: datetime) -> StoredInvoice:
    text = document(invoice)
    return StoredInvoice(
        name=invoice.name,
        contract=invoice.contract,
        cycle_start_time=invoice.cycle.start_time,
        cycle_end_time=invoice.cycle.end_time,
        issue_time=issue_time,
        watermark_position=invoice.watermark_position,
        hash=document_hash(text),
        document=text,
        kind=invoice.kind.value,
        sequence=invoice.sequence,
        owed_nanos=invoice.credit_due.nanos if invoice.credit_due else 0,
    )


def read_stored(stored: StoredInvoice, *, replayed: bool = False) -> ReadInvoice:
    return ReadInvoice(read_document(stored.document), stored.document, stored.hash, replayed)


def as_read(preview: Invoice) -> ReadInvoice:
    text = document(preview)
    return ReadInvoice(preview, text, document_hash(text))
