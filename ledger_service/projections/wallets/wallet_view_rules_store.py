"""Stores what few events change in the wallet view: reservations, withdrawals, extensions, holds, series.

Statements of their own, so that debits, which are nearly all events, pay nothing for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import psycopg

from ledger_service.projections.array_text import booleans, integers, texts, times
from ledger_service.projections.tables import Table, expect_rows
from ledger_service.projections.wallets.wallet_tallies import HoldTally, LotTally, Tallies, WalletTally
from ledger_service.projections.wallets.wallet_view_payments_store import PAYMENT_TABLES, store_payments

RULE_TABLES: Final = (
    Table("wallet_view_holds", ("wallet", "hold_version")),
    Table("wallet_view_series", ("wallet", "series_version")),
    *PAYMENT_TABLES,
)

_ADD_TO_WALLETS: Final = """
UPDATE wallet_view_wallets AS w
SET debt_units = w.debt_units + d.debt_units, revoked_units = w.revoked_units + d.revoked_units
FROM unnest(%s::text[], %s::numeric[], %s::numeric[]) AS d (wallet, debt_units, revoked_units)
WHERE w.wallet = d.wallet"""

_ADD_TO_GRANTS: Final = """
UPDATE wallet_view_grants AS g
SET held_units = g.held_units + d.held_units,
    revoked_units = g.revoked_units + d.revoked_units,
    rolled_over_units = g.rolled_over_units + d.rolled_over_units
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS d (wallet, grant_version, held_units, revoked_units, rolled_over_units)
WHERE g.wallet = d.wallet AND g.grant_version = d.grant_version"""

_EXTEND_GRANTS: Final = """
UPDATE wallet_view_grants AS g SET expire_time = d.expire_time
FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[]) AS d (wallet, grant_version, expire_time)
WHERE g.wallet = d.wallet AND g.grant_version = d.grant_version"""

_INSERT_HOLDS: Final = """
INSERT INTO wallet_view_holds (wallet, hold_version, expire_time, held_units)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[], %s::numeric[])"""

_TAKE_FROM_HOLDS: Final = """
UPDATE wallet_view_holds AS h SET held_units = h.held_units - d.captured_units
FROM unnest(%s::text[], %s::bigint[], %s::numeric[]) AS d (wallet, hold_version, captured_units)
WHERE h.wallet = d.wallet AND h.hold_version = d.hold_version"""

_DELETE_HOLDS: Final = """
DELETE FROM wallet_view_holds AS h
USING unnest(%s::text[], %s::bigint[], %s::boolean[]) AS d (wallet, hold_version, ended)
WHERE h.wallet = d.wallet AND h.hold_version = d.hold_version AND (d.ended OR h.held_units = 0)"""

_PUT_SERIES: Final = """
INSERT INTO wallet_view_series (wallet, series_version, next_time)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[])
ON CONFLICT (wallet, series_version) DO UPDATE SET next_time = excluded.next_time"""

_DELETE_SERIES: Final = """
DELETE FROM wallet_view_series AS s USING unnest(%s::text[], %s::bigint[]) AS d (wallet, series_version)
WHERE s.wallet = d.wallet AND s.series_version = d.series_version"""

_END_SERIES: Final = """
DELETE FROM wallet_view_series AS s
USING unnest(%s::text[], %s::bigint[]) AS d (wallet, grant_version)
JOIN wallet_view_grants AS g ON g.wallet = d.wallet AND g.grant_version = d.grant_version
WHERE s.wallet = g.wallet AND s.series_version IN (g.series_version, g.grant_version)"""


_CLOSE_WALLETS: Final = """
UPDATE wallet_view_wallets AS w SET close_time = d.close_time
FROM unnest(%s::text[], %s::timestamptz[]) AS d (wallet, close_time)
WHERE w.wallet = d.wallet"""


class _LotRow(NamedTuple):
    wallet: str
    grant_version: int
    lot: LotTally


class _HoldRow(NamedTuple):
    wallet: str
    hold_version: int
    hold: HoldTally


def store_wallet_rules(connection: psycopg.Connection[Any], tallies: Tallies) -> None:
    """Add to rows that are there already, those of the run included. Raises RowMissingError, psycopg.Error."""
    _add_to_wallets(
        connection,
        {name: tally for name, tally in tallies.items() if tally.debt_units or tally.revoked_units},
    )
    _close_wallets(connection, [(name, tally) for name, tally in tallies.items() if tally.close_time])
    lots: list[_LotRow] = []
    holds: list[_HoldRow] = []
    for name, tally in tallies.items():
        lots += [_LotRow(name, version, lot) for version, lot in tally.lots.items() if _is_ruled(lot)]
        if tally.holds:
            holds += [_HoldRow(name, version, hold) for version, hold in tally.holds.items()]
    _add_to_grants(connection, lots)
    _extend_grants(connection, [row for row in lots if row.lot.extended is not None])
    _store_holds(connection, holds)
    _store_series(connection, tallies)
    store_payments(connection, tallies)


def _is_ruled(lot: LotTally) -> bool:
    changed = lot.held_units or lot.revoked_units or lot.rolled_over_units
    return bool(changed) or lot.extended is not None


def _add_to_wallets(connection: psycopg.Connection[Any], tallies: dict[str, WalletTally]) -> None:
    if tallies:
        cursor = connection.execute(
            _ADD_TO_WALLETS,
            (
                texts(list(tallies)),
                integers([tally.debt_units for tally in tallies.values()]),
                integers([tally.revoked_units for tally in tallies.values()]),
            ),
        )
        expect_rows(cursor.rowcount, len(tallies), "wallets of the wallet view")


def _close_wallets(connection: psycopg.Connection[Any], closed: Sequence[tuple[str, WalletTally]]) -> None:
    if closed:
        cursor = connection.execute(
            _CLOSE_WALLETS,
            (texts([name for name, _ in closed]), times([tally.close_time for _, tally in closed])),
        )
        expect_rows(cursor.rowcount, len(closed), "wallets of the wallet view")


def _add_to_grants(connection: psycopg.Connection[Any], rows: Sequence[_LotRow]) -> None:
    if rows:
        cursor = connection.execute(
            _ADD_TO_GRANTS,
            (
                texts([row.wallet for row in rows]),
                integers([row.grant_version for row in rows]),
                integers([row.lot.held_units for row in rows]),
                integers([row.lot.revoked_units for row in rows]),
                integers([row.lot.rolled_over_units for row in rows]),
            ),
        )
        expect_rows(cursor.rowcount, len(rows), "grants of the wallet view")


def _extend_grants(connection: psycopg.Connection[Any], rows: Sequence[_LotRow]) -> None:
    if rows:
        connection.execute(
            _EXTEND_GRANTS,
            (
                texts([row.wallet for row in rows]),
                integers([row.grant_version for row in rows]),
                times([row.lot.extended.expire_time if row.lot.extended else None for row in rows]),
            ),
        )


def _store_holds(connection: psycopg.Connection[Any], rows: Sequence[_HoldRow]) -> None:
    """Insert what the run placed and left open; change or delete what was open before it."""
    placed = [
        (row, row.hold.placed)
        for row in rows
        if row.hold.placed is not None
        and not row.hold.ended
        and row.hold.captured_units < row.hold.placed.amount_units
    ]
    before = [row for row in rows if row.hold.placed is None]
    if placed:
        connection.execute(
            _INSERT_HOLDS,
            (
                texts([row.wallet for row, _ in placed]),
                integers([row.hold_version for row, _ in placed]),
                times([held.expire_time for _, held in placed]),
                integers([held.amount_units - row.hold.captured_units for row, held in placed]),
            ),
        )
    if before:
        keys = (texts([row.wallet for row in before]), integers([row.hold_version for row in before]))
        taken = integers([row.hold.captured_units for row in before])
        cursor = connection.execute(_TAKE_FROM_HOLDS, (*keys, taken))
        expect_rows(cursor.rowcount, len(before), "holds of the wallet view")
        connection.execute(_DELETE_HOLDS, (*keys, booleans([row.hold.ended for row in before])))


def _store_series(connection: psycopg.Connection[Any], tallies: Tallies) -> None:
    """Put what is due next, then delete what ended: a series that ended never begins again."""
    found = [
        (name, version, next_time)
        for name, tally in tallies.items()
        if tally.series
        for version, next_time in tally.series.items()
    ]
    ended = [each for each in found if each[2] is None]
    due = [each for each in found if each[2] is not None]
    if due:
        keys = (texts([each[0] for each in due]), integers([each[1] for each in due]))
        connection.execute(_PUT_SERIES, (*keys, times([each[2] for each in due])))
    if ended:
        keys = (texts([each[0] for each in ended]), integers([each[1] for each in ended]))
        connection.execute(_DELETE_SERIES, keys)
    revoked = [(name, version) for name, tally in tallies.items() for version in tally.revoked_grants]
    if revoked:
        keys = (texts([each[0] for each in revoked]), integers([each[1] for each in revoked]))
        connection.execute(_END_SERIES, keys)
