"""Stores deferred revenue: reads the touched lots, writes lots and days, in the caller's transaction.

Table names carry no schema: the connection's search_path decides, which is how a rebuild writes beside the
live tables with the same statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg

from ledger_service.projections.array_text import booleans, integers, texts, times
from ledger_service.projections.deferred_revenue import (
    Collected,
    LotKey,
    keys_to_load,
    post,
)
from ledger_service.projections.paid_lot_movements import collect
from ledger_service.projections.recognition import DayKey, DaySums, PaidLot
from ledger_service.projections.tables import Table
from ledger_service.projections.wallet_events import WalletEvent

TABLES: Final = (
    Table("deferred_revenue_lots", ("wallet", "grant_version")),
    Table("deferred_revenue_days", ("currency_code", "day")),
)

_LOAD_LOTS: Final = """
SELECT wallet, grant_version, currency_code, consideration_nanos, amount_units, effective_day, expire_time,
    drawn_units, expired_units, recognised_usage_nanos, recognised_breakage_nanos,
    rolls_over, held_units, refunded_units, rolled_units, refunded_nanos, rolled_nanos
FROM unnest(%s::text[], %s::bigint[]) AS k (wallet, grant_version)
JOIN deferred_revenue_lots USING (wallet, grant_version)"""

_INSERT_LOTS: Final = """
INSERT INTO deferred_revenue_lots
    (wallet, grant_version, currency_code, consideration_nanos, amount_units, effective_day, expire_time,
     rolls_over, drawn_units, expired_units, recognised_usage_nanos, recognised_breakage_nanos, used_up,
     held_units, refunded_units, rolled_units, refunded_nanos, rolled_nanos)
SELECT *, 0, 0, 0, 0, 0 FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::date[],
    %s::timestamptz[], %s::boolean[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::boolean[])"""

_UPDATE_LOTS: Final = """
UPDATE deferred_revenue_lots AS l
SET drawn_units = d.drawn_units,
    expired_units = d.expired_units,
    recognised_usage_nanos = d.recognised_usage_nanos,
    recognised_breakage_nanos = d.recognised_breakage_nanos,
    used_up = d.used_up
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::boolean[])
    AS d (wallet, grant_version, drawn_units, expired_units, recognised_usage_nanos,
        recognised_breakage_nanos, used_up)
WHERE l.wallet = d.wallet AND l.grant_version = d.grant_version"""

# What few lots meet, in a statement of its own: draws pay nothing for it.
_UPDATE_RULED: Final = """
UPDATE deferred_revenue_lots AS l
SET expire_time = d.expire_time,
    held_units = d.held_units,
    refunded_units = d.refunded_units,
    rolled_units = d.rolled_units,
    refunded_nanos = d.refunded_nanos,
    rolled_nanos = d.rolled_nanos
FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[])
    AS d (wallet, grant_version, expire_time, held_units, refunded_units, rolled_units, refunded_nanos,
        rolled_nanos)
WHERE l.wallet = d.wallet AND l.grant_version = d.grant_version"""

_ADD_TO_DAYS: Final = """
INSERT INTO deferred_revenue_days AS s
    (currency_code, day, billings_nanos, recognised_usage_nanos, recognised_breakage_nanos, refunds_nanos)
SELECT * FROM unnest(%s::text[], %s::date[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[])
ON CONFLICT (currency_code, day) DO UPDATE
SET billings_nanos = s.billings_nanos + excluded.billings_nanos,
    recognised_usage_nanos = s.recognised_usage_nanos + excluded.recognised_usage_nanos,
    recognised_breakage_nanos = s.recognised_breakage_nanos + excluded.recognised_breakage_nanos,
    refunds_nanos = s.refunds_nanos + excluded.refunds_nanos"""


class DeferredRevenueRun:
    """A run of deferred revenue."""

    def __init__(self) -> None:
        self._collected = Collected()

    def fold(self, events: Iterable[WalletEvent]) -> None:
        """Add the next events of the log."""
        collect(self._collected, events)

    def row_count(self) -> int:
        """Return how many lots storing the run touches."""
        return len(self._collected.issued) + len(self._collected.landed) + len(self._collected.movements)

    def store(self, connection: psycopg.Connection[Any]) -> None:
        """Post the run onto the tables. Raises psycopg.Error."""
        store_deferred_revenue(connection, self._collected)


def store_deferred_revenue(connection: psycopg.Connection[Any], collected: Collected) -> None:
    """Post what was collected onto the tables. Raises psycopg.Error."""
    posted = post(collected, _load_lots(connection, keys_to_load(collected)))
    new = collected.issued.keys() | collected.landed.keys() | collected.carried
    _insert_lots(connection, {key: lot for key, lot in posted.lots.items() if key in new})
    _update_lots(connection, {key: lot for key, lot in posted.lots.items() if key not in new})
    _update_ruled(connection, {key: posted.lots[key] for key in collected.ruled if key in posted.lots})
    _add_to_days(connection, posted.days)


def _load_lots(connection: psycopg.Connection[Any], keys: Sequence[LotKey]) -> dict[LotKey, PaidLot]:
    if not keys:
        return {}
    cursor = connection.cursor(binary=True)
    cursor.execute(
        _LOAD_LOTS, (texts([key.wallet for key in keys]), integers([key.grant_version for key in keys]))
    )
    return {LotKey(wallet, version): PaidLot(*columns) for wallet, version, *columns in cursor.fetchall()}


def _insert_lots(connection: psycopg.Connection[Any], lots: dict[LotKey, PaidLot]) -> None:
    if lots:
        rows = list(lots.values())
        connection.execute(
            _INSERT_LOTS,
            (
                texts([key.wallet for key in lots]),
                integers([key.grant_version for key in lots]),
                texts([lot.currency_code for lot in rows]),
                integers([lot.consideration_nanos for lot in rows]),
                integers([lot.amount_units for lot in rows]),
                texts([lot.effective_day.isoformat() for lot in rows]),
                times([lot.expire_time for lot in rows]),
                booleans([lot.rolls_over for lot in rows]),
                *_figures(rows),
            ),
        )


def _update_lots(connection: psycopg.Connection[Any], lots: dict[LotKey, PaidLot]) -> None:
    if lots:
        keys = (texts([key.wallet for key in lots]), integers([key.grant_version for key in lots]))
        connection.execute(_UPDATE_LOTS, (*keys, *_figures(list(lots.values()))))


def _update_ruled(connection: psycopg.Connection[Any], lots: dict[LotKey, PaidLot]) -> None:
    if lots:
        rows = list(lots.values())
        connection.execute(
            _UPDATE_RULED,
            (
                texts([key.wallet for key in lots]),
                integers([key.grant_version for key in lots]),
                times([lot.expire_time for lot in rows]),
                integers([lot.held_units for lot in rows]),
                integers([lot.refunded_units for lot in rows]),
                integers([lot.rolled_units for lot in rows]),
                integers([lot.refunded_nanos for lot in rows]),
                integers([lot.rolled_nanos for lot in rows]),
            ),
        )


def _figures(lots: Sequence[PaidLot]) -> list[str]:
    return [
        integers([lot.drawn_units for lot in lots]),
        integers([lot.expired_units for lot in lots]),
        integers([lot.recognised_usage_nanos for lot in lots]),
        integers([lot.recognised_breakage_nanos for lot in lots]),
        booleans([lot.used_up for lot in lots]),
    ]


def _add_to_days(connection: psycopg.Connection[Any], days: dict[DayKey, DaySums]) -> None:
    if days:
        connection.execute(
            _ADD_TO_DAYS,
            (
                texts([key.currency_code for key in days]),
                texts([key.day.isoformat() for key in days]),
                integers([sums.billings_nanos for sums in days.values()]),
                integers([sums.recognised_usage_nanos for sums in days.values()]),
                integers([sums.recognised_breakage_nanos for sums in days.values()]),
                integers([sums.refunds_nanos for sums in days.values()]),
            ),
        )
