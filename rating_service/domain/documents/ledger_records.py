"""What the ledger is told of an issued document: enough to check it by, and for the journal to follow.

A record is made from its document when that is issued, and stored as canonical JSON. The ledger keeps it as a fact
of the contract's stream, under the document's name as idempotency key; so the hash of every document stands in
the ledger's own chain of hashes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Record


class RecordedAmount(Record, frozen=True):
    """One amount of a document, net of tax: what it is for, and the half-open span of the service that it pays for.

    `product` is what was sold, for reports.
    """

    kind: str
    nanos: int
    from_time: datetime | None = None
    to_time: datetime | None = None
    product: str = ""


class InvoiceRecord(Record, frozen=True, tag_field="document_kind", tag="INVOICE"):
    """An issued invoice. `total_nanos` is the sum of the amounts and the tax."""

    invoice: str
    contract: str
    kind: str
    cycle_start_time: datetime
    cycle_end_time: datetime
    issue_time: datetime
    watermark_position: int
    document_hash: str
    currency_code: str
    amounts: tuple[RecordedAmount, ...]
    tax_nanos: int
    total_nanos: int

    @property
    def document(self) -> str:
        """Name of the document."""
        return self.invoice


class CreditNoteRecord(Record, frozen=True, tag_field="document_kind", tag="CREDIT_NOTE"):
    """An issued credit note. Its amounts are positive, like its total: they lower the invoice."""

    credit_note: str
    contract: str
    invoice: str
    settlement: str
    issue_time: datetime
    document_hash: str
    currency_code: str
    amounts: tuple[RecordedAmount, ...]
    tax_nanos: int
    total_nanos: int
    reason: str

    @property
    def document(self) -> str:
        """Name of the document."""
        return self.credit_note


DocumentRecord = InvoiceRecord | CreditNoteRecord

_encoder: Final = msgspec.json.Encoder(order="sorted")
_decoder: Final[msgspec.json.Decoder[DocumentRecord]] = msgspec.json.Decoder(DocumentRecord)


def encode_record(record: DocumentRecord) -> bytes:
    """Return a record as canonical JSON."""
    return _encoder.encode(record)


def decode_record(payload: bytes) -> DocumentRecord:
    """Return the record behind canonical JSON. Raises msgspec.ValidationError."""
    return _decoder.decode(payload)
