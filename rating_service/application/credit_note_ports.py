"""What credit notes need from the outside: a store. An adapter implements it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from rating_service.domain.documents.credit_note import CreditNote, NoteOrder
from rating_service.domain.documents.invoice_document import Invoice


class StoredNote(msgspec.Struct, frozen=True, kw_only=True):
    """An issued credit note as stored; `document` never changes and `hash` is its SHA-256 in hex."""

    name: str
    invoice: str
    contract: str
    customer: str
    currency_code: str
    settlement: str
    settles: str
    """Invoice whose debt to the customer it settles, else empty."""
    total_nanos: int
    issue_time: datetime
    watermark_position: int
    idempotency_key: str
    hash: str
    document: bytes
    number: int = 0
    """Place among all notes in the order of their issue; 0 before it is stored."""
    position: int | None = None
    """Position at which the ledger has recorded it, None before that."""


class OpenNote(NamedTuple):
    """A note settled as credit, and what no issued invoice has applied of it; above zero."""

    credit_note: str
    issue_time: datetime
    currency_code: str
    total_nanos: int
    open_nanos: int


class NoteFilter(NamedTuple):
    """Which notes: those on an invoice, of a contract and settling an invoice, each unless it is empty."""

    invoice: str = ""
    contract: str = ""
    settles: str = ""


class Taken(NamedTuple):
    """What a store holds after a call: the note of the key, and whether an earlier call had stored it."""

    stored: StoredNote
    replayed: bool


class Earlier(NamedTuple):
    """What was issued before a note: those on its invoice, in order, and how much of what it settles is settled.

    `later` are the invoices that have closed cycles of its contract since its invoice, in the order of issue.
    """

    notes: Sequence[CreditNote]
    settled_nanos: int
    later: Sequence[Invoice] = ()


class CreditNoteStore(Protocol):
    """The credit notes issued. Every method raises StoreUnavailableError."""

    async def issue(
        self, contract: str, key: str, order: NoteOrder, compute: Callable[[Earlier], StoredNote]
    ) -> Taken:
        """Store what `compute` makes of an order after earlier notes, with its record, while nobody else can.

        Nor is any invoice of the contract issued meanwhile that closes a cycle.

        A key that has a note already returns that one. What `compute` raises stores nothing.
        """

    async def named(self, name: str) -> StoredNote | None:
        """Return a note by its name, None if there is none."""

    async def page(self, wanted: NoteFilter, *, after: int, limit: int) -> list[StoredNote]:
        """Return notes in the order of their issue, after a number."""


class CreditBalances(Protocol):
    """What credit notes have left for later invoices. Every method raises StoreUnavailableError."""

    async def open_notes(self, contract: str) -> list[OpenNote]:
        """Return a contract's notes settled as credit that invoices have not applied whole, the oldest first."""
