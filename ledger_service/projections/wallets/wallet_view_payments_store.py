"""Stores what becomes of grants that wait for a payment, and when automatic top-ups may be due.

Statements of their own, so that debits, which are nearly all events, pay nothing for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import psycopg

from ledger_service.projections.array_text import integers, texts, times
from ledger_service.projections.tables import Table, expect_rows
from ledger_service.projections.wallets.wallet_tallies import LotTally, Tallies

PAYMENT_TABLES: Final = (Table("wallet_view_top_up_timers", ("wallet", "timer")),)

_SET_STATES: Final = """
UPDATE wallet_view_grants AS g
SET payment_state = d.payment_state, effective_time = coalesce(d.effective_time, g.effective_time)
FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::timestamptz[])
    AS d (wallet, grant_version, payment_state, effective_time)
WHERE g.wallet = d.wallet AND g.grant_version = d.grant_version"""

_SET_TOP_UPS: Final = """
UPDATE wallet_view_grants AS g SET top_up_version = d.top_up_version
FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS d (wallet, grant_version, top_up_version)
WHERE g.wallet = d.wallet AND g.grant_version = d.grant_version"""

_PUT_TIMERS: Final = """
INSERT INTO wallet_view_top_up_timers (wallet, timer, next_time)
SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[])
ON CONFLICT (wallet, timer) DO UPDATE SET next_time = excluded.next_time"""


class _Row(NamedTuple):
    wallet: str
    grant_version: int
    lot: LotTally


def store_payments(connection: psycopg.Connection[Any], tallies: Tallies) -> None:
    """Change rows that are there already, those of the run included. Raises RowMissingError, psycopg.Error."""
    changed: list[_Row] = []
    bought: list[_Row] = []
    for name, tally in tallies.items():
        for version, lot in tally.lots.items():
            if lot.payment_state is not None:
                changed.append(_Row(name, version, lot))
            if lot.issued is not None and lot.issued.granted.top_up_version:
                bought.append(_Row(name, version, lot))
    _set_states(connection, changed)
    _set_top_ups(connection, bought)
    _put_timers(connection, tallies)


def _set_states(connection: psycopg.Connection[Any], rows: Sequence[_Row]) -> None:
    if rows:
        activated = [row.lot.activated for row in rows]
        cursor = connection.execute(
            _SET_STATES,
            (
                texts([row.wallet for row in rows]),
                integers([row.grant_version for row in rows]),
                texts([row.lot.payment_state or "" for row in rows]),
                times([None if each is None else each.lot.effective_time for each in activated]),
            ),
        )
        expect_rows(cursor.rowcount, len(rows), "grants of the wallet view")


def _set_top_ups(connection: psycopg.Connection[Any], rows: Sequence[_Row]) -> None:
    if rows:
        granted = [row.lot.issued.granted for row in rows if row.lot.issued is not None]
        cursor = connection.execute(
            _SET_TOP_UPS,
            (
                texts([row.wallet for row in rows]),
                integers([row.grant_version for row in rows]),
                integers([each.top_up_version for each in granted]),
            ),
        )
        expect_rows(cursor.rowcount, len(rows), "grants of the wallet view")


def _put_timers(connection: psycopg.Connection[Any], tallies: Tallies) -> None:
    rows = [(name, timer, time) for name, tally in tallies.items() for timer, time in tally.timers.items()]
    if rows:
        connection.execute(
            _PUT_TIMERS,
            (
                texts([wallet for wallet, _, _ in rows]),
                texts([timer for _, timer, _ in rows]),
                times([time for _, _, time in rows]),
            ),
        )
