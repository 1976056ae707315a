"""The pool of connections through which views are read."""

from __future__ import annotations

from typing import Final

from psycopg_pool import AsyncConnectionPool

VIEW_CONNECTIONS_MAX: Final = 4
"""Reads of views at once; others wait."""


def view_pool(url: str) -> AsyncConnectionPool:
    """Return a pool that its caller opens and closes."""
    return AsyncConnectionPool(
        url,
        min_size=1,
        max_size=VIEW_CONNECTIONS_MAX,
        kwargs={"autocommit": True},
        # After a restart of the database the pool holds dead connections, which no read may meet.
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
