"""Accepted phases that are settled for good, in PostgreSQL."""

from __future__ import annotations

from typing import Any

from rating_service.adapters.postgres.postgres_pool import Pool, connection


class PostgresSettledPhases:
    """SettledPhases in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def settled(self) -> set[str]:
        """Return their names."""
        async with connection(self._pool) as lent:
            rows: list[Any] = await (await lent.execute("SELECT phase FROM rating.settled_phases")).fetchall()
        return {row[0] for row in rows}

    async def add(self, phase: str) -> None:
        """Remember one more; again changes nothing."""
        async with connection(self._pool) as lent:
            await lent.execute(
                "INSERT INTO rating.settled_phases (phase) VALUES (%s) ON CONFLICT DO NOTHING", (phase,)
            )
