"""The pool of database connections, and the one place where a driver's error becomes the application's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from rating_service.application.ports import StoreUnavailableError

CONNECTIONS_MIN: Final = 2
CONNECTIONS_MAX: Final = 8
"""The follower holds one at a time; the rest serve invoices, which are few."""
CONNECT_SECONDS_MAX: Final = 5.0

Pool = AsyncConnectionPool[psycopg.AsyncConnection[tuple[object, ...]]]


async def open_pool(url: str) -> Pool:
    """Return an open pool. Raises StoreUnavailableError when no connection can be had."""
    pool: Pool = AsyncConnectionPool(
        url,
        min_size=CONNECTIONS_MIN,
        max_size=CONNECTIONS_MAX,
        timeout=CONNECT_SECONDS_MAX,
        check=AsyncConnectionPool.check_connection,
        open=False,
        name="rating",
    )
    try:
        await pool.open(wait=True, timeout=CONNECT_SECONDS_MAX)
    except PoolTimeout as cause:
        await pool.close()
        raise StoreUnavailableError("no connection to the database") from cause
    return pool


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[psycopg.AsyncConnection[tuple[object, ...]]]:
    """Lend a connection in a transaction that commits at the end. Raises StoreUnavailableError."""
    try:
        async with pool.connection() as lent:
            yield lent
    except (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError) as cause:
        raise StoreUnavailableError(f"the database cannot be reached ({type(cause).__name__})") from cause
