"""The invoice as a value and as bytes.

Issued bytes never change: members may be added with a default, never renamed or removed, and the bytes of an
issued invoice are stored, not written anew. What was given with the call, and is in no log (taxes, open
credits), stands in the document, so that it can be computed again from it and the log.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Asset, Money, Record, TaxRate
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.documents.invoice_lines import InvoiceLine, LineDetail, LineKey, LineKind

__all__ = [
    "CommitmentState",
    "Invoice",
    "InvoiceKind",
    "InvoiceLine",
    "LineDetail",
    "LineKey",
    "LineKind",
    "OpenCredit",
    "Purchase",
    "TaxLine",
    "document",
    "document_hash",
    "read_document",
]


class InvoiceKind(Enum):
    """What an invoice closes."""

    CYCLE = "CYCLE"
    """A cycle that ended, with what was learned since about earlier ones."""
    THRESHOLD = "THRESHOLD"
    """What a running cycle's usage has come to; the cycle's own invoice gives it back as THRESHOLD_CREDIT."""
    FINAL = "FINAL"
    """The last cycle of a contract that has ended."""
    ADVANCE = "ADVANCE"
    """The fees of a contract's first cycle, where they are billed in advance."""


CLOSING_KINDS: Final = frozenset({InvoiceKind.CYCLE, InvoiceKind.FINAL})
"""Invoices that close their cycle: it has one of them, for ever."""


class TaxLine(Record, frozen=True):
    """One tax on the net amount of the lines that it applies to, rounded once, half up."""

    rate: TaxRate
    net: Money
    amount: Money


class Purchase(Record, frozen=True):
    """A paid grant of the cycle: what was bought, and what was paid for it. Nothing of it is due.

    `top_up` names the top-up that paid for it, if one did; `reference` is the payer's own.
    """

    grant: str
    effective_time: datetime
    amount_units: int
    paid: Money
    reference: str = ""
    top_up: str = ""


class CommitmentState(Record, frozen=True):
    """A commitment's period and what it has come to, this invoice included.

    `used_nanos` is what usage has cost, the sum of `cycles`, by the first instant of the cycle that it was in. `billed`
    is what was billed of the commitment itself, by line kind. All are exact: whole numbers or fractions, as in lines;
    `billed_nanos` is what the lines were rounded to, together.
    """

    from_time: datetime
    to_time: datetime
    amount: Money
    overage_factor: str = "1"
    prepaid: bool = False
    used_nanos: str = "0"
    cycles: dict[str, str] = msgspec.field(default_factory=dict)
    billed: dict[str, str] = msgspec.field(default_factory=dict)
    billed_nanos: int = 0


class OpenCredit(Record, frozen=True):
    """What is left of a credit note that was settled as credit, before this invoice."""

    credit_note: str
    left: Money


class Invoice(Record, frozen=True):
    """What a customer owes for one cycle. A preview has no name and no issue time.

    total = sum of the lines + taxes, never below zero: what is due to the customer instead is `credit_due`, and
    stands among the lines as CREDIT_DUE until a credit note settles it. `net` is the sum of the lines that tax is
    reckoned on. `sequence` counts the invoices of a contract from 1, in the order of issue. `tax_rates` are those
    of the invoice's own lines. Purchases were paid before and are no part of the total. Of the included units that were
    used, `included_adjusting_units` went to adjustments of earlier cycles.
    """

    contract: str
    customer: str
    plan: str
    plan_version: int
    asset: Asset
    cycle: CycleBounds
    watermark_position: int
    lines: tuple[InvoiceLine, ...]
    total: Money
    included_units: int
    included_used_units: int
    name: str = ""
    issue_time: datetime | None = None
    kind: InvoiceKind = InvoiceKind.CYCLE
    sequence: int = 0
    net: Money | None = None
    taxes: tuple[TaxLine, ...] = ()
    tax: Money | None = None
    credit_due: Money | None = None
    included_left_units: int = 0
    purchases: tuple[Purchase, ...] = ()
    tax_rates: tuple[TaxRate, ...] = ()
    taxes_given: bool = False
    commitments: tuple[CommitmentState, ...] = ()
    open_credits: tuple[OpenCredit, ...] = ()
    included_adjusting_units: int = 0


_encoder: Final = msgspec.json.Encoder(order="sorted")


def document(invoice: Invoice) -> bytes:
    """Return the invoice as canonical JSON: keys sorted, no spaces, integers and text only."""
    return _encoder.encode(invoice)


def document_hash(content: bytes) -> str:
    """Return the SHA-256 (hex) of a document."""
    return sha256(content).hexdigest()


def read_document(content: bytes) -> Invoice:
    """Return the invoice behind a document. Raises msgspec.ValidationError."""
    return msgspec.json.decode(content, type=Invoice)
