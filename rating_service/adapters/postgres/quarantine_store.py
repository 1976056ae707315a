"""The quarantine in PostgreSQL, and the debits that were followed. Entries are added and marked, never removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from psycopg import sql
from psycopg.rows import dict_row

from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.application.metering.quarantine import Cause, Entry, Filter, NewEntry
from rating_service.domain.agreements.agreement import Contract

COLUMNS: Final = sql.SQL(", ").join(map(sql.Identifier, Entry.__struct_fields__))
ADD: Final = sql.SQL(
    "INSERT INTO rating.quarantine"
    " (usage_id, contract, effective_time, domain, reason, message, receive_time, received)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (contract, usage_id, digest) DO NOTHING"
)
READ: Final = sql.SQL("SELECT {columns} FROM rating.quarantine ").format(columns=COLUMNS)
ADDED: Final = READ + sql.SQL(
    "WHERE (contract, usage_id, digest) IN"
    " (SELECT * FROM unnest(%(contracts)s::text[], %(usage_ids)s::text[], %(digests)s::bytea[]))"
)
NUMBERED: Final = READ + sql.SQL("WHERE number = ANY(%(numbers)s)")
PAGE: Final = READ + sql.SQL(
    "WHERE number > %(after)s AND (%(reason)s = '' OR reason = %(reason)s)"
    " AND (%(contract)s = '' OR contract = %(contract)s) AND (%(state)s = '' OR state = %(state)s)"
    " ORDER BY number LIMIT %(limit)s"
)
RETRIED: Final = sql.SQL(
    "UPDATE rating.quarantine SET retry_count = retry_count + 1, domain = %(domain)s, reason = %(reason)s,"
    " message = %(message)s WHERE number = %(number)s AND state = 'WAITING'"
)
RECORDED: Final = sql.SQL(
    "UPDATE rating.quarantine SET retry_count = retry_count + 1, state = 'RECORDED', position = %(position)s"
    " WHERE number = %(number)s AND state <> 'RECORDED'"
)
DISMISSED: Final = sql.SQL(
    "UPDATE rating.quarantine SET state = 'DISMISSED', dismiss_actor = %(actor)s, dismiss_reason = %(reason)s"
    " WHERE number = %(number)s AND state = 'WAITING'"
)


DEBITED: Final = sql.SQL(
    "SELECT EXISTS (SELECT FROM rating.debits WHERE wallet = %(wallet)s AND effective_time = %(effective_time)s"
    " AND usage = %(usage)s AND contract = %(contract)s)"
)


class PostgresRecordedUsage:
    """RecordedUsage in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def has(self, contract: Contract, usage_id: str, effective_time: datetime) -> bool:
        """Tell whether a usage was debited, or another one under its id at the same instant."""
        values = {
            "wallet": contract.wallet,
            "effective_time": effective_time,
            "usage": usage_id,
            "contract": contract.name,
        }
        async with connection(self._pool) as lent:
            rows: list[Any] = await (await lent.execute(DEBITED, values)).fetchall()
        return bool(rows[0][0])


class PostgresQuarantineStore:
    """QuarantineStore in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def add(self, entries: Sequence[NewEntry]) -> list[Entry]:
        """Keep entries and return each as it stands; what is there already is left as it is."""
        keys = [(each.contract, each.usage_id, sha256(each.received).digest()) for each in entries]
        values = {
            "contracts": [contract for contract, _, _ in keys],
            "usage_ids": [usage_id for _, usage_id, _ in keys],
            "digests": [digest for _, _, digest in keys],
        }
        async with connection(self._pool) as lent, lent.cursor(row_factory=dict_row) as cursor:
            # Sorted, so that two calls with the same usages never wait for each other.
            ordered = sorted(entries, key=_place)
            await cursor.executemany(ADD, ordered)
            await cursor.execute(ADDED, values)
            found = [Entry(**row) for row in await cursor.fetchall()]
        by_key = {(each.contract, each.usage_id, sha256(each.received).digest()): each for each in found}
        return [by_key[key] for key in keys]

    async def numbered(self, numbers: Sequence[int]) -> list[Entry]:
        """Return those of these entries that there are."""
        return await self._read(NUMBERED, {"numbers": list(numbers)})

    async def page(self, wanted: Filter, *, after: int, limit: int) -> list[Entry]:
        """Return entries by number after a number."""
        return await self._read(PAGE, wanted._asdict() | {"after": after, "limit": limit})

    async def retried(self, number: int, cause: Cause) -> Entry:
        """Note a retry that failed."""
        return await self._mark(RETRIED, number, cause._asdict())

    async def recorded(self, number: int, position: int) -> Entry:
        """Note that an entry was debited, even if it was dismissed meanwhile."""
        return await self._mark(RECORDED, number, {"position": position})

    async def dismissed(self, number: int, *, actor: str, reason: str) -> Entry:
        """Note that an entry is given up, if it still waits."""
        return await self._mark(DISMISSED, number, {"actor": actor, "reason": reason})

    async def _mark(self, statement: sql.SQL, number: int, values: dict[str, Any]) -> Entry:
        async with connection(self._pool) as lent, lent.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement, values | {"number": number})
            await cursor.execute(NUMBERED, {"numbers": [number]})
            [row] = await cursor.fetchall()
        return Entry(**row)

    async def _read(self, query: sql.Composed, values: dict[str, Any]) -> list[Entry]:
        async with connection(self._pool) as lent, lent.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, values)
            return [Entry(**row) for row in await cursor.fetchall()]


def _place(entry: NewEntry) -> tuple[str, str]:
    return entry.contract, entry.usage_id
