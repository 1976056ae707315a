"""Sums of usage by day, in PostgreSQL: folding them, and checking them against a fold of everything anew.

A fold and its position are one transaction, and the position is compared and set by it, so each debit counts
exactly once: a second instance, a kill at any moment, a commit whose answer was lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import psycopg
from psycopg import sql

from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.adapters.postgres.usage_fold import (
    ADD_DAYS,
    ADD_NAMES,
    COLUMNS,
    KINDS,
    READ_CONTRACT_DAYS,
)
from rating_service.application.ports import PositionMovedError
from rating_service.application.reporting.report_ports import RollupCheck, ZoneOf
from rating_service.domain.reports.usage_report import DaySpan, day_spans

CHECK_POSITIONS: Final = 100_000
"""Positions that a check folds at once: the working memory of one statement."""
DIFFERENCES_MAX: Final = 20
"""Differences that are told; all are counted."""
WORK_MEMORY: Final = "SET LOCAL work_mem = '64MB'"
"""What one fold sorts and hashes, so that nothing of it goes through files."""
UTC_ZONE: Final = "UTC"

Connection = psycopg.AsyncConnection[tuple[object, ...]]

READ_POSITION: Final = "SELECT position FROM rating.usage_tracking"
MOVE: Final = "UPDATE rating.usage_tracking SET position = %s WHERE position = %s"
STORED: Final = (sql.Identifier("rating", "usage_names"), sql.Identifier("rating", "usage_days"))
ANEW: Final = (sql.Identifier("pg_temp", "usage_names"), sql.Identifier("pg_temp", "usage_days"))
MAKE_ANEW: Final = (
    "CREATE TEMPORARY TABLE usage_names (LIKE rating.usage_names INCLUDING ALL) ON COMMIT DROP",
    "CREATE TEMPORARY TABLE usage_days (LIKE rating.usage_days INCLUDING ALL) ON COMMIT DROP",
)
# Rows in which nothing is left say nothing: a debit and its reversal leave one or none, as the folds were cut.
COMPARE: Final = sql.SQL(f"""
    WITH stored AS (SELECT {COLUMNS} FROM rating.usage_days), anew AS (SELECT {COLUMNS} FROM pg_temp.usage_days)
    SELECT count(*) OVER (), side || to_jsonb(different)::text FROM (
        (SELECT 'only stored: ' AS side, * FROM (SELECT * FROM stored EXCEPT ALL SELECT * FROM anew) AS a)
        UNION ALL
        (SELECT 'only anew: ', * FROM (SELECT * FROM anew EXCEPT ALL SELECT * FROM stored) AS b)
    ) AS different LIMIT {DIFFERENCES_MAX}
""")  # noqa: S608 -- made of constants
REPLACE: Final = (
    "TRUNCATE rating.usage_names, rating.usage_days",
    "INSERT INTO rating.usage_names SELECT * FROM pg_temp.usage_names",
    "INSERT INTO rating.usage_days SELECT * FROM pg_temp.usage_days",
)


class PostgresUsageStore:
    """UsageFolds in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def position(self) -> int:
        """Return the position up to which debits are folded."""
        async with connection(self._pool) as lent:
            return await _number(lent, READ_POSITION)

    async def fold(self, from_position: int, to_position: int, zone_of: ZoneOf) -> None:
        """Fold debits of (from, to] and move the position, in one transaction. Raises PositionMovedError."""
        async with connection(self._pool) as lent:
            moved = await lent.execute(MOVE, (to_position, from_position))
            if moved.rowcount != 1:
                raise PositionMovedError(f"debits are no longer folded up to {from_position}")
            await _fold(lent, from_position, to_position, zone_of, into=STORED)

    async def check(self, zone_of: ZoneOf, *, known_position: int, repair: bool) -> RollupCheck:
        """Fold everything anew beside the stored sums and compare; with `repair` store what was folded.

        A repair keeps folds waiting, a check does not. Raises PositionMovedError if more is folded than is known.
        """
        async with connection(self._pool) as lent:
            await lent.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            to_position = await _number(lent, READ_POSITION + (" FOR UPDATE" if repair else ""))
            if to_position > known_position:
                raise PositionMovedError(f"debits are folded up to {to_position}, not {known_position}")
            for statement in MAKE_ANEW:
                await lent.execute(statement)
            for start in range(0, to_position, CHECK_POSITIONS):
                end = min(start + CHECK_POSITIONS, to_position)
                await _fold(lent, start, end, zone_of, into=ANEW)
            rows: list[Any] = await (await lent.execute(COMPARE)).fetchall()
            row_count = await _number(lent, "SELECT count(*) FROM pg_temp.usage_days")
            if repair and rows:
                for statement in REPLACE:
                    await lent.execute(statement)
        return RollupCheck(to_position, row_count, rows[0][0] if rows else 0, [row[1] for row in rows])


async def _fold(
    lent: Connection,
    from_position: int,
    to_position: int,
    zone_of: ZoneOf,
    *,
    into: tuple[sql.Identifier, sql.Identifier],
) -> None:
    names, days = into
    await lent.execute(WORK_MEMORY)
    values: dict[str, object] = {"from_position": from_position, "to_position": to_position}
    contract_days: list[Any] = await (await lent.execute(READ_CONTRACT_DAYS, values)).fetchall()
    values |= {"kinds": list(KINDS), "names_max": list(KINDS.values())}
    await lent.execute(sql.SQL(ADD_NAMES).format(names=names), values)
    await lent.execute(
        sql.SQL(ADD_DAYS).format(names=names, days=days), values | _spans(contract_days, zone_of)
    )


def _spans(contract_days: Iterable[tuple[str, date]], zone_of: ZoneOf) -> dict[str, object]:
    """Return where local days begin and end, for the contracts whose zone is not UTC."""
    found: list[tuple[str, DaySpan]] = []
    for contract, day in contract_days:
        zone = zone_of(contract)
        if zone != UTC_ZONE:
            found += ((contract, span) for span in day_spans(zone, day))
    return {
        "contracts": [contract for contract, _ in found],
        "from_times": [span.from_time for _, span in found],
        "to_times": [span.to_time for _, span in found],
        "local_days": [span.local_day for _, span in found],
    }


async def _number(lent: Connection, statement: str) -> int:
    row: Any = await (await lent.execute(statement)).fetchone()  # type: ignore[arg-type, unused-ignore]
    return int(row[0])
