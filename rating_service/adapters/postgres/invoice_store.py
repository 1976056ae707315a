"""The invoices issued, and the debits behind their lines, in PostgreSQL.

Invoices are only ever inserted; triggers in the schema refuse every other change. The debits behind a line
are not stored with it: wallet, cycle, watermark and the line's keys find the same ones again, for ever.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from psycopg import sql
from psycopg.rows import dict_row

from rating_service.adapters.postgres.contract_lock import lock_contract
from rating_service.adapters.postgres.debit_rows import (
    DEBIT_COLUMNS,
    REVERSAL_COLUMNS,
    debit_from_row,
    reversal_from_row,
)
from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.adapters.postgres.record_store import add_record
from rating_service.application.ports import KnownDebit, Span, StoredInvoice
from rating_service.domain.documents.invoice_document import CLOSING_KINDS, InvoiceKind, read_document
from rating_service.domain.documents.invoice_lines import LineKey, LineKind
from rating_service.domain.documents.invoice_record import invoice_record
from rating_service.domain.invoicing.reversals import by_debit

READ_LINE: Final = sql.SQL(
    "SELECT {columns} FROM rating.debits WHERE wallet = %(wallet)s AND position <= %(watermark_position)s"
    " AND (adjusted_cycle_time IS NULL AND effective_time >= %(from_time)s AND effective_time < %(to_time)s"
    " OR adjusted_cycle_time >= %(from_time)s AND adjusted_cycle_time < %(to_time)s"
    " AND contract = %(contract)s)"
    " AND contract_phase = %(contract_phase)s AND rate_card_phase = %(rate_card_phase)s"
    " AND position > %(after)s AND (overage_units > 0 OR NOT %(only_overage)s)"
    " AND (position > %(since)s OR EXISTS (SELECT FROM rating.debit_reversals AS r"
    " WHERE r.wallet = debits.wallet AND r.debit_version = debits.version"
    " AND r.position > %(since)s AND r.position <= %(watermark_position)s))"
    " ORDER BY position LIMIT %(limit)s"
).format(columns=DEBIT_COLUMNS)
READ_REVERSALS_OF_DEBITS: Final = sql.SQL(
    "SELECT {columns} FROM rating.debit_reversals AS r WHERE r.wallet = %(wallet)s"
    " AND r.debit_version = ANY(%(debit_versions)s) AND r.position <= %(watermark_position)s"
    " ORDER BY r.position"
).format(columns=REVERSAL_COLUMNS)
INVOICE_COLUMNS: Final = sql.SQL(
    "name, contract, cycle_start_time, cycle_end_time, issue_time, watermark_position, hash, document, kind,"
    " sequence, owed_nanos"
)
# Unless it closes a cycle and there is a note on a fee in advance that it does not know.
ADD_INVOICE: Final = sql.SQL(
    "INSERT INTO rating.invoices ({columns}) SELECT %(name)s, %(contract)s, %(cycle_start_time)s,"
    " %(cycle_end_time)s, %(issue_time)s, %(watermark_position)s, %(hash)s, %(document)s, %(kind)s,"
    " %(sequence)s, %(owed_nanos)s"
    " WHERE %(kind)s NOT IN ('CYCLE', 'FINAL') OR NOT EXISTS ("
    "SELECT FROM rating.credit_notes AS n"
    " JOIN rating.invoices AS i ON i.name = n.invoice"
    " AND position('\"advance\":{{'::bytea IN i.document) > 0"
    " LEFT JOIN rating.ledger_records AS r ON r.document = n.name"
    " WHERE n.contract = %(contract)s AND n.settles = ''"
    " AND (r.position IS NULL OR r.position > %(watermark_position)s))"
    " ON CONFLICT DO NOTHING"
).format(columns=INVOICE_COLUMNS)
READ_INVOICE: Final = sql.SQL("SELECT {columns} FROM rating.invoices ").format(columns=INVOICE_COLUMNS)
OF_CYCLE: Final = sql.SQL(
    "WHERE contract = %(contract)s AND cycle_start_time = %(cycle_start_time)s AND kind IN ('CYCLE', 'FINAL')"
)
NAMED: Final = sql.SQL("WHERE name = %(name)s")
PAGE: Final = sql.SQL(
    "WHERE name > %(after)s AND (%(contract)s = '' OR contract = %(contract)s) ORDER BY name LIMIT %(limit)s"
)


class PostgresInvoiceStore:
    """InvoiceStore in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def line_debits(
        self, span: Span, key: LineKey, *, since: int, after: int, limit: int
    ) -> list[KnownDebit]:
        """Return debits that may be behind a line, after a position, by position.

        Only those that were recorded or taken back, in part or whole, after the position `since`.
        """
        values = span._asdict() | {
            "contract_phase": key.contract_phase,
            "rate_card_phase": key.rate_card_phase,
            "only_overage": LineKind.OVERAGE in (key.kind, key.adjusted_kind),
            "since": since,
            "after": after,
            "limit": limit,
        }
        async with connection(self._pool) as lent:
            rows: list[Any] = await (await lent.execute(READ_LINE, values)).fetchall()
            debits = [debit_from_row(row) for row in rows]
            values["debit_versions"] = [debit.version for debit in debits]
            found: list[Any] = await (await lent.execute(READ_REVERSALS_OF_DEBITS, values)).fetchall()
        reversals = by_debit(map(reversal_from_row, found))
        return [KnownDebit(debit, reversals.get((debit.wallet, debit.version), ())) for debit in debits]

    async def add(self, invoice: StoredInvoice) -> bool:
        """Store an invoice; False if its sequence is taken, its cycle closed, or a credit note unknown to it.

        What the ledger is to be told of it is stored in the same transaction.
        """
        values = {name: getattr(invoice, name) for name in invoice.__struct_fields__}
        async with connection(self._pool) as lent:
            if InvoiceKind(invoice.kind) in CLOSING_KINDS:
                await lock_contract(lent, invoice.contract)
            added = await lent.execute(ADD_INVOICE, values)
            if added.rowcount == 1:
                await add_record(lent, invoice_record(read_document(invoice.document), invoice.hash))
        return added.rowcount == 1

    async def of_cycle(self, contract: str, cycle_start_time: datetime) -> StoredInvoice | None:
        """Return the invoice that closed a cycle, None if it was not issued."""
        found = await self._read(
            READ_INVOICE + OF_CYCLE,
            {"contract": contract, "cycle_start_time": cycle_start_time},
        )
        return found[0] if found else None

    async def named(self, name: str) -> StoredInvoice | None:
        """Return an invoice by its name, None if there is none."""
        found = await self._read(READ_INVOICE + NAMED, {"name": name})
        return found[0] if found else None

    async def page(self, *, contract: str, after: str, limit: int) -> list[StoredInvoice]:
        """Return invoices by name after a name; only a contract's unless it is empty."""
        return await self._read(READ_INVOICE + PAGE, {"contract": contract, "after": after, "limit": limit})

    async def _read(self, query: sql.Composed, values: dict[str, object]) -> list[StoredInvoice]:
        async with connection(self._pool) as lent, lent.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, values)
            return [StoredInvoice(**row) for row in await cursor.fetchall()]
