"""Records of issued documents in PostgreSQL: stored with their documents, and marked once the ledger has them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.application.invoicing.ledger_records import StoredRecord
from rating_service.domain.documents.ledger_records import DocumentRecord, encode_record

ADD: Final = sql.SQL(
    "INSERT INTO rating.ledger_records (document, contract, payload)"
    " VALUES (%(document)s, %(contract)s, %(payload)s)"
)
WAITING_CONTRACTS: Final = sql.SQL(
    "SELECT contract FROM rating.ledger_records WHERE position IS NULL GROUP BY contract"
    " HAVING max(retry_time) <= now() ORDER BY min(number) LIMIT %(limit)s"
)
WAITING: Final = sql.SQL(
    "SELECT document, contract, payload, position FROM rating.ledger_records"
    " WHERE contract = %(contract)s AND position IS NULL ORDER BY number LIMIT %(limit)s"
)
RECORDED: Final = sql.SQL(
    "UPDATE rating.ledger_records SET position = %(position)s, refusal = ''"
    " WHERE document = %(document)s AND position IS NULL"
)
REFUSED: Final = sql.SQL(
    "UPDATE rating.ledger_records SET refusal = %(refusal)s, retry_time = now() + %(pause)s"
    " WHERE document = %(document)s AND position IS NULL"
)
POSITION: Final = sql.SQL("SELECT position FROM rating.ledger_records WHERE document = %(document)s")


async def add_record(lent: psycopg.AsyncConnection[Any], record: DocumentRecord) -> None:
    """Store a record in the transaction that stores its document."""
    values = {
        "document": record.document,
        "contract": record.contract,
        "payload": encode_record(record),
    }
    await lent.execute(ADD, values)


class PostgresRecordStore:
    """RecordStore in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def waiting_contracts(self, *, limit: int) -> list[str]:
        """Return contracts of which a record waits and may be tried now, the longest waiting first."""
        return [contract for (contract,) in await self._rows(WAITING_CONTRACTS, limit=limit)]

    async def waiting(self, contract: str, *, limit: int) -> list[StoredRecord]:
        """Return records of a contract that wait, in the order in which they were stored."""
        return [StoredRecord(*row) for row in await self._rows(WAITING, contract=contract, limit=limit)]

    async def recorded(self, document: str, position: int) -> None:
        """Note the position at which the ledger has recorded a document."""
        await self._change(RECORDED, document=document, position=position)

    async def refused(self, document: str, refusal: str, *, pause: timedelta) -> None:
        """Note why the ledger refused a document, and to let it rest."""
        await self._change(REFUSED, document=document, refusal=refusal, pause=pause)

    async def position(self, document: str) -> int | None:
        """Return the position at which the ledger recorded a document, None if it has not."""
        rows = await self._rows(POSITION, document=document)
        return rows[0][0] if rows else None

    async def _rows(self, query: sql.SQL, **values: object) -> list[Any]:
        async with connection(self._pool) as lent:
            return await (await lent.execute(query, values)).fetchall()

    async def _change(self, statement: sql.SQL, **values: object) -> None:
        async with connection(self._pool) as lent:
            await lent.execute(statement, values)
