"""Finds, in the wallet view, wallets to which time has done what no event says yet.

Lots that have expired, holds whose time is over, recurring grants and automatic top-ups that are
due. What a hold returns, and what a new grant repays, is settled with them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool

from ledger_service.application.ports import StoreUnavailableError

# Each branch is cut to the page before they are merged, so that a page costs what it holds.
_DUE: Final = """
(SELECT DISTINCT wallet FROM {schema}.wallet_view_grants
WHERE expire_time > %(since)s AND expire_time <= %(until)s AND wallet > %(after)s
  AND payment_state IN ('', 'PENDING')
  AND amount_units > drawn_units + expired_units + held_units + revoked_units + rolled_over_units
    + transferred_units
ORDER BY wallet LIMIT %(limit)s)
UNION
(SELECT DISTINCT wallet FROM {schema}.wallet_view_holds
WHERE expire_time > %(since)s AND expire_time <= %(until)s AND wallet > %(after)s
ORDER BY wallet LIMIT %(limit)s)
UNION
(SELECT DISTINCT wallet FROM {schema}.wallet_view_series
WHERE next_time > %(since)s AND next_time <= %(until)s AND wallet > %(after)s
ORDER BY wallet LIMIT %(limit)s)
UNION
(SELECT DISTINCT wallet FROM {schema}.wallet_view_top_up_timers
WHERE next_time > %(since)s AND next_time <= %(until)s AND wallet > %(after)s
ORDER BY wallet LIMIT %(limit)s)
ORDER BY wallet LIMIT %(limit)s"""


class PostgresDueWallets:
    """Implements application.sweeper.DueWallets."""

    def __init__(self, pool: AsyncConnectionPool, *, schema: str) -> None:
        """Read from the views of a schema."""
        self._pool = pool
        self._statement = SQL(_DUE).format(schema=Identifier(schema))

    async def due_wallets(self, *, since: datetime, until: datetime, after: str, limit: int) -> list[str]:
        """Return names after `after`, in order. Raises StoreUnavailableError."""
        parameters = {"since": since, "until": until, "after": after, "limit": limit}
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(self._statement, parameters)
                return [str(wallet) for (wallet,) in await cursor.fetchall()]
        except psycopg.Error as error:
            raise StoreUnavailableError("the database did not answer a read") from error
