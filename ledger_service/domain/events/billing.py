"""The facts about bills: which invoice or credit note was issued, by its hash, and what it comes to.

The documents are rating's. What stands here ties each to the hash chain of the contract's stream, and is all that
the books need of it.
"""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.record import Record
from ledger_service.domain.values import InvoiceKind, NoteSettlement


class BilledAmount(Record, frozen=True):
    """What one kind of line comes to, net of tax, for the service of [from_time, to_time); credits are below 0.

    `kind` is a word such as BASE_FEE or OVERAGE, `product` what was sold, for reports.
    """

    kind: str
    nanos: int
    from_time: datetime | None = None
    to_time: datetime | None = None
    product: str = ""


class InvoiceIssued(Record, frozen=True):
    """An invoice was issued; `amounts` and tax add up to its total. Effective when it was issued."""

    invoice: str
    kind: InvoiceKind
    cycle_start_time: datetime
    cycle_end_time: datetime
    watermark_position: int
    document_hash: str
    issue_time: datetime
    currency_code: str
    amounts: tuple[BilledAmount, ...] = ()
    tax_nanos: int = 0
    total_nanos: int = 0


class CreditNoteIssued(Record, frozen=True):
    """A credit note on an invoice was issued; what it gives back is above 0, and so is its total."""

    credit_note: str
    invoice: str
    settlement: NoteSettlement
    document_hash: str
    issue_time: datetime
    currency_code: str
    amounts: tuple[BilledAmount, ...] = ()
    tax_nanos: int = 0
    total_nanos: int = 0
    reason: str = ""
