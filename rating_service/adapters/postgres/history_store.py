"""What was followed of the ledger's history, in PostgreSQL.

A page's effect and its position are one transaction, and the position is compared and set by it, so whatever
happens a page counts exactly once: a second follower, a kill at any moment, a commit whose answer was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.application.followed import UnbilledRow
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
ADD_WITHDRAWAL: Final = """
    INSERT INTO rating.included_withdrawals (position, wallet, grant_version, amount_units)
    SELECT %(position)s, wallet, version, %(amount_units)s FROM rating.included_grants
    WHERE wallet = %(wallet)s AND version = %(grant_version)s
"""
MAKE_DUE: Final = """
    INSERT INTO rating.billing (contract, change_position) VALUES (%s, %s)
    ON CONFLICT (contract) DO UPDATE SET due_time = '-infinity', change_position = excluded.change_position
"""
GROW_UNBILLED: Final = """
    INSERT INTO rating.unbilled_overage (contract, cycle_start_time, nanos) VALUES (%s, %s, %s)
    ON CONFLICT (contract, cycle_start_time) DO UPDATE SET nanos = unbilled_overage.nanos + excluded.nanos
    RETURNING nanos
"""
ADD_PURCHASE: Final = """
    INSERT INTO rating.purchases
        (wallet, version, position, effective_time, amount_units, currency_code, nanos, reference, top_up_version)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
ADD_PAYMENT: Final = """
    UPDATE rating.purchases SET position = %(position)s, effective_time = %(effective_time)s
    WHERE wallet = %(wallet)s AND version = %(version)s
"""
COPY_DEBITS: Final = """
    COPY rating.debits (position, wallet, version, effective_time, usage, amount_units, overage_units, draws,
    contract, contract_phase, rate_card_phase, charge, adjusted_cycle_time, feature, api_key, usage_user, model)
    FROM STDIN
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
        # One pass in the order of contracts, which is the order in which billing locks them.
        due = {*effect.contracts, *await _grown_beyond(cursor, effect.unbilled)}
        if due:
            await cursor.executemany(MAKE_DUE, [(contract, effect.to_position) for contract in sorted(due)])
        if effect.grants:
            await cursor.executemany(ADD_GRANT, effect.grants)
        if effect.withdrawals:
            await cursor.executemany(ADD_WITHDRAWAL, [each._asdict() for each in effect.withdrawals])
        if effect.reversals:
            await cursor.executemany(ADD_REVERSAL, effect.reversals)
        if effect.purchases:
            await cursor.executemany(ADD_PURCHASE, effect.purchases)
        if effect.payments:
            await cursor.executemany(ADD_PAYMENT, [payment._asdict() for payment in effect.payments])
        if effect.debits:
            async with cursor.copy(COPY_DEBITS) as copy:
                for debit in effect.debits:
                    await copy.write_row(debit)


async def _grown_beyond(
    cursor: psycopg.AsyncCursor[tuple[object, ...]], unbilled: Sequence[UnbilledRow]
) -> list[str]:
    """Add to what is unbilled, and return the contracts that have come to their threshold."""
    beyond = []
    for row in unbilled:
        grown: Any = await (await cursor.execute(GROW_UNBILLED, row[:3])).fetchone()
        if grown[0] >= row.threshold_nanos:
            beyond.append(row.contract)
    return beyond
