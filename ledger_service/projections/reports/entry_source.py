"""Reads a shard's log for its entries: wallet by wallet, in the order of their names, as of one position.

Everything is read in one transaction, so the log, the closed periods and the rows of pools are of one moment. A
wallet's events come through a cursor: what is held at a time are the lots of one wallet and the bills of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from heapq import merge
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
from psycopg.sql import SQL, Identifier

from ledger_service.application.ports import StoredEvent
from ledger_service.application.reading.agreed_contracts import AgreedContract, AgreedFact
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.domain.finance.exchange import Rate
from ledger_service.domain.finance.journal import JournalEntry, JournalLine
from ledger_service.domain.topics import decode_fact
from ledger_service.projections.bookkeeping.booked_entries import Lock, Surroundings, WalletFold
from ledger_service.projections.bookkeeping.exchange import Exchange, FunctionalCurrency, RateKey
from ledger_service.projections.bookkeeping.pool_tallies import PoolTerms
from ledger_service.projections.bookkeeping.usage_models import model_of
from ledger_service.projections.events.book_events import BOOK_TYPES, BookEvent, read_page_events
from ledger_service.projections.events.wallet_events import WalletEvent, utc_day
from ledger_service.projections.projection import JOURNAL
from ledger_service.projections.reports.journal_view_statements import DUE

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
_CONTRACTS: Final = """
SELECT contract, wallet, entity FROM {schema}.journal_contracts JOIN {schema}.journal_wallets USING (wallet)
WHERE wallet = ANY(%s)"""
_EVENTS: Final = """
SELECT notification_id, originator_id, originator_version, topic, state FROM {schema}.stored_events
WHERE originator_id = ANY(%s) AND notification_id <= %s ORDER BY originator_id, originator_version"""
_STATE: Final = """
SELECT state FROM {schema}.stored_events WHERE notification_id >= %s ORDER BY notification_id LIMIT 1"""
_ONE_STATE: Final = """
SELECT state FROM {schema}.stored_events WHERE originator_id = %s AND originator_version = %s"""
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
    """A wallet, and a source of its entries in the order of the log. The source is read once.

    `contracts` are those that bound it ever, if they were asked for.
    """

    wallet: str
    entries: Iterator[BookedEntry]
    contracts: tuple[AgreedContract, ...] = ()


class Wanted(msgspec.Struct, frozen=True):
    """What of wallets is read beside their entries: the models that usages name, and what was agreed."""

    models: bool = False
    contracts: bool = False


ENTRIES: Final = Wanted()


class _Contracts(NamedTuple):
    """Those of one wallet: its entity, and the events of each stream in their order."""

    entity: str
    events: list[StoredEvent]


_NO_CONTRACTS: Final = _Contracts("", [])


class _Timed(msgspec.Struct, frozen=True, gc=False):
    record_time: datetime


_times: Final = msgspec.json.Decoder(_Timed)
FOREVER: Final = datetime.max.replace(tzinfo=UTC)


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
        self.event_count = 0
        """Events of wallets that were read so far."""
        self.on_event: Callable[[StoredEvent], None] = lambda _: None
        """Told of each before its entries."""
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

    def wallets(self, from_wallet: str = "", *, wanted: Wanted = ENTRIES) -> Iterator[WalletEntries]:
        """Yield the wallets from a name on, each with its entries."""
        while names := [row[0] for row in self._fetch(_WALLETS, (from_wallet, BATCH_WALLETS))]:
            yield from self._batch(names, wanted)
            # No name lies between a name and the same with the first character that there is at its end.
            from_wallet = names[-1] + "\x01"

    def wallets_of(self, names: Sequence[str], *, wanted: Wanted = ENTRIES) -> Iterator[WalletEntries]:
        """Yield wallets of these names, each with its entries."""
        for begin in range(0, len(names), BATCH_WALLETS):
            yield from self._batch(names[begin : begin + BATCH_WALLETS], wanted)

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

    def _batch(self, names: Sequence[str], wanted: Wanted) -> Iterator[WalletEntries]:
        agreed = self._contracts(names)
        with self._connection.cursor("entries", binary=True) as cursor:
            cursor.itersize = PAGE_EVENTS
            cursor.execute(SQL(_EVENTS).format(schema=Identifier(self._schema)), (list(names), self.position))
            # Every wallet has a stream, so the streams come as the names do; what is left unread of one is skipped.
            for name, rows in groupby(cursor, key=itemgetter(1)):
                events = (StoredEvent(*row) for row in rows)
                told = agreed.get(name, _NO_CONTRACTS)
                bills = sorted((each for each in told.events if each.topic in BOOK_TYPES), key=_position)
                entries = self._entries(merge(events, bills, key=_position), models=wanted.models)
                yield WalletEntries(name, entries, _agreed(told) if wanted.contracts else ())

    def _contracts(self, names: Sequence[str]) -> dict[str, _Contracts]:
        """Return the contracts by the wallet that they bind."""
        bound = {contract: place for contract, *place in self._fetch(_CONTRACTS, (list(names),))}
        found: dict[str, _Contracts] = {}
        for row in self._fetch(_EVENTS, (sorted(bound), self.position)) if bound else ():
            event = StoredEvent(*row)
            wallet, entity = bound[event.stream]
            found.setdefault(wallet, _Contracts(entity, [])).events.append(event)
        return found

    def _entries(self, events: Iterator[StoredEvent], *, models: bool) -> Iterator[BookedEntry]:
        fold = WalletFold(self._surroundings)
        for stored in events:
            self.event_count += 1
            self.on_event(stored)
            model = model_of(stored, self._state_of) if models else ""
            yield from fold.take(_read(stored), stored.topic, model=model)
        if self._now is not None:
            yield from fold.due(self._now)

    def _state_of(self, stream: str, version: int) -> bytes:
        state: bytes = self._fetch(_ONE_STATE, (stream, version))[0][0]
        return state

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


def _agreed(contracts: _Contracts) -> tuple[AgreedContract, ...]:
    return tuple(
        AgreedContract(
            name,
            contracts.entity,
            [AgreedFact(event.version, decode_fact(event.topic, event.state)) for event in told],
        )
        for name, told in groupby(contracts.events, key=attrgetter("stream"))
    )


def _pool_entry(place: tuple[Any, ...], lines: Sequence[JournalLine]) -> BookedEntry:
    source, posting_day, effective_day, record_day, entity = place
    time = datetime(record_day.year, record_day.month, record_day.day, tzinfo=UTC)
    return BookedEntry(
        JournalEntry(source, 0, 0, POOL_TOPIC, time, time, posting_day, effective_day, entity, tuple(lines))
    )
