"""What the application needs from the outside: a store, the ledger and a clock. Adapters implement these."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from rating_service.application.followed import (
    DebitRow,
    GrantRow,
    PaymentRow,
    PurchaseRow,
    ReversalRow,
    UnbilledRow,
    WithdrawalRow,
)
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.debits import DebitFact, ReversalFact
from rating_service.domain.documents.invoice_document import InvoiceKind
from rating_service.domain.documents.invoice_lines import LineKey
from rating_service.domain.prices.cycle_totals import Counts
from rating_service.domain.usage import Charge, TotalBefore


class LedgerEvent(NamedTuple):
    """One event of the ledger's log, as the ledger stored it."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


class HistoryPage(NamedTuple):
    """Events in order; everything up to `position` was sent or is of no interest here."""

    events: Sequence[LedgerEvent]
    position: int
    head_position: int


class Effect(NamedTuple):
    """What a page of history changes in the store: all of it, with the position, or nothing."""

    from_position: int
    to_position: int
    agreements: Sequence[LedgerEvent] = ()
    debits: Sequence[DebitRow] = ()
    grants: Sequence[GrantRow] = ()
    reversals: Sequence[ReversalRow] = ()
    purchases: Sequence[PurchaseRow] = ()
    payments: Sequence[PaymentRow] = ()
    withdrawals: Sequence[WithdrawalRow] = ()
    contracts: Sequence[str] = ()
    """Those that were signed or changed: their billing is due."""
    unbilled: Sequence[UnbilledRow] = ()
    """What overages come to in money, for the contracts that want to know."""


class StoreUnavailableError(Exception):
    """The database cannot be reached, or the connection broke; a write may or may not have been stored."""


class PositionMovedError(Exception):
    """Another follower has written this page; nothing was stored."""


class HistoryStore(Protocol):
    """What was followed of the ledger's history. Every method raises StoreUnavailableError."""

    async def position(self) -> int:
        """Return the position up to which history is stored."""

    async def write(self, effect: Effect) -> None:
        """Store an effect and its position in one transaction. Raises PositionMovedError."""

    async def agreements_after(self, position: int) -> list[LedgerEvent]:
        """Return the stored agreement events after a position, in order."""


class StoredInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An issued invoice as stored; `document` never changes and `hash` is its SHA-256 in hex."""

    name: str
    contract: str
    cycle_start_time: datetime
    cycle_end_time: datetime
    issue_time: datetime
    watermark_position: int
    hash: str
    document: bytes
    kind: str = "CYCLE"
    sequence: int
    owed_nanos: int = 0
    """What it owes the customer (credit due)."""


class InvoiceHead(NamedTuple):
    """Which invoice of a contract was issued, what for, and up to which position facts were counted in it."""

    name: str
    kind: InvoiceKind
    sequence: int
    cycle: CycleBounds
    watermark_position: int


class Span(NamedTuple):
    """Debits of a wallet that belong to [from_time, to_time), with positions up to the watermark.

    A debit that puts right what a cycle of the contract was charged belongs where that cycle begins, any other to its
    effective time.
    """

    contract: str
    wallet: str
    from_time: datetime
    to_time: datetime
    watermark_position: int


class KnownDebit(NamedTuple):
    """A debit, and everything that was taken back of it by a watermark."""

    debit: DebitFact
    reversals: Sequence[ReversalFact]


class InvoiceStore(Protocol):
    """The invoices issued, and the debits behind them. Every method raises StoreUnavailableError."""

    async def line_debits(
        self, span: Span, key: LineKey, *, since: int, after: int, limit: int
    ) -> list[KnownDebit]:
        """Return debits that may be behind a line, after a position, by position.

        Only those that were recorded or taken back, in part or whole, after the position `since`.
        """

    async def add(self, invoice: StoredInvoice) -> bool:
        """Store an invoice; False if its sequence is taken, or its cycle closed. Nothing is ever overwritten.

        Nor is one stored that closes a cycle and does not know a credit note on a fee in advance, because the ledger
        has recorded that after its watermark, or not yet. No note is issued meanwhile.
        """

    async def of_cycle(self, contract: str, cycle_start_time: datetime) -> StoredInvoice | None:
        """Return the invoice that closed a cycle, None if it was not issued."""

    async def named(self, name: str) -> StoredInvoice | None:
        """Return an invoice by its name, None if there is none."""

    async def page(self, *, contract: str, after: str, limit: int) -> list[StoredInvoice]:
        """Return invoices by name after a name; only a contract's unless it is empty."""


class Order(NamedTuple):
    """A debit to be asked of the ledger: a usage and its price."""

    wallet: str
    usage: str
    effective_time: datetime
    feature: str
    charge: Charge
    api_key: str = ""
    user: str = ""


class Posted(NamedTuple):
    """What the ledger answered to an order.

    `answer` is the ledger's own answer in the form in which the caller receives it. The application passes it
    on unread: turning it into structs and back cost more than pricing the usage.
    """

    answer: Any
    replayed: bool
    position: int


class LedgerRefused(Exception):
    """The ledger said no; `status` is its own status, passed on unread.

    `true_totals` are the running totals of the order's meters if it was priced on others, and else empty.
    `is_passing` means that the very same command may be taken a little later: the ledger is busy, not against it.
    """

    def __init__(
        self, status: Any, true_totals: Sequence[TotalBefore] = (), *, is_passing: bool = False
    ) -> None:
        """Keep the ledger's status."""
        super().__init__("the ledger refused")
        self.status = status
        self.true_totals = true_totals
        self.is_passing = is_passing


class LedgerUnavailableError(Exception):
    """The ledger cannot be reached, or broke off; sending the same command again is safe."""


class Ledger(Protocol):
    """The ledger's commands and log. Every method raises LedgerRefused and LedgerUnavailableError."""

    async def debit(self, order: Order, *, delivered: bool) -> Posted:
        """Post one order."""

    async def debit_many(self, orders: Sequence[Order], *, delivered: bool) -> list[Posted | LedgerRefused]:
        """Post orders in their sequence and return one outcome each, in the same sequence."""

    async def meter_totals(self, wallet: str) -> Counts:
        """Return the running totals that a wallet has counted."""

    async def head_position(self) -> int:
        """Return the position of the newest event in the log."""

    def follow(self, after: int) -> AsyncGenerator[HistoryPage, None]:
        """Yield pages of the log after a position, for ever."""


class History(Protocol):
    """What was followed so far, in memory."""

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of the newest position that is stored."""

    @property
    def position(self) -> int:
        """The newest position that is stored."""

    async def wait_for(self, position: int) -> None:
        """Return once a position is stored and in the catalogue. Refuses HISTORY_BEHIND after a while."""


class Clock(Protocol):
    """Tells the time."""

    async def now(self) -> datetime:
        """Return the current instant: UTC, microseconds. A sandbox's raises LedgerUnavailableError."""
