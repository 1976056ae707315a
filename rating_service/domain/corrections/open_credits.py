"""Credit that a customer has from credit notes that were settled as credit, until invoices have applied it.

What is left before an invoice is what the invoice before it left, and the notes that the ledger has recorded since; so
it follows from documents and the log alone. The oldest note comes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Money, Record
from rating_service.domain.documents.invoice_document import Invoice, OpenCredit
from rating_service.domain.documents.invoice_lines import LineKind

NOTE_TOPIC: Final = "contract.CreditNoteIssued.v1"
_AS_CREDIT: Final = "CREDIT"


class NoteFact(Record, frozen=True):
    """A credit note as the ledger recorded it."""

    credit_note: str
    settlement: str
    currency_code: str
    total_nanos: int
    invoice: str = ""


class _Document(Record, frozen=True):
    invoice: str = ""
    credit_note: str = ""


class _DocumentFact(Record, frozen=True):
    event: _Document


class _Fact(Record, frozen=True):
    event: NoteFact


_documents: Final = msgspec.json.Decoder(_DocumentFact)
_notes: Final = msgspec.json.Decoder(_Fact)


def decode_note(state: bytes) -> NoteFact:
    """Return the credit note behind an event of NOTE_TOPIC. Raises msgspec.ValidationError."""
    return _notes.decode(state).event


def recorded_document(state: bytes) -> str:
    """Return the name of the document behind a record of an invoice or a credit note."""
    event = _documents.decode(state).event
    return event.credit_note or event.invoice


def credits_left(before: Invoice | None, notes: Iterable[NoteFact]) -> tuple[OpenCredit, ...]:
    """Return what is left after an invoice, and of the notes that were recorded since its watermark."""
    left = [] if before is None else [_left(credit, before) for credit in before.open_credits]
    left += [
        OpenCredit(note.credit_note, Money(note.currency_code, note.total_nanos))
        for note in notes
        if note.settlement == _AS_CREDIT
    ]
    return tuple(credit for credit in left if credit.left.nanos > 0)


def _left(credit: OpenCredit, invoice: Invoice) -> OpenCredit:
    applied_nanos = -sum(
        line.amount.nanos
        for line in invoice.lines
        if line.key.kind is LineKind.CREDIT_APPLIED and line.source == credit.credit_note
    )
    left = Money(credit.left.currency_code, credit.left.nanos - applied_nanos)
    return msgspec.structs.replace(credit, left=left)
