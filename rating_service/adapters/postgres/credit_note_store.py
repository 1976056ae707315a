"""Credit notes in PostgreSQL. Rows are only ever inserted; triggers in the schema refuse every other change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from rating_service.adapters.postgres.contract_lock import lock_contract
from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.adapters.postgres.record_store import add_record
from rating_service.application.credit_note_ports import Earlier, NoteFilter, StoredNote, Taken
from rating_service.domain.documents.credit_note import NoteOrder, note_record, read_note
from rating_service.domain.documents.invoice_document import read_document

STORED: Final = tuple(name for name in StoredNote.__struct_fields__ if name not in ("number", "position"))
ADD: Final = sql.SQL("INSERT INTO rating.credit_notes ({columns}) VALUES ({values}) RETURNING number").format(
    columns=sql.SQL(", ").join(map(sql.Identifier, STORED)),
    values=sql.SQL(", ").join(map(sql.Placeholder, STORED)),
)
READ: Final = sql.SQL(
    "SELECT {columns}, n.number, r.position FROM rating.credit_notes AS n"
    " LEFT JOIN rating.ledger_records AS r ON r.document = n.name "
).format(columns=sql.SQL(", ").join(sql.Identifier("n", name) for name in STORED))
OF_KEY: Final = READ + sql.SQL("WHERE n.contract = %(contract)s AND n.idempotency_key = %(idempotency_key)s")
NAMED: Final = READ + sql.SQL("WHERE n.name = %(name)s")
PAGE: Final = READ + sql.SQL(
    "WHERE n.number > %(after)s AND (%(invoice)s = '' OR n.invoice = %(invoice)s)"
    " AND (%(contract)s = '' OR n.contract = %(contract)s)"
    " AND (%(settles)s = '' OR n.settles = %(settles)s) ORDER BY n.number LIMIT %(limit)s"
)
SETTLED: Final = sql.SQL(
    "SELECT coalesce(sum(total_nanos), 0)::bigint AS nanos FROM rating.credit_notes"
    " WHERE settles <> '' AND settles = %(settles)s"
)
OF_INVOICE: Final = sql.SQL(
    "SELECT document FROM rating.credit_notes WHERE invoice = %(invoice)s ORDER BY number"
)
CLOSING_AFTER: Final = sql.SQL(
    "SELECT document FROM rating.invoices WHERE contract = %(contract)s AND kind IN ('CYCLE', 'FINAL')"
    " AND sequence > (SELECT sequence FROM rating.invoices WHERE name = %(invoice)s) ORDER BY sequence"
)


class PostgresCreditNoteStore:
    """CreditNoteStore in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def issue(
        self, contract: str, key: str, order: NoteOrder, compute: Callable[[Earlier], StoredNote]
    ) -> Taken:
        """Store what `compute` makes of an order after earlier notes, with its record, while nobody else can."""
        async with connection(self._pool) as lent, lent.cursor(row_factory=dict_row) as cursor:
            await lock_contract(lent, contract)
            await cursor.execute(OF_KEY, {"contract": contract, "idempotency_key": key})
            row = await cursor.fetchone()
            if row is not None:
                return Taken(StoredNote(**row), replayed=True)
            stored = compute(await _earlier(cursor, contract, order))
            await cursor.execute(ADD, {name: getattr(stored, name) for name in STORED})
            await add_record(lent, note_record(read_note(stored.document), stored.hash))
        return Taken(stored, replayed=False)

    async def named(self, name: str) -> StoredNote | None:
        """Return a note by its name, None if there is none."""
        found = await self._read(NAMED, {"name": name})
        return found[0] if found else None

    async def page(self, wanted: NoteFilter, *, after: int, limit: int) -> list[StoredNote]:
        """Return notes in the order of their issue, after a number."""
        return await self._read(PAGE, wanted._asdict() | {"after": after, "limit": limit})

    async def _read(self, query: sql.Composed, values: dict[str, Any]) -> list[StoredNote]:
        async with connection(self._pool) as lent, lent.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, values)
            return [StoredNote(**row) for row in await cursor.fetchall()]


async def _earlier(cursor: psycopg.AsyncCursor[dict[str, Any]], contract: str, order: NoteOrder) -> Earlier:
    await cursor.execute(OF_INVOICE, {"invoice": order.invoice})
    notes = [read_note(each["document"]) for each in await cursor.fetchall()]
    await cursor.execute(SETTLED, {"settles": order.settles})
    [settled] = await cursor.fetchall()
    await cursor.execute(CLOSING_AFTER, {"contract": contract, "invoice": order.invoice})
    later = [read_document(each["document"]) for each in await cursor.fetchall()]
    return Earlier(notes, settled["nanos"], later)
