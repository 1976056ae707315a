"""Facts to compute invoices from, in PostgreSQL: one state of the database for each computation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from rating_service.adapters.postgres.debit_rows import (
    DEBIT_COLUMNS,
    REVERSAL_COLUMNS,
    debit_from_row,
    grant_from_row,
    reversal_from_row,
)
from rating_service.application.invoicing.invoice_ports import BillingFacts, News, PurchaseFact
from rating_service.application.ports import InvoiceHead, LedgerEvent, Span, StoreUnavailableError
from rating_service.domain.agreements.agreement import Money
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.debits import GrantFact
from rating_service.domain.documents.credit_note import CreditNote, read_note
from rating_service.domain.documents.invoice_document import Invoice, InvoiceKind, read_document
from rating_service.domain.invoicing.cycle_statement import CycleFacts

CONNECTIONS_MAX: Final = 8
"""More computations than threads of the default executor, on most machines, gain nothing."""
CONNECT_SECONDS_MAX: Final = 5.0
ROWS_AT_A_TIME: Final = 1_000
"""Rows that a stream fetches at once; above 1,000 nothing is gained."""

READ_HEADS: Final = sql.SQL(
    "SELECT name, kind, sequence, cycle_start_time, cycle_end_time, watermark_position FROM rating.invoices"
)
OF_CONTRACT: Final = sql.SQL(" WHERE contract = %(contract)s ORDER BY sequence")
NAMED: Final = sql.SQL(" WHERE name = %(name)s")
READ_DOCUMENTS: Final = "SELECT document FROM rating.invoices WHERE name = ANY(%(names)s) ORDER BY sequence"
READ_NOTES: Final = "SELECT document FROM rating.credit_notes WHERE name = ANY(%(names)s) ORDER BY number"
READ_AGREEMENTS: Final = (
    "SELECT position, stream, version, topic, state FROM rating.agreement_events"
    " WHERE stream = %(stream)s AND position <= %(watermark_position)s ORDER BY position"
)
READ_SPAN: Final = sql.SQL(
    "SELECT {columns} FROM rating.debits WHERE wallet = %(wallet)s AND effective_time >= %(from_time)s"
    " AND effective_time < %(to_time)s AND position <= %(watermark_position)s AND adjusted_cycle_time IS NULL"
    " UNION ALL SELECT {columns} FROM rating.debits WHERE contract = %(contract)s"
    " AND adjusted_cycle_time >= %(from_time)s AND adjusted_cycle_time < %(to_time)s"
    " AND position <= %(watermark_position)s"
).format(columns=DEBIT_COLUMNS)
READ_REVERSALS: Final = sql.SQL(
    "SELECT {columns} FROM rating.debit_reversals AS r"
    " JOIN rating.debits AS d ON d.wallet = r.wallet AND d.version = r.debit_version"
    " WHERE r.wallet = %(wallet)s AND r.position <= %(watermark_position)s"
    " AND (coalesce(d.adjusted_cycle_time, d.effective_time) >= %(from_time)s"
    " AND coalesce(d.adjusted_cycle_time, d.effective_time) < %(to_time)s"
    " OR d.effective_time >= %(from_time)s AND d.effective_time < %(to_time)s) ORDER BY r.position"
).format(columns=REVERSAL_COLUMNS)
READ_ADJUSTING: Final = sql.SQL(
    "SELECT {columns} FROM rating.debits WHERE wallet = %(wallet)s AND adjusted_cycle_time IS NOT NULL"
    " AND effective_time >= %(from_time)s AND effective_time < %(to_time)s"
    " AND NOT (adjusted_cycle_time >= %(from_time)s AND adjusted_cycle_time < %(to_time)s)"
    " AND position <= %(watermark_position)s ORDER BY position"
).format(columns=DEBIT_COLUMNS)
# A grant counts with what was not revoked of it.
READ_GRANTS: Final = """
    SELECT g.wallet, g.version, g.effective_time, g.amount_units - coalesce((
            SELECT sum(w.amount_units) FROM rating.included_withdrawals AS w
            WHERE w.wallet = g.wallet AND w.grant_version = g.version AND w.position <= %(watermark_position)s
        ), 0)::bigint, g.expire_time, g.contract
    FROM rating.included_grants AS g
    WHERE g.wallet = %(wallet)s AND g.position <= %(watermark_position)s ORDER BY g.version
"""
READ_PURCHASES: Final = """
    SELECT version, position, effective_time, amount_units, currency_code, nanos, reference, top_up_version
    FROM rating.purchases
    WHERE wallet = %(wallet)s AND position <= %(watermark_position)s AND effective_time < %(end_time)s
        AND (effective_time >= %(start_time)s OR position > %(after_position)s)
    ORDER BY effective_time, version
"""
# The newest version that was counted before is found from the newest debit backwards, past the new ones only.
READ_TOUCHED: Final = """
    WITH learned AS MATERIALIZED (
        SELECT coalesce(adjusted_cycle_time, effective_time) AS billed_time FROM rating.debits
        WHERE wallet = %(wallet)s AND version > coalesce((
                SELECT version FROM rating.debits
                WHERE wallet = %(wallet)s AND position <= %(after_position)s ORDER BY version DESC LIMIT 1
            ), 0)
            AND position > %(after_position)s AND position <= %(watermark_position)s
            AND coalesce(adjusted_cycle_time, effective_time) < %(last_end_time)s
        UNION ALL
        SELECT coalesce(d.adjusted_cycle_time, d.effective_time) FROM rating.debit_reversals AS r
        JOIN rating.debits AS d ON d.wallet = r.wallet AND d.version = r.debit_version
        WHERE r.wallet = %(wallet)s AND r.position > %(after_position)s AND r.position <= %(watermark_position)s
    )
    SELECT c.place FROM unnest(%(start_times)s::timestamptz[], %(end_times)s::timestamptz[])
        WITH ORDINALITY AS c (start_time, end_time, place)
    WHERE EXISTS (
        SELECT FROM learned WHERE billed_time >= c.start_time AND billed_time < c.end_time
    )
    ORDER BY c.place
"""


class PostgresInvoiceFacts:
    """InvoiceFacts in PostgreSQL, on connections that are kept: to open one costs more than a small invoice."""

    def __init__(self, url: str) -> None:
        """Read from a database, which is connected to when it is first needed."""
        self._pool: ConnectionPool[psycopg.Connection[tuple[Any, ...]]] = ConnectionPool(
            url,
            min_size=0,
            max_size=CONNECTIONS_MAX,
            timeout=CONNECT_SECONDS_MAX,
            configure=_see_one_state,
            check=ConnectionPool.check_connection,
            open=True,
            name="invoice-facts",
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    @contextmanager
    def open(self) -> Iterator[BillingFacts]:
        """Lend one state of the database. Raises StoreUnavailableError."""
        try:
            with self._pool.connection() as lent:
                yield PostgresBillingFacts(lent)
        except (PoolTimeout, psycopg.OperationalError) as cause:
            raise StoreUnavailableError(f"the database cannot be reached ({type(cause).__name__})") from cause


def _see_one_state(lent: psycopg.Connection[tuple[Any, ...]]) -> None:
    lent.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ


class PostgresBillingFacts:
    """BillingFacts of one transaction."""

    def __init__(self, lent: psycopg.Connection[tuple[Any, ...]]) -> None:
        """Read in a transaction that sees one state."""
        self._lent = lent

    def head(self, name: str) -> InvoiceHead | None:
        """Return which invoice has a name, None if none."""
        found = self._lent.execute(READ_HEADS + NAMED, {"name": name}).fetchone()
        return None if found is None else _head(found)

    def heads(self, contract: str) -> list[InvoiceHead]:
        """Return which invoices of a contract were issued, in the order of issue."""
        return [_head(row) for row in self._lent.execute(READ_HEADS + OF_CONTRACT, {"contract": contract})]

    def documents(self, names: Sequence[str]) -> list[Invoice]:
        """Return issued invoices, in the order of issue."""
        if not names:
            return []
        return [read_document(row[0]) for row in self._lent.execute(READ_DOCUMENTS, {"names": list(names)})]

    def notes(self, names: Sequence[str]) -> list[CreditNote]:
        """Return issued credit notes, in the order of issue."""
        if not names:
            return []
        return [read_note(row[0]) for row in self._lent.execute(READ_NOTES, {"names": list(names)})]

    def agreements(self, stream: str, watermark_position: int) -> list[LedgerEvent]:
        """Return what was agreed on a stream and billed of it, in order, up to a position."""
        values = {"stream": stream, "watermark_position": watermark_position}
        return [LedgerEvent(*row) for row in self._lent.execute(READ_AGREEMENTS, values)]

    def grants(self, wallet: str, watermark_position: int) -> list[GrantFact]:
        """Return the grants of a wallet that a plan gave, as known at a position."""
        values = {"wallet": wallet, "watermark_position": watermark_position}
        return [grant_from_row(row) for row in self._lent.execute(READ_GRANTS, values)]

    def purchases(self, news: News, cycle: CycleBounds) -> list[PurchaseFact]:
        """Return what was bought before a cycle's end: in the cycle, or known only now."""
        values = news._asdict() | {"start_time": cycle.start_time, "end_time": cycle.end_time}
        return [_purchase(news.wallet, row) for row in self._lent.execute(READ_PURCHASES, values)]

    def touched(self, news: News, cycles: Sequence[CycleBounds]) -> list[CycleBounds]:
        """Return the cycles of which debits were recorded or taken back, in the order given."""
        if not cycles:
            return []
        values = news._asdict() | {
            "start_times": [cycle.start_time for cycle in cycles],
            "end_times": [cycle.end_time for cycle in cycles],
            "last_end_time": max(cycle.end_time for cycle in cycles),
        }
        return [cycles[place - 1] for (place,) in self._lent.execute(READ_TOUCHED, values)]

    def cycle(self, span: Span) -> CycleFacts:
        """Return a span's debits, streamed, those posted in it for other cycles, and the reversals of all of them."""
        values = span._asdict()
        reversals = [reversal_from_row(row) for row in self._lent.execute(READ_REVERSALS, values)]
        adjusting = [debit_from_row(row) for row in self._lent.execute(READ_ADJUSTING, values)]
        rows = self._lent.cursor().stream(READ_SPAN, values, size=ROWS_AT_A_TIME)
        cycle = CycleBounds(span.from_time, span.to_time)
        return CycleFacts(cycle, map(debit_from_row, rows), reversals, adjusting)


def _head(row: Any) -> InvoiceHead:
    name, kind, sequence, start_time, end_time, watermark_position = row
    cycle = CycleBounds(start_time.astimezone(UTC), end_time.astimezone(UTC))
    return InvoiceHead(name, InvoiceKind(kind), sequence, cycle, watermark_position)


def _purchase(wallet: str, row: Any) -> PurchaseFact:
    version, position, effective_time, amount_units, currency_code, nanos, reference, top_up_version = row
    return PurchaseFact(
        grant=f"{wallet}/grants/{version}",
        position=position,
        effective_time=effective_time.astimezone(UTC),
        amount_units=amount_units,
        paid=Money(currency_code, nanos),
        reference=reference,
        top_up=f"{wallet}/topUps/{top_up_version}" if top_up_version else "",
    )
