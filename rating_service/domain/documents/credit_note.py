"""Credit notes: what was taken back of an issued invoice, as values and as bytes.

Issued bytes never change: members may be added with a default, never renamed or removed. How a note is computed
is in `crediting`.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Money, Record
from rating_service.domain.documents.ledger_records import CreditNoteRecord, RecordedAmount


class Settlement(Enum):
    """What becomes of the credited amount."""

    REFUND = "REFUND"
    """It is paid back."""
    CREDIT = "CREDIT"
    """The customer keeps it, and later invoices of the contract apply it."""
    OFFSET = "OFFSET"
    """It lowers what is still to be paid of the invoice itself."""


class LineCredit(Record, frozen=True):
    """What to credit of a line: an amount, the part that pays for service from an instant on, or what is left."""

    line_id: str
    amount: Money | None = None
    unused_from_time: datetime | None = None


class NoteOrder(Record, frozen=True):
    """What was asked for: single lines, a net amount over all lines, or the whole rest of the invoice.

    Or, of an invoice that owes its customer something, to credit a part of that: `settles` and `total`.
    """

    invoice: str
    settlement: Settlement
    reason: str
    lines: tuple[LineCredit, ...] = ()
    net_amount: Money | None = None
    whole: bool = False
    settles: str = ""
    total: Money | None = None


class CreditableLine(Record, frozen=True):
    """A line of an invoice: its net amount, and the span of service that it pays for if it says so."""

    line_id: str
    kind: str
    description: str
    nanos: int
    from_time: datetime | None = None
    to_time: datetime | None = None


class CreditableTax(Record, frozen=True):
    """A tax of an invoice."""

    name: str
    percent: str
    jurisdiction: str
    nanos: int


class Creditable(Record, frozen=True):
    """What credit notes need to know of an issued invoice: lines net of tax, taxes, and the total due.

    One that owes its customer `owed_nanos` has a total of 0. `returned` is what later invoices have returned of fees in
    advance, by line, in nanos.
    """

    invoice: str
    invoice_hash: str
    contract: str
    customer: str
    currency_code: str
    total_nanos: int
    lines: tuple[CreditableLine, ...]
    taxes: tuple[CreditableTax, ...] = ()
    owed_nanos: int = 0
    returned: dict[str, int] = {}

    @property
    def net_nanos(self) -> int:
        """Net amount of the invoice."""
        return sum(line.nanos for line in self.lines)


class CreditNote(Record, frozen=True):
    """What was taken back of an invoice. Its lines are the invoice's, with the amounts credited; all above zero."""

    name: str
    number: int
    order: NoteOrder
    invoice_hash: str
    contract: str
    customer: str
    lines: tuple[CreditableLine, ...]
    taxes: tuple[CreditableTax, ...]
    net: Money
    tax: Money
    total: Money
    issue_time: datetime
    watermark_position: int


_encoder: Final = msgspec.json.Encoder(order="sorted")


def note_document(note: CreditNote) -> bytes:
    """Return the note as canonical JSON: keys sorted, no spaces, integers and text only."""
    return _encoder.encode(note)


def read_note(content: bytes) -> CreditNote:
    """Return the note behind a document. Raises msgspec.ValidationError."""
    return msgspec.json.decode(content, type=CreditNote)


def note_record(note: CreditNote, note_hash: str) -> CreditNoteRecord:
    """Return what the ledger is told of a note."""
    return CreditNoteRecord(
        credit_note=note.name,
        contract=note.contract,
        invoice=note.order.invoice,
        settlement=note.order.settlement.value,
        issue_time=note.issue_time,
        document_hash=note_hash,
        currency_code=note.total.currency_code,
        amounts=tuple(
            RecordedAmount(line.kind, line.nanos, line.from_time, line.to_time) for line in note.lines
        ),
        tax_nanos=note.tax.nanos,
        total_nanos=note.total.nanos,
        reason=note.order.reason,
    )
