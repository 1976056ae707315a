"""Recorded usage for a simulation, from one state of the database.

Debits are streamed in the order of the log while they are priced. Sorting a year of them first would take longer than
pricing them, so the planner is kept from it unless single wallets are asked for. Adjustments are left out, and so is
what they gave back: they put the price of earlier usage right, and that usage is read itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from rating_service.application.ports import StoreUnavailableError
from rating_service.application.simulating.run_simulation import DebitRow, Wanted
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.catalogue import EMPTY, evolve
from rating_service.domain.agreements.index import values
from rating_service.domain.usage import Adjustment

ROWS_AT_A_TIME: Final = 1_000
"""Rows that the stream fetches at once; above 1,000 nothing is gained."""

READ_AGREEMENTS: Final = (
    "SELECT stream, topic, state FROM rating.agreement_events WHERE position <= %s ORDER BY position"
)
READ_FIRST: Final = "SELECT coalesce(min(position), 0) FROM rating.debits"
READ_REVERSED: Final = """
    SELECT wallet, debit_version, sum(amount_units)::bigint FROM rating.debit_reversals
    WHERE position <= %s GROUP BY wallet, debit_version
"""
READ_ADJUSTMENTS: Final = """
    SELECT wallet, charge FROM rating.debits WHERE position <= %s AND adjusted_cycle_time IS NOT NULL
"""
READ_DEBITS: Final = sql.SQL(
    "SELECT position, wallet, version, effective_time, contract, feature, amount_units, charge FROM"
    " rating.debits"
    " WHERE position <= %(watermark_position)s AND contract <> '' AND adjusted_cycle_time IS NULL"
    " AND effective_time >= %(from_time)s AND effective_time < %(to_time)s {of_wallets} ORDER BY position"
)
OF_WALLETS: Final = sql.SQL("AND wallet = ANY(%(wallets)s)")


class _Adjusting(msgspec.Struct, frozen=True):
    """Of the charge of an adjustment, what it gave back."""

    adjustment: Adjustment


_adjusting: Final = msgspec.json.Decoder(_Adjusting)


@contextmanager
def open_reader(url: str) -> Iterator[PostgresRecordedUsage]:
    """Lend a reader of one state of the database, which can change nothing. Raises StoreUnavailableError."""
    try:
        with psycopg.connect(url) as lent:
            lent.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            lent.read_only = True
            lent.execute("SET LOCAL TIME ZONE 'UTC'")
            yield PostgresRecordedUsage(lent)
    except psycopg.OperationalError as cause:
        raise StoreUnavailableError(f"the database cannot be reached ({type(cause).__name__})") from cause


class PostgresRecordedUsage:
    """RecordedUsage in PostgreSQL, on one connection."""

    def __init__(self, lent: psycopg.Connection[Any]) -> None:
        """Read on a connection."""
        self._lent = lent

    def contracts(self, watermark_position: int) -> list[Contract]:
        """Return every contract as it was agreed at a position."""
        catalogue = EMPTY
        for stream, topic, state in self._lent.execute(READ_AGREEMENTS, (watermark_position,)):
            catalogue = evolve(catalogue, stream, topic, state)
        return list(values(catalogue.contracts))

    def first_position(self) -> int:
        """Return the position of the first debit, 0 if there is none."""
        row: Any = self._lent.execute(READ_FIRST).fetchone()
        return int(row[0])

    def debits(self, wanted: Wanted) -> Iterator[DebitRow]:
        """Yield debits with a charge in the order of the log, read while they are consumed."""
        taken_back = self._taken_back(wanted.watermark_position)
        if wanted.wallets is None:
            self._lent.execute("SET LOCAL enable_sort = off")
        query = READ_DEBITS.format(of_wallets=OF_WALLETS if wanted.wallets is not None else sql.SQL(""))
        with self._lent.cursor() as cursor:
            rows = cursor.stream(query, wanted._asdict(), size=ROWS_AT_A_TIME)
            for position, wallet, version, effective_time, contract, feature, amount_units, charge in rows:
                left = amount_units
                if taken_back:
                    left -= taken_back.get((wallet, version), 0)
                yield DebitRow(
                    position, wallet, version, effective_time, contract, feature, amount_units, left, charge
                )

    def _taken_back(self, watermark_position: int) -> dict[tuple[str, int], int]:
        """Return the units that were taken back of debits, without those that adjustments gave back."""
        taken_back = {
            (wallet, version): units
            for wallet, version, units in self._lent.execute(READ_REVERSED, (watermark_position,))
        }
        for wallet, charge in self._lent.execute(READ_ADJUSTMENTS, (watermark_position,)):
            adjustment = _adjusting.decode(charge).adjustment
            for given in adjustment.taken_back:
                taken_back[wallet, given.debit_version] -= given.amount_units
        return taken_back
