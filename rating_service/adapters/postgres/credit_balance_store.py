"""What credit notes have left for later invoices, worked out from the documents in PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import sql

from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.application.credit_note_ports import OpenNote

# Few invoices apply credit: the others are passed over by their bytes, before anything is parsed.
OPEN_NOTES: Final = sql.SQL(
    """
    SELECT name, issue_time, currency_code, total_nanos, total_nanos - applied_nanos
    FROM (
        SELECT n.*, coalesce(a.nanos, 0)::bigint AS applied_nanos
        FROM rating.credit_notes AS n
        LEFT JOIN (
            SELECT line ->> 'source' AS source, -sum((line -> 'amount' ->> 'nanos')::bigint) AS nanos
            FROM rating.invoices AS i, jsonb_path_query(
                convert_from(i.document, 'UTF8')::jsonb, '$.lines[*] ? (@.key.kind == "CREDIT_APPLIED")'
            ) AS line
            WHERE i.contract = %(contract)s AND position('"CREDIT_APPLIED"'::bytea IN i.document) > 0
            GROUP BY line ->> 'source'
        ) AS a ON a.source = n.name
        WHERE n.contract = %(contract)s AND n.settlement = 'CREDIT'
    ) AS notes
    WHERE applied_nanos < total_nanos ORDER BY number
    """
)


class PostgresCreditBalances:
    """CreditBalances in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def open_notes(self, contract: str) -> list[OpenNote]:
        """Return a contract's notes settled as credit that invoices have not applied whole, the oldest first."""
        async with connection(self._pool) as lent:
            return await read_open_notes(lent, contract)


async def read_open_notes(lent: psycopg.AsyncConnection[Any], contract: str) -> list[OpenNote]:
    """Return the open notes as a transaction sees them."""
    rows = await (await lent.execute(OPEN_NOTES, {"contract": contract})).fetchall()
    return [OpenNote(*row) for row in rows]
