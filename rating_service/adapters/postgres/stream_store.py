"""Usage streams in PostgreSQL. A change happens under the lock of its row, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.domain.usage_stream import Holder, UsageStream

NAMES: Final = UsageStream.__struct_fields__
COLUMNS: Final = sql.SQL(", ").join(map(sql.Identifier, NAMES))
VALUES: Final = sql.SQL(", ").join(map(sql.Placeholder, NAMES))
READ: Final = sql.SQL("SELECT {columns} FROM rating.usage_streams ").format(columns=COLUMNS)
LOCK: Final = READ + sql.SQL("WHERE contract = %(contract)s AND usage_id = %(usage_id)s FOR UPDATE")
ADD: Final = sql.SQL(
    "INSERT INTO rating.usage_streams ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING"
).format(columns=COLUMNS, values=VALUES)
CHANGE: Final = sql.SQL(
    "UPDATE rating.usage_streams SET ({columns}) = ROW({values})"
    " WHERE contract = %(contract)s AND usage_id = %(usage_id)s"
).format(columns=COLUMNS, values=VALUES)
DUE: Final = READ + sql.SQL(
    "WHERE state = 'SETTLING' OR (state = 'OPEN' AND settle_time <= %(now)s) OR spare_holds <> '{{}}'"
    " ORDER BY settle_time LIMIT %(limit)s"
)


class PostgresStreamStore:
    """StreamStore in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def change(
        self, contract: str, usage_id: str, change: Callable[[UsageStream | None], UsageStream]
    ) -> UsageStream:
        """Change a stream while nobody else can, durably, and return it. What `change` raises changes nothing."""
        key = {"contract": contract, "usage_id": usage_id}
        async with connection(self._pool) as lent, lent.cursor(row_factory=dict_row) as cursor:
            before = await _locked(cursor, key)
            if before is None:
                added = change(None)
                await cursor.execute(ADD, _values(added))
                if cursor.rowcount == 1:
                    return added
                before = await _locked(cursor, key)
            after = change(before)
            if after != before:
                await cursor.execute(CHANGE, _values(after))
        return after

    async def due(self, now: datetime, *, limit: int) -> list[UsageStream]:
        """Return streams that are settling, or open with their time over, or have spare holds; oldest first."""
        async with connection(self._pool) as lent, lent.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(DUE, {"now": now, "limit": limit})
            return [_stream(row) for row in await cursor.fetchall()]


async def _locked(cursor: psycopg.AsyncCursor[dict[str, Any]], key: dict[str, str]) -> UsageStream | None:
    await cursor.execute(LOCK, key)
    row = await cursor.fetchone()
    return None if row is None else _stream(row)


def _stream(row: dict[str, Any]) -> UsageStream:
    holder = Holder(*row["wanted_for"]) if row["wanted_for"] else None
    return UsageStream(**{**row, "wanted_for": holder, "spare_holds": tuple(row["spare_holds"])})


def _values(stream: UsageStream) -> dict[str, Any]:
    values = {name: getattr(stream, name) for name in NAMES}
    return {**values, "wanted_for": list(stream.wanted_for or ()), "spare_holds": list(stream.spare_holds)}
