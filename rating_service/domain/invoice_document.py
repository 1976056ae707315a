"""The invoice as a value and as bytes.

Issued bytes never change: members may be added with a default, never renamed or removed, and the bytes of an
issued invoice are stored, not written anew.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import Final

import msgspec

from rating_service.domain.agreement import Asset, Money, Record, UnitPrice
from rating_service.domain.cycles import CycleBounds


class LineKind(Enum):
    """What a line is for, in the order in which lines stand."""

    BASE_FEE = "BASE_FEE"
    USAGE = "USAGE"
    OVERAGE = "OVERAGE"


class LineKey(Record, frozen=True):
    """What the debits of one line have in common."""

    kind: LineKind
    contract_phase: str
    rate_card_phase: str = ""
    unit_price: UnitPrice | None = None


class InvoiceLine(Record, frozen=True):
    """One line. The lines' amounts add up to the total."""

    line_id: str
    key: LineKey
    description: str
    amount: Money
    amount_units: int = 0
    debit_count: int = 0
    quantities: dict[str, int] = msgspec.field(default_factory=dict)


class Invoice(Record, frozen=True):
    """What a customer owes for one cycle. A preview has no name and no issue time."""

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
