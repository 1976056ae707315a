"""Invoices: what a customer owes for one cycle, computed from recorded facts only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum

from rating_service.domain.agreement import Asset, Contract, Money, Record, UnitPrice
from rating_service.domain.cycles import CycleBounds
from rating_service.domain.debits import DebitFact, GrantFact


class LineKind(Enum):
    """What a line is for."""

    BASE_FEE = "BASE_FEE"
    USAGE = "USAGE"
    OVERAGE = "OVERAGE"


class LineKey(Record):
    """What debits of one line have in common."""

    kind: LineKind
    contract_phase: str
    rate_card_phase: str = ""
    unit_price: UnitPrice | None = None


class InvoiceLine(Record):
    """One line. The lines' amounts add up to the total."""

    line_id: str
    key: LineKey
    description: str
    amount: Money
    amount_units: int = 0
    debit_count: int = 0
    quantities: dict[str, int] = {}


class Invoice(Record):
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


def compute_invoice(
    *,
    contract: Contract,
    cycle: CycleBounds,
    debits: Iterable[DebitFact],
    grants: Iterable[GrantFact],
    watermark_position: int,
    name: str = "",
    issue_time: datetime | None = None,
) -> Invoice:
    """Return the invoice of a cycle. Debits outside the cycle or of other wallets are passed over.

    `grants` are those of the contract's wallet; they say which draws were included units. The order of debits
    does not matter. Refuses MIXED_CURRENCIES.
    """
    raise NotImplementedError


def line_units(contract: Contract, debit: DebitFact) -> dict[LineKey, int]:
    """Return the lines that a debit is part of, with the units that it adds to each."""
    raise NotImplementedError


def document(invoice: Invoice) -> bytes:
    """Return the invoice as canonical JSON: keys sorted, no spaces, integers and text only."""
    raise NotImplementedError


def document_hash(document: bytes) -> str:
    """Return the SHA-256 (hex) of a document."""
    raise NotImplementedError


def read_document(document: bytes) -> Invoice:
    """Return the invoice behind a document. Raises msgspec.ValidationError."""
    raise NotImplementedError
