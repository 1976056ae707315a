"""Stores the journal: reads what a page touches, writes lots, pools and days, in the caller's transaction.

Table names carry no schema: the connection's search_path decides, which is how a rebuild writes beside the
live tables with the same statements. What is read before the transaction is still so within it, for the run's position
is moved first, and fails if another projector was there meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

from ledger_service.domain.finance.journal import PostingKey
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.domain.finance.postings import BREAKAGE
from ledger_service.projections.array_text import integers, texts
from ledger_service.projections.bookkeeping.books import (
    Books,
    ContractRow,
    LotKey,
    OpenLot,
    Unbilled,
    flush_all,
)
from ledger_service.projections.bookkeeping.exchange import Exchange
from ledger_service.projections.bookkeeping.exchange_store import (
    EXCHANGE_TABLES,
    load_currencies,
    load_exchange,
    store_exchange,
)
from ledger_service.projections.bookkeeping.journal import post
from ledger_service.projections.bookkeeping.journal_pool_rows import (
    LOAD_POOLS,
    UPSERT_POOLS,
    pool_of_row,
    pool_rows,
)
from ledger_service.projections.bookkeeping.journal_rows import (
    ADD_TO_DAYS,
    ADD_UNBILLED,
    DELETE_EMPTY_DAYS,
    INSERT_LOTS,
    INSERT_WALLETS,
    LOAD_CONTRACTS,
    LOAD_LOTS,
    LOAD_OPEN_DAYS,
    LOAD_UNBILLED,
    LOAD_WALLETS,
    UPDATE_LOTS,
    UPDATE_RULED_LOTS,
    UPSERT_CONTRACTS,
    UPSERT_PERIODS,
    contract_rows,
    day_rows,
    lot_rows,
    lot_updates,
    period_rows,
    ruled_updates,
)
from ledger_service.projections.bookkeeping.journal_touched import Touched, touched_by
from ledger_service.projections.events.book_events import CurrencySet, PageEvents
from ledger_service.projections.tables import Table

TABLES: Final = (
    Table("journal_lots", ("wallet", "grant_version")),
    Table(
        "journal_days",
        (
            "currency_code",
            "posting_day",
            "record_day",
            "effective_day",
            "entity",
            "account",
            "movement",
            "product",
            "source",
        ),
    ),
    Table("journal_pools", ("pool",)),
    Table("journal_wallets", ("wallet",)),
    Table("journal_unbilled", ("wallet", "currency_code")),
    Table("journal_contracts", ("contract",)),
    Table("journal_periods", ("entity", "from_day")),
    *EXCHANGE_TABLES,
)


class JournalRun:
    """A run of the journal."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Begin with the periods that are closed and the currencies of entities. Raises psycopg.Error."""
        self._connection = connection
        self._books = Books(
            open_days=dict(connection.execute(LOAD_OPEN_DAYS).fetchall()),
            exchange=Exchange(functional=load_currencies(connection)),
        )

    def fold(self, events: PageEvents) -> None:
        """Add the next events of the log. Raises psycopg.Error."""
        _load(self._connection, self._books, events)
        for event in events.in_order():
            post(self._books, event)

    def row_count(self) -> int:
        """Return how many lots and days the run holds."""
        return len(self._books.lots) + 2 * len(self._books.sums)

    def store(self, connection: psycopg.Connection[Any]) -> None:
        """Write the run to the tables. Raises psycopg.Error."""
        store_books(connection, self._books)


def store_books(connection: psycopg.Connection[Any], books: Books) -> None:
    """Write what a run changed to the tables. Raises psycopg.Error."""
    flush_all(books)
    post_pools(books)
    begun = {key: held.lot for key in books.begun if (held := books.lots[key]) is not None}
    _execute(connection, INSERT_LOTS, lot_rows(begun | books.bonuses))
    changed = _changed(books)
    _execute(connection, UPDATE_LOTS, lot_updates({key: held.lot for key, held in changed.items()}))
    ruled = {key: held.lot for key, held in changed.items() if held.ruled}
    _execute(connection, UPDATE_RULED_LOTS, ruled_updates(ruled))
    _execute(connection, UPSERT_POOLS, pool_rows(books.pools))
    _execute(connection, UPSERT_CONTRACTS, contract_rows(books.contracts))
    _execute(connection, UPSERT_PERIODS, period_rows(books.periods))
    opened = sorted(books.opened)
    _execute(
        connection,
        INSERT_WALLETS,
        (
            texts(opened),
            integers([books.scales[name] for name in opened]),
            texts([books.entities[name] for name in opened]),
        ),
        opened,
    )
    unbilled = list(books.unbilled)
    _execute(
        connection,
        ADD_UNBILLED,
        (
            texts([each.wallet for each in unbilled]),
            texts([each.currency_code for each in unbilled]),
            integers(list(books.unbilled.values())),
        ),
        unbilled,
    )
    store_exchange(connection, books.exchange)
    days = day_rows(books.sums)
    _execute(connection, ADD_TO_DAYS, days)
    _execute(connection, DELETE_EMPTY_DAYS, days[:-1] if days else None)


def post_pools(books: Books) -> None:
    """Post what the pools have earned beyond their lots."""
    for name, pool in books.pools.items():
        for day, nanos in pool.measure():
            if nanos:
                # A period is over before it is locked, so the day of a record is open when it is made.
                currency, entity = pool.terms.currency_code, pool.terms.entity
                books.add(PostingKey(BREAKAGE, day, day, day, currency, entity, "", name), nanos)


def _changed(books: Books) -> dict[LotKey, OpenLot]:
    return {
        key: held
        for key, held in books.lots.items()
        if held is not None and key not in books.begun and key not in books.shares
    }


def _execute(
    connection: psycopg.Connection[Any],
    statement: str,
    columns: tuple[str, ...] | None,
    rows: object = True,
) -> None:
    if columns and rows:
        connection.execute(statement, columns)


def _load(connection: psycopg.Connection[Any], books: Books, events: PageEvents) -> None:
    touched = touched_by(events)
    pools = _load_lots(connection, books, touched.lots)
    _load_pools(connection, books, touched.pools | pools)
    contracts = _load_contracts(connection, books, touched)
    wallets = touched.priced_wallets | set(contracts.values())
    wanted = sorted(wallets - books.scales.keys() - touched.opened.keys())
    if wanted:
        for wallet, scale, entity in connection.execute(LOAD_WALLETS, (wanted,)).fetchall():
            books.scales[wallet], books.entities[wallet] = scale, entity
    unbilled = {Unbilled(contracts[bill.contract], bill.currency_code) for bill in touched.billed}
    if books.exchange.functional or any(isinstance(each.change, CurrencySet) for each in events.others):
        unbilled |= {Unbilled(*priced) for priced in touched.priced}
    load_exchange(connection, books.exchange, touched, contracts, books.entities | touched.opened)
    _load_unbilled(connection, books, unbilled)


def _load_contracts(connection: psycopg.Connection[Any], books: Books, touched: Touched) -> dict[str, str]:
    """Load contracts that are billed, and return the wallet of each."""
    wanted = sorted({bill.contract for bill in touched.billed} - books.contracts.keys())
    if wanted:
        rows = connection.execute(LOAD_CONTRACTS, (wanted,)).fetchall()
        books.contracts |= {contract: ContractRow(*row) for contract, *row in rows}
    wallets = {name: row.wallet for name, row in books.contracts.items()} | touched.signed
    return {bill.contract: wallets[bill.contract] for bill in touched.billed}


def _load_unbilled(connection: psycopg.Connection[Any], books: Books, unbilled: set[Unbilled]) -> None:
    wanted = sorted(unbilled - books.unbilled_before.keys())
    if wanted:
        keys = texts([each.wallet for each in wanted]), texts([each.currency_code for each in wanted])
        books.unbilled_before |= dict.fromkeys(wanted, 0)
        for wallet, currency, nanos in connection.execute(LOAD_UNBILLED, keys).fetchall():
            books.unbilled_before[Unbilled(wallet, currency)] = int(nanos)


def _load_lots(connection: psycopg.Connection[Any], books: Books, keys: set[LotKey]) -> set[str]:
    """Load lots that are not in the books, and return the pools that they are in."""
    wanted = [key for key in keys if key not in books.lots]
    books.lots |= dict.fromkeys(wanted)
    found = _read_lots(connection, wanted)
    bonuses = {key: lot for key, lot in found.items() if lot.purchase_version}
    purchases = {key: LotKey(key.wallet, lot.purchase_version) for key, lot in bonuses.items()}
    found |= _read_lots(connection, sorted(set(purchases.values()) - found.keys() - books.lots.keys()))
    for key, lot in found.items():
        if key not in bonuses:
            books.lots[key] = OpenLot(lot)
    for key, purchase in purchases.items():
        books.lots[key] = books.lots[purchase]
        books.shares.add(key)
    return {lot.pool for lot in found.values() if lot.pool}


def _read_lots(connection: psycopg.Connection[Any], keys: list[LotKey]) -> dict[LotKey, PaidLot]:
    if not keys:
        return {}
    cursor = connection.cursor(binary=True)
    cursor.execute(
        LOAD_LOTS, (texts([key.wallet for key in keys]), integers([key.grant_version for key in keys]))
    )
    return {LotKey(wallet, version): PaidLot(*columns) for wallet, version, *columns in cursor.fetchall()}


def _load_pools(connection: psycopg.Connection[Any], books: Books, names: set[str]) -> None:
    wanted = sorted(names - books.pools.keys())
    if wanted:
        rows = connection.execute(LOAD_POOLS, (wanted,)).fetchall()
        books.pools |= {row[0]: pool_of_row(row) for row in rows}
