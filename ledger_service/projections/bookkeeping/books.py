"""The books while a run of events is folded: lots, pools and wallets that it touches, and the sums of what it posted.

A lot's draws and expiries of one day and product wait until something else happens to it: shares are cumulative, so
one measurement of all of them posts what one of each would have added up to, and costs as much as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec

from ledger_service.domain.finance.billing import Moved
from ledger_service.domain.finance.journal import Flow, PostingKey
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.domain.finance.lots import moved as lot_moved
from ledger_service.domain.finance.postings import REFUND_OWED, Days, differences
from ledger_service.projections.bookkeeping.exchange import Exchange
from ledger_service.projections.bookkeeping.pool_tallies import PoolTally

NAME: Final = "journal"
"""Name in notification_tracking; the prefix of the projection's tables."""
FIRST_DAY: Final = date(1, 1, 1)
"""First open day of an entity without closed periods."""


class LotKey(NamedTuple):
    """A lot: the wallet, and the version of the grant's event in its stream."""

    wallet: str
    grant_version: int


class OpenLot(msgspec.Struct):
    """A lot, and units that moved since it was measured. Mutable: part of the accumulator."""

    lot: PaidLot
    days: Days | None = None
    drawn_units: int = 0
    expired_units: int = 0
    ruled: bool = False
    """More happened to it in the run than draws and expiries."""


class PeriodRow(msgspec.Struct):
    """A period that takes no entries any more. Mutable: part of the accumulator."""

    from_day: date
    to_day: date
    locked_position: int
    close_time: datetime | None = None
    figures_hash: str = ""


class ContractRow(msgspec.Struct):
    """What the bills of a contract need. Mutable: part of the accumulator."""

    wallet: str
    commitment_end: date | None = None
    """Of the prepaid commitment that is drawn down."""
    commitment_rate: str = ""
    """At which it was billed, if that was in a foreign currency."""


class Unbilled(NamedTuple):
    """A wallet's overage in one currency, as far as it is booked in it."""

    wallet: str
    currency_code: str


class Books(msgspec.Struct):
    """What a run touches. Mutable: the accumulator of the fold, and the fold owns it.

    A lot that is None is known to carry no consideration. A bonus has the entry of its purchase.
    """

    lots: dict[LotKey, OpenLot | None] = {}
    begun: set[LotKey] = set()
    """Lots that began in the run."""
    bonuses: dict[LotKey, PaidLot] = {}
    """Bonuses that began in the run, as their rows are stored."""
    shares: set[LotKey] = set()
    """Bonuses that share the consideration of their purchase."""
    pools: dict[str, PoolTally] = {}
    scales: dict[str, int] = {}
    """By wallet, the scale of its asset: those that the run opened or had to know."""
    entities: dict[str, str] = {}
    """By the same wallets, the legal entity."""
    opened: set[str] = set()
    """Wallets that the run opened."""
    unbilled: dict[Unbilled, int] = {}
    """What to add to the overage that is on no invoice."""
    unbilled_before: dict[Unbilled, int] = {}
    """What there was of it before the run, for wallets that are billed in it."""
    exchange: Exchange = msgspec.field(default_factory=Exchange)
    contracts: dict[str, ContractRow] = {}
    """Contracts that the run signed or bills."""
    open_days: dict[str, date] = {}
    """By entity, the first day of its first open period."""
    periods: dict[tuple[str, date], PeriodRow] = {}
    """Periods that the run locked or closed."""
    sums: dict[PostingKey, int] = {}

    def open_day(self, entity: str) -> date:
        """Return the first day of an entity's first open period."""
        return self.open_days.get(entity, FIRST_DAY)

    def unbilled_of(self, wallet: Unbilled) -> int:
        """Return the overage of a wallet that is on no invoice."""
        return self.unbilled_before.get(wallet, 0) + self.unbilled.get(wallet, 0)

    def add(self, key: PostingKey, nanos: int) -> None:
        """Add an amount to what was posted."""
        self.sums[key] = self.sums.get(key, 0) + nanos


def add_moved(
    books: Books,
    entity: str,
    currency_code: str,
    moved: Iterable[Moved],
    *,
    record_day: date,
    product: str,
) -> None:
    """Add what a bill moves to the books of an entity."""
    open_day = books.open_day(entity)
    for flow, day, nanos in moved:
        if nanos:
            books.add(
                PostingKey(flow, max(day, open_day), day, record_day, currency_code, entity, product), nanos
            )


def flush(books: Books, held: OpenLot) -> PaidLot:
    """Measure what moved since a lot was measured, and return the lot."""
    if held.days is None:
        return held.lot
    after = lot_moved(held.lot, drawn_units=held.drawn_units, expired_units=held.expired_units)
    days, held.days = held.days, None
    held.drawn_units = held.expired_units = 0
    _put(books, held, after, days, REFUND_OWED)
    return after


def flush_all(books: Books) -> None:
    """Measure every lot on which something moved."""
    for held in books.lots.values():
        if held is not None and held.days is not None:
            flush(books, held)


def change(books: Books, held: OpenLot, after: PaidLot, days: Days, *, refund: Flow = REFUND_OWED) -> None:
    """Put a lot in its own place as something made it, and post the difference."""
    held.ruled = True
    _put(books, held, after, days, refund)


def _put(books: Books, held: OpenLot, after: PaidLot, days: Days, refund: Flow) -> None:
    before, held.lot = held.lot, after
    for posting in differences(before, after, days, open_day=books.open_day(after.entity), refund=refund):
        books.add(*posting)
    if after.pool:
        books.pools[after.pool].note(before, after, days.record_day)
