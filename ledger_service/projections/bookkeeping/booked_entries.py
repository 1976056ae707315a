"""Entries of events: one wallet and the contracts that bind it, folded event by event by the journal's own `post`.

A wallet's entries follow from its stream and its contracts', the closed periods, exchange rates and the terms of
pools, so wallets are folded one by one, in any order and in bounded memory. What a pool earns beyond its lots belongs
to no wallet: it is posted by the day, and its entries are the journal's own rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec

from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.booked import BookedEntry, LotChange
from ledger_service.domain.finance.exchange import Rate
from ledger_service.domain.finance.journal import JournalEntry, Posting, lines_of
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.domain.values import Asset
from ledger_service.projections.bookkeeping.ahead_changes import ahead_changes
from ledger_service.projections.bookkeeping.books import FIRST_DAY, Books, LotKey, OpenLot, flush
from ledger_service.projections.bookkeeping.exchange import Exchange, FunctionalCurrency, RateKey
from ledger_service.projections.bookkeeping.journal import post
from ledger_service.projections.bookkeeping.journal_overage import overage_of
from ledger_service.projections.bookkeeping.journal_touched import touched_by
from ledger_service.projections.bookkeeping.pool_tallies import PoolTally, PoolTerms
from ledger_service.projections.events.book_events import BookEvent, PageEvents
from ledger_service.projections.events.wallet_events import (
    Captured,
    Debited,
    Expired,
    Opened,
    Reversed,
    WalletEvent,
    utc_day,
)

EXPIRED_TOPIC: Final = "wallet.CreditsExpired.v1"


class Lock(NamedTuple):
    """From this position of the log on nothing of an entity is posted before a day."""

    position: int
    entity: str
    open_day: date


class Surroundings(msgspec.Struct, frozen=True):
    """What a wallet's entries follow from beside its own stream; locks in the order of the log."""

    locks: Sequence[Lock] = ()
    pools: Mapping[str, PoolTerms] = {}
    functional: dict[str, FunctionalCurrency] = {}
    """By entity."""
    rates: dict[RateKey, list[Rate]] = msgspec.field(default_factory=lambda: defaultdict(list))
    """All that were ever recorded, in order; what an event may know follows from its position."""


class _Pools(dict[str, PoolTally]):
    """Pools, each begun when a wallet has to do with it: most wallets do with none, and there may be many."""

    def __init__(self, terms: Mapping[str, PoolTerms]) -> None:
        super().__init__()
        self._terms = terms

    def __missing__(self, name: str) -> PoolTally:
        found = self[name] = PoolTally(self._terms[name])
        return found


class _Place(NamedTuple):
    posting_day: date
    effective_day: date
    entity: str


class WalletFold:
    """The books of one wallet and its contracts, and what each of their events does to them."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Begin before the first event."""
        self._locks = iter(surroundings.locks)
        self._next_lock = next(self._locks, None)
        self._books = Books(
            pools=_Pools(surroundings.pools),
            exchange=Exchange(functional=surroundings.functional, rates=surroundings.rates),
        )
        self._asset = Asset("", 0)
        self._purchases: dict[LotKey, LotKey] = {}

    def take(self, event: WalletEvent | BookEvent, topic: str, *, model: str = "") -> list[BookedEntry]:
        """Take up the next event, and return its entries by the day on which they are posted."""
        books = self._books
        self._pass_locks(event.position)
        if isinstance(event.change, Opened):
            self._asset = event.change.asset
        touched = self._lots_of(event) if isinstance(event, WalletEvent) else {}
        before = {key: held.lot for key, held in touched.items()}
        post(books, event)
        for held in touched.values():
            flush(books, held)
        for key, bonus in books.bonuses.items():
            self._purchases[key] = LotKey(key.wallet, bonus.purchase_version)
        for key in books.begun:
            begun = books.lots[key]
            assert begun is not None, "a lot that begins carries consideration"
            touched[key] = begun
        changes = [
            (key, LotChange(_name(key), self._asset, before.get(key), held.lot))
            for key, held in touched.items()
            if before.get(key) is not held.lot
        ]
        postings = [Posting(key, nanos) for key, nanos in books.sums.items() if nanos]
        self._forget(touched.values())
        return self._entries(event, topic, postings, changes, model)

    def due(self, now: datetime) -> Iterator[BookedEntry]:
        """Yield what time has ended by now and no event has recorded yet. The fold is over with it."""
        for key, held in sorted(self._books.lots.items()):
            lot = None if held is None else held.lot
            if lot is None or key in self._purchases or lot.used_up or lot.as_recorded:
                continue
            units = lot.left_units - lot.held_units
            if lot.expire_time is not None and lot.expire_time <= now and units > 0:
                ended = Expired(key.grant_version, units)
                yield from self.take(WalletEvent(key.wallet, 0, lot.expire_time, ended, now), EXPIRED_TOPIC)

    def _pass_locks(self, position: int) -> None:
        # Position 0 is no event's: what time has ended comes after all locks.
        while self._next_lock is not None and (not position or self._next_lock.position < position):
            self._books.open_days[self._next_lock.entity] = self._next_lock.open_day
            self._next_lock = next(self._locks, None)

    def _lots_of(self, event: WalletEvent) -> dict[LotKey, OpenLot]:
        keys = touched_by(PageEvents([event])).lots
        found: dict[LotKey, OpenLot] = {}
        for key in sorted(keys) if len(keys) > 1 else keys:
            held = self._books.lots.get(key)
            if held is not None:
                found[self._purchases.get(key, key)] = held
        return found

    def _forget(self, touched: Iterable[OpenLot]) -> None:
        books = self._books
        for held in touched:
            if held.lot.pool:
                books.pools[held.lot.pool].moved.clear()
        books.begun.clear()
        books.bonuses.clear()
        books.opened.clear()
        books.sums.clear()

    def _entries(
        self,
        event: WalletEvent | BookEvent,
        topic: str,
        postings: Iterable[Posting],
        changes: Iterable[tuple[LotKey, LotChange]],
        model: str,
    ) -> list[BookedEntry]:
        by_place: dict[_Place, list[Posting]] = {}
        for posting in postings:
            key = posting.key
            place = _Place(key.posting_day, key.effective_day, key.entity)
            by_place.setdefault(place, []).append(posting)
        lots: dict[_Place, list[LotChange]] = {}
        for lot_key, change in changes:
            place = self._place(event, lot_key, change.after)
            by_place.setdefault(place, [])
            lots.setdefault(place, []).append(change)
        told = event.change
        feature, overage = "", None
        if isinstance(told, Debited | Captured | Reversed):
            feature, overage = told.feature, overage_of(told, self._asset.scale)
        ahead = ahead_changes(event, by_place)
        entries = [
            BookedEntry(
                JournalEntry(
                    event.wallet if isinstance(event, WalletEvent) else event.stream,
                    event.version,
                    event.position,
                    topic,
                    event.effective_time,
                    event.record_time,
                    place.posting_day,
                    place.effective_day,
                    place.entity,
                    lines_of(found),
                ),
                tuple(lots.get(place, ())),
                model,
                feature,
                ahead=ahead.get(place, ()),
            )
            for place, found in sorted(by_place.items())
        ]
        if overage is None:
            return entries
        return [
            msgspec.structs.replace(each, overage=overage) if _earns_overage(each) else each
            for each in entries
        ]

    def _place(self, event: WalletEvent | BookEvent, key: LotKey, lot: PaidLot) -> _Place:
        """Return where the journal posts what an event does to a lot (see postings.key_of)."""
        change = event.change
        late = isinstance(change, Debited) and key.grant_version in change.late_grants
        day = utc_day(event.record_time if late else event.effective_time)
        effective_day = max(day, lot.effective_day)
        open_day = self._books.open_days.get(lot.entity, FIRST_DAY)
        return _Place(max(effective_day, open_day), effective_day, lot.entity)


def _earns_overage(booked: BookedEntry) -> bool:
    return any(line.account is Account.REVENUE_OVERAGE for line in booked.entry.lines)


def _name(key: LotKey) -> str:
    return f"{key.wallet}/grants/{key.grant_version}"
