"""Reads of projections: through a pool, once a projection has come as far as the caller must see."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg.sql import Composed
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from ledger_service.application.ports import StoreUnavailableError
from ledger_service.domain.refusals.service import ProjectionBehind

POSITION_WAIT_SECONDS: Final = 2.0
"""Longest wait for a position: a projector that is alive is well under a second behind."""

POSITION_POLL_SECONDS: Final = 0.01
"""Time between two looks at the position meanwhile."""


class ViewReader:
    """Part of the views of one shard. Methods raise StoreUnavailableError."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], position: Composed, *, position_wait_seconds: float
    ) -> None:
        """Read through the pool, which the caller opens and closes; `position` asks how far a projection is."""
        self._pool = pool
        self._position_statement = position
        self._position_wait_seconds = position_wait_seconds

    async def _reach(self, name: str, min_position: int) -> int:
        """Return the projection's position once it is `min_position` or more. Raises ProjectionBehind."""
        deadline = asyncio.get_running_loop().time() + self._position_wait_seconds
        while (position := await self._position(name)) < min_position:
            if asyncio.get_running_loop().time() >= deadline:
                raise ProjectionBehind(
                    f"projection {name} is at position {position}, not yet at {min_position}",
                    field="min_position",
                    projection=name,
                    position=position,
                    min_position=min_position,
                )
            await asyncio.sleep(POSITION_POLL_SECONDS)
        return position

    async def _position(self, name: str) -> int:
        rows = await self._rows(self._position_statement, {"name": name})
        return rows[0][0] if rows else 0

    async def _rows(self, statement: Composed, parameters: Mapping[str, object]) -> list[Any]:
        try:
            async with self._pool.connection() as connection:
                cursor = connection.cursor(binary=True)
                await cursor.execute(statement, parameters)
                rows: list[Any] = await cursor.fetchall()
                return rows
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, PoolClosed) as error:
            raise StoreUnavailableError(f"the projections cannot be read: {type(error).__name__}") from error
