"""Recorded usage to price again, in PostgreSQL: cycle by cycle on one connection, in the order of the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql

from rating_service.adapters.postgres.debit_rows import DEBIT_COLUMNS, debit_from_row
from rating_service.application.ports import StoreUnavailableError
from rating_service.application.reratings.rerating_ports import CycleFacts, CycleSpan
from rating_service.domain.debits import DebitFact

ROWS_AT_A_TIME: Final = 1_000
OF_CARD: Final = sql.SQL(
    "contract = %(contract)s AND starts_with(rate_card_phase, %(rate_card)s || '/phases/')"
    " AND position <= %(watermark_position)s"
)
READ_DEBITS: Final = sql.SQL(
    "SELECT {columns} FROM rating.debits WHERE wallet = %(wallet)s AND effective_time >= %(from_time)s"
    " AND effective_time < %(to_time)s AND {of_card} AND adjusted_cycle_time IS NULL ORDER BY position"
).format(columns=DEBIT_COLUMNS, of_card=OF_CARD)
READ_ADJUSTMENTS: Final = sql.SQL(
    "SELECT {columns} FROM rating.debits WHERE adjusted_cycle_time = %(from_time)s AND {of_card}"
    " ORDER BY position"
).format(columns=DEBIT_COLUMNS, of_card=OF_CARD)
# Of all debits of the wallet: they are few, and which are of the cycle is known only while it is read.
READ_REVERSED: Final = """
    SELECT debit_version, sum(amount_units)::bigint FROM rating.debit_reversals
    WHERE wallet = %(wallet)s AND position <= %(watermark_position)s GROUP BY debit_version
"""


class PostgresReratingFacts:
    """ReratingFacts in PostgreSQL."""

    def __init__(self, url: str) -> None:
        """Read from a database."""
        self._url = url

    @contextmanager
    def open(self) -> Iterator[PostgresCycleReader]:
        """Lend a reader. Raises StoreUnavailableError."""
        try:
            with psycopg.connect(self._url, autocommit=True) as lent:
                yield PostgresCycleReader(lent)
        except psycopg.OperationalError as cause:
            raise StoreUnavailableError(f"the database cannot be reached ({type(cause).__name__})") from cause


class PostgresCycleReader:
    """Reads cycles on one connection; the debits of one are read before the next is asked for."""

    def __init__(self, lent: psycopg.Connection[Any]) -> None:
        """Use a connection."""
        self._lent = lent

    def read(self, span: CycleSpan) -> CycleFacts:
        """Return the facts of a span."""
        values = span._asdict()
        adjustments = [debit_from_row(row) for row in self._lent.execute(READ_ADJUSTMENTS, values)]
        reversed_units = {row[0]: row[1] for row in self._lent.execute(READ_REVERSED, values)}
        return CycleFacts(self._debits(values), adjustments, reversed_units)

    def _debits(self, values: dict[str, Any]) -> Iterator[DebitFact]:
        with self._lent.cursor() as cursor:
            for row in cursor.stream(READ_DEBITS, values, size=ROWS_AT_A_TIME):
                yield debit_from_row(row)
