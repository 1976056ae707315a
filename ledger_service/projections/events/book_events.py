"""Reads the events of a page: those of wallets, and those of other streams that the journal folds.

Events of rate cards and plans agree prices; they move no money and are left out. Which topics are known is checked
for every stream all the same, by the log's own list.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final, Generic, TypeVar

import msgspec

from ledger_service.application.ports import StoredEvent
from ledger_service.domain.events import BilledAmount
from ledger_service.domain.values import BreakageMethod, InvoiceKind, NoteSettlement
from ledger_service.projections.events.wallet_events import WalletEvent, read_wallet_events


class Book(msgspec.Struct, frozen=True, gc=False):
    """Base of the narrow structs of this module."""


class PoolCreated(Book, frozen=True):
    """What the journal needs of BreakagePoolCreated."""

    currency_code: str
    method: BreakageMethod
    entity: str = ""
    term: str = ""
    jurisdiction: str = ""
    expected_breakage: str = ""
    escheat_fraction: str = ""


class PoolEstimated(Book, frozen=True):
    """What the journal needs of PoolEstimateRevised."""

    expected_breakage: str = ""
    expected_redeemed_units: int = 0


class PeriodLocked(Book, frozen=True):
    """What the journal needs of AccountingPeriodLocked."""

    from_day: date
    to_day: date


class PeriodClosed(Book, frozen=True):
    """What the journal needs of AccountingPeriodClosed."""

    from_day: date
    to_day: date
    figures_hash: str


class Signed(Book, frozen=True):
    """What the journal needs of ContractSigned."""

    wallet: str


class CurrencySet(Book, frozen=True):
    """What the journal needs of FunctionalCurrencySet."""

    currency_code: str


class RateSet(Book, frozen=True):
    """What the journal needs of ExchangeRateSet."""

    currency_code: str
    rate: str
    from_time: datetime
    source: str = ""


class Invoiced(Book, frozen=True):
    """What the journal needs of InvoiceIssued."""

    invoice: str
    kind: InvoiceKind
    issue_time: datetime
    currency_code: str
    amounts: tuple[BilledAmount, ...] = ()
    tax_nanos: int = 0


class Credited(Book, frozen=True):
    """What the journal needs of CreditNoteIssued."""

    invoice: str
    settlement: NoteSettlement
    issue_time: datetime
    currency_code: str
    amounts: tuple[BilledAmount, ...] = ()
    tax_nanos: int = 0


BookChange = (
    PoolCreated
    | PoolEstimated
    | PeriodLocked
    | PeriodClosed
    | Signed
    | CurrencySet
    | RateSet
    | Invoiced
    | Credited
)
C_co = TypeVar("C_co", bound=BookChange, covariant=True)

BOOK_TYPES: Final[dict[str, type[BookChange]]] = {
    "breakage_pool.BreakagePoolCreated.v1": PoolCreated,
    "breakage_pool.PoolEstimateRevised.v1": PoolEstimated,
    "accounting_period.AccountingPeriodLocked.v1": PeriodLocked,
    "accounting_period.AccountingPeriodClosed.v1": PeriodClosed,
    "entity.FunctionalCurrencySet.v1": CurrencySet,
    "entity.ExchangeRateSet.v1": RateSet,
    "contract.ContractSigned.v1": Signed,
    "contract.InvoiceIssued.v1": Invoiced,
    "contract.CreditNoteIssued.v1": Credited,
}


class BookEvent(Book, frozen=True):
    """One event of another stream than a wallet's, narrowed."""

    stream: str
    version: int
    effective_time: datetime
    change: BookChange
    record_time: datetime
    position: int


class PageEvents(Book, frozen=True):
    """The events of a page, each list in the order of the log."""

    wallets: list[WalletEvent]
    others: list[BookEvent] = []

    def in_order(self) -> Iterable[WalletEvent | BookEvent]:
        """Return all events in the order of the log."""
        if not self.others:
            return self.wallets
        return sorted([*self.wallets, *self.others], key=lambda event: event.position)


class _Stored(Book, Generic[C_co], frozen=True):
    event: C_co
    effective_time: datetime
    record_time: datetime


_DECODERS: Final[dict[str, msgspec.json.Decoder[_Stored[BookChange]]]] = {
    topic: msgspec.json.Decoder(_Stored[narrow])  # type: ignore[valid-type]
    for topic, narrow in BOOK_TYPES.items()
}


def read_page_events(page: list[StoredEvent]) -> PageEvents:
    """Return the events of a page. Raises UnknownTopicError, msgspec.ValidationError."""
    others = [_narrow(stored) for stored in page if stored.topic in BOOK_TYPES]
    return PageEvents(read_wallet_events(page), others)


def _narrow(stored: StoredEvent) -> BookEvent:
    fact = _DECODERS[stored.topic].decode(stored.state)
    return BookEvent(
        stored.stream, stored.version, fact.effective_time, fact.event, fact.record_time, stored.position
    )
