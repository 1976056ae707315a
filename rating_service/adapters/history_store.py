"""What was followed of the ledger's history, in PostgreSQL.

A page's effect and its position are one transaction, and the position is compared and set by it, so whatever
happens a page counts exactly once: a second follower, a kill at any moment, a commit whose answer was lost.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

from rating_service.adapters.postgres_pool import Pool, connection
from rating_service.application.ports import Effect, LedgerEvent, PositionMovedError

MOVE: Final = "UPDATE rating.tracking SET position = %s WHERE position = %s"

ADD_AGREEMENT: Final = """
    INSERT INTO rating.agreement_events (position, stream, version, topic, state) VALUES (%s, %s, %s, %s, %s)
"""
ADD_GRANT: Final = """
    INSERT INTO rating.included_grants
        (wallet, version, position, contract, effective_time, expire_time, amount_units)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
ADD_REVERSAL: Final = """
    INSERT INTO rating.debit_reversals
        (position, wallet, version, debit_version, effective_time, amount_units, overage_units, returned)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
COPY_DEBITS: Final = """
    COPY rating.debits (position, wallet, version, effective_time, usage, amount_units, overage_units, draws,
    contract, contract_phase, rate_card_phase, charge, adjusted_cycle_time) FROM STDIN
"""


class PostgresHistoryStore:
    """HistoryStore in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def position(self) -> int:
        """Return the position up to which history is stored."""
        async with connection(self._pool) as lent:
            row: Any = await (await lent.execute("SELECT position FROM rating.tracking")).fetchone()
        return int(row[0])

    async def write(self, effect: Effect) -> None:
        """Store an effect and its position in one transaction. Raises PositionMovedError."""
        async with connection(self._pool) as lent:
            moved = await lent.execute(MOVE, (effect.to_position, effect.from_position))
            if moved.rowcount != 1:
                raise PositionMovedError(f"the stored position is no longer {effect.from_position}")
            await _add(lent, effect)

    async def agreements_after(self, position: int) -> list[LedgerEvent]:
        """Return the stored agreement events after a position, in order."""
        async with connection(self._pool) as lent:
            cursor = await lent.execute(
                "SELECT position, stream, version, topic, state FROM rating.agreement_events"
                " WHERE position > %s ORDER BY position",
                (position,),
            )
            rows: list[Any] = await cursor.fetchall()
        return [LedgerEvent(*row) for row in rows]


async def _add(lent: psycopg.AsyncConnection[tuple[object, ...]], effect: Effect) -> None:
    async with lent.cursor() as cursor:
        if effect.agreements:
            await cursor.executemany(ADD_AGREEMENT, effect.agreements)
        if effect.grants:
            await cursor.executemany(ADD_GRANT, effect.grants)
        if effect.reversals:
            await cursor.executemany(ADD_REVERSAL, effect.reversals)
        if effect.debits:
            async with cursor.copy(COPY_DEBITS) as copy:
                for debit in effect.debits:
                    await copy.write_row(debit)
