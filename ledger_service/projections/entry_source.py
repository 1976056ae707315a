"""Reads a shard's log for its entries: wallet by wallet, in the order of their names, as of one position.

Everything is read in one transaction, so the log, the closed periods and the rows of pools are of one moment. A
wallet's events come through a cursor: what is held at a time are the lots of one wallet and the bills of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import msgspec
import psycopg
from psycopg.sql import SQL, Identifier

from ledger_service.application.ports import StoredEvent
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.domain.finance.exchange import Rate
from ledger_service.domain.finance.journal import JournalEntry, JournalLine
from ledger_service.projections.book_events import BOOK_TYPES, BookEvent, read_page_events
from ledger_service.projections.booked_entries import Lock, Surroundings, WalletFold
from ledger_service.projections.exchange import Exchange, FunctionalCurrency, RateKey
from ledger_service.projections.journal_view_statements import DUE
from ledger_service.projections.pool_tallies import PoolTerms
from ledger_service.projections.projection import JOURNAL
from ledger_service.projections.wallet_events import WalletEvent, utc_day

BATCH_WALLETS: Final = 200
"""Wallets whose streams one query reads."""
PAGE_EVENTS: Final = 1_000
"""Events decoded at a time."""
POOL_TOPIC: Final = "journal.PoolEarned"
"""Stands in the place of a topic where a pool, and no event, has posted."""

READ_ONLY: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
"""First statement of the transaction in which a source reads."""

_POSITION: Final = "SELECT notification_id FROM {schema}.notification_tracking WHERE application_name = %s"
_LOCKS: Final = """
SELECT locked_position, entity, to_day FROM {schema}.journal_periods WHERE locked_position <= %s
ORDER BY locked_position"""
_POOLS: Final = """
SELECT pool, entity, currency_code, jurisdiction, term, method, escheat_fraction FROM {schema}.journal_pools"""
_CURRENCIES: Final = "SELECT entity, currency_code, position FROM {schema}.journal_entities"
_RATES: Final = """
SELECT from_time, position, rate FROM {schema}.journal_rates WHERE entity = %s AND currency_code = %s
ORDER BY from_time, position"""
_WALLETS: Final = """
SELECT wallet FROM {schema}.journal_wallets WHERE wallet >= %s ORDER BY wallet LIMIT %s"""
_CONTRACTS: Final = "SELECT contract, wallet FROM {schema}.journal_contracts WHERE wallet = ANY(%s)"
_EVENTS: Final = """
SELECT notification_id, originator_id, originator_version, topic, state FROM {schema}.stored_events
WHERE originator_id = ANY(%s) AND notification_id <= %s ORDER BY originator_id, originator_version"""
_STATE: Final = """
SELECT state FROM {schema}.stored_events WHERE notification_id >= %s ORDER BY notification_id LIMIT 1"""
_RECORDED: Final = """
SELECT DISTINCT coalesce(c.wallet, originator_id) FROM {schema}.stored_events
LEFT JOIN {schema}.journal_contracts AS c ON c.contract = originator_id
WHERE notification_id >= %s AND notification_id < %s AND (c.wallet IS NOT NULL OR originator_id LIKE 'wallets/%%')
ORDER BY 1"""
_COUNT: Final = "SELECT count(*) FROM {schema}.journal_wallets WHERE wallet >= %s"
_POOL_DAYS: Final = """
SELECT source, posting_day, effective_day, record_day, entity, currency_code, account, product, nanos::text
FROM {schema}.journal_days WHERE source <> ''
ORDER BY source, record_day, posting_day, effective_day, entity, currency_code, account"""
_DUE_POOLS: Final = """{due}
SELECT pool, entity, currency_code, greatest(day, open_day), day, change::text
FROM due_pools LEFT JOIN open_days USING (entity) WHERE change <> 0 ORDER BY pool""".replace("{due}", DUE)


class WalletEntries(msgspec.Struct, frozen=True):
    """A wallet, and a source of its entries in the order of the log. The source is read once."""

    wallet: str
    entries: Iterator[BookedEntry]


class _Charged(msgspec.Struct, frozen=True, gc=False):
    properties: dict[str, str] = {}


class _Used(msgspec.Struct, frozen=True, gc=False):
    charge: _Charged | None = None


class _Usage(msgspec.Struct, frozen=True, gc=False):
    event: _Used


class _Timed(msgspec.Struct, frozen=True, gc=False):
    record_time: datetime


_times: Final = msgspec.json.Decoder(_Timed)
_usages: Final = msgspec.json.Decoder(_Usage)
_CHARGED_TOPICS: Final = frozenset({"wallet.CreditsDebited.v1", "wallet.HoldCaptured.v1"})
FOREVER: Final = datetime.max.replace(tzinfo=UTC)
MODEL: Final = "model"
"""The property of usage that names the model."""


class EntrySource:
    """The entries of one shard. Methods raise psycopg.Error."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        schema: str,
        *,
        position: int = 0,
        now: datetime | None = None,
    ) -> None:
        """Read as of a position, 0 for the journal's own; with `now`, add what time has ended by then."""
        self._connection = connection
        self._schema = schema
        self._now = now
        rows = self._fetch(_POSITION, (JOURNAL.name,))
        self.position: int = position or (rows[0][0] if rows else 0)
        self._surroundings = Surroundings(
            tuple(Lock(*row) for row in self._fetch(_LOCKS, (self.position,))),
            {name: PoolTerms(*terms) for name, *terms in self._fetch(_POOLS)},
            {entity: FunctionalCurrency(*own) for entity, *own in self._fetch(_CURRENCIES)},
            _Rates(self),
        )

    def wallet_count(self, from_wallet: str = "") -> int:
        """Return how many wallets there are from a name on."""
        count: int = self._fetch(_COUNT, (from_wallet,))[0][0]
        return count

    def wallets(self, from_wallet: str = "", *, models: bool = False) -> Iterator[WalletEntries]:
        """Yield the wallets from a name on, each with its entries; `models` reads what the usages name, too."""
        while names := [row[0] for row in self._fetch(_WALLETS, (from_wallet, BATCH_WALLETS))]:
            yield from self._batch(names, models=models)
            # No name lies between a name and the same with the first character that there is at its end.
            from_wallet = names[-1] + "\x01"

    def wallets_of(self, names: Sequence[str]) -> Iterator[WalletEntries]:
        """Yield wallets of these names, each with its entries."""
        for begin in range(0, len(names), BATCH_WALLETS):
            yield from self._batch(names[begin : begin + BATCH_WALLETS], models=False)

    def wallets_recorded(self, from_day: date, to_day: date) -> list[str]:
        """Return the wallets of which, or of whose contracts, something was recorded on the days [from_day, to_day)."""
        span = self._position_of(from_day), min(self._position_of(to_day), self.position + 1)
        return [row[0] for row in self._fetch(_RECORDED, span)]

    @property
    def exchange(self) -> Exchange:
        """Return what is known of exchange."""
        return Exchange(functional=self._surroundings.functional, rates=self._surroundings.rates)

    def rates(self, key: RateKey) -> list[Rate]:
        """Return all rates of a currency that were ever recorded, in order."""
        return [Rate(*row) for row in self._fetch(_RATES, key)]

    def _position_of(self, day: date) -> int:
        """Return the position of the first event that was recorded on a day or later: record time never goes back."""
        low, high = 1, self.position + 1
        while low < high:
            middle = (low + high) // 2
            if utc_day(_times.decode(self._fetch(_STATE, (middle,))[0][0]).record_time) < day:
                low = middle + 1
            else:
                high = middle
        return low

    def pools(self) -> Iterator[BookedEntry]:
        """Yield what the pools have posted beyond their lots, an entry a day."""
        lines: list[JournalLine] = []
        place: tuple[Any, ...] = ()
        for *key, currency, account, product, nanos in self._fetch(_POOL_DAYS):
            if tuple(key) != place and lines:
                yield _pool_entry(place, lines)
                lines = []
            place = tuple(key)
            lines.append(JournalLine(Account(account), currency, int(nanos), product))
        if lines:
            yield _pool_entry(place, lines)
        if self._now is not None:
            yield from self._due_pools(self._now)

    def _due_pools(self, now: datetime) -> Iterator[BookedEntry]:
        asked = {"now": now, "to_time": FOREVER, "currency_code": "", "entity": ""}
        for pool, entity, currency, posting_day, day, nanos in self._fetch(_DUE_POOLS, asked):
            lines = lines_of_breakage(currency, int(nanos))
            yield _pool_entry((pool, posting_day, day, day, entity), lines)

    def _batch(self, names: Sequence[str], *, models: bool) -> Iterator[WalletEntries]:
        bills = self._bills(names)
        with self._connection.cursor("entries", binary=True) as cursor:
            cursor.itersize = PAGE_EVENTS
            cursor.execute(SQL(_EVENTS).format(schema=Identifier(self._schema)), (list(names), self.position))
            # Every wallet has a stream, so the streams come as the names do; what is left unread of one is skipped.
            for name, rows in groupby(cursor, key=itemgetter(1)):
                events = (StoredEvent(*row) for row in rows)
                entries = self._entries(merge(events, bills.get(name, ()), key=_position), models=models)
                yield WalletEntries(name, entries)

    def _bills(self, names: Sequence[str]) -> dict[str, list[StoredEvent]]:
        wallet_of = dict(self._fetch(_CONTRACTS, (list(names),)))
        found: dict[str, list[StoredEvent]] = {}
        for row in self._fetch(_EVENTS, (sorted(wallet_of), self.position)) if wallet_of else ():
            event = StoredEvent(*row)
            if event.topic in BOOK_TYPES:
                found.setdefault(wallet_of[event.stream], []).append(event)
        for events in found.values():
            events.sort(key=_position)
        return found

    def _entries(self, events: Iterator[StoredEvent], *, models: bool) -> Iterator[BookedEntry]:
        fold = WalletFold(self._surroundings)
        for stored in events:
            event = _read(stored)
            model = _model_of(stored) if models and stored.topic in _CHARGED_TOPICS else ""
            yield from fold.take(event, stored.topic, model=model)
        if self._now is not None:
            yield from fold.due(self._now)

    def _fetch(self, statement: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[Any]:
        query = SQL(statement).format(schema=Identifier(self._schema))  # type: ignore[arg-type,unused-ignore]
        return self._connection.execute(query, parameters, binary=True).fetchall()


class _Rates(dict[RateKey, list[Rate]]):
    """Rates of currencies, each read when it is asked for."""

    def __init__(self, source: EntrySource) -> None:
        super().__init__()
        self._source = source

    def __missing__(self, key: RateKey) -> list[Rate]:
        found = self[key] = self._source.rates(key)
        return found


def lines_of_breakage(currency_code: str, nanos: int) -> tuple[JournalLine, ...]:
    """Return what breakage of contract liability posts."""
    return (
        JournalLine(Account.CONTRACT_LIABILITY, currency_code, nanos),
        JournalLine(Account.REVENUE_BREAKAGE, currency_code, -nanos),
    )


def _read(stored: StoredEvent) -> WalletEvent | BookEvent:
    page = read_page_events([stored])
    return page.wallets[0] if page.wallets else page.others[0]


def _position(event: StoredEvent) -> int:
    return event.position


def _model_of(stored: StoredEvent) -> str:
    charge = _usages.decode(stored.state).event.charge
    return "" if charge is None else charge.properties.get(MODEL, "")


def _pool_entry(place: tuple[Any, ...], lines: Sequence[JournalLine]) -> BookedEntry:
    source, posting_day, effective_day, record_day, entity = place
    time = datetime(record_day.year, record_day.month, record_day.day, tzinfo=UTC)
    return BookedEntry(
        JournalEntry(source, 0, 0, POOL_TOPIC, time, time, posting_day, effective_day, entity, tuple(lines))
    )


def known(booked: BookedEntry, known_before: date | None) -> bool:
    """Return whether an entry was recorded before a day; of a wallet, none that follow one that was not are."""
    return known_before is None or utc_day(booked.entry.record_time) < known_before


def narrowed(booked: BookedEntry, *, entity: str, currency_code: str) -> BookedEntry | None:
    """Return an entry as far as it is of an entity and a currency; empty texts mean all."""
    entry = booked.entry
    if entity and entry.entity != entity:
        return None
    if not currency_code:
        return booked
    lines = tuple(line for line in entry.lines if line.currency_code == currency_code)
    lots = tuple(change for change in booked.lots if change.after.currency_code == currency_code)
    return BookedEntry(msgspec.structs.replace(entry, lines=lines), lots, booked.model)
