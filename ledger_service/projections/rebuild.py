"""Rebuilds projections from the first event of the log, beside the live ones, and compares or replaces them.

The rebuild catches up while the live projections go on. Only for the last stretch are their tracking rows
locked, so that both stand at the same position; a projector waits for that moment and then goes on. `compare`
changes nothing. `rebuild` puts the rebuilt rows in the live tables' place in one transaction: readers see the
old rows until it commits, and a projector continues from the same position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import psycopg
from psycopg.sql import SQL, Composed, Identifier

from ledger_service.projections.catch_up import RunLimits, catch_up_once
from ledger_service.projections.connections import connect
from ledger_service.projections.projection import PROJECTIONS, Projection
from ledger_service.projections.side_tables import analyze_side_tables, create_side_tables
from ledger_service.projections.tables import Table
from ledger_service.projections.tracking import (
    ensure_positions,
    lock_live_positions,
    read_positions,
    set_live_positions,
)

REBUILD_LIMITS: Final = RunLimits(run_events_max=1_000_000, run_rows_max=100_000)
"""Nothing waits for a rebuild's position, so its runs may be long; memory is bounded by the rows (100 MB)."""

DIFFERENCES_MAX: Final = 20
"""Differing rows reported for one table: enough to see a pattern."""

# Not TRUNCATE: it would lock readers out, and show an empty table to those with an older snapshot.
_EMPTY: Final = "DELETE FROM {schema}.{table}"
_FILL: Final = "INSERT INTO {schema}.{table} SELECT * FROM pg_temp.{table}"

_DIFFERENCES: Final = """
SELECT count(*) OVER (), coalesce(to_jsonb(live)::text, ''), coalesce(to_jsonb(rebuilt)::text, '')
FROM {schema}.{table} AS live FULL JOIN pg_temp.{table} AS rebuilt USING ({key})
WHERE live IS DISTINCT FROM rebuilt
ORDER BY {key} LIMIT %s"""

Progress = Callable[[int, int], None]
"""Called with the position folded so far and the last one to fold."""


class Difference(msgspec.Struct, frozen=True):
    """One row that is not what the log says; `live` or `rebuilt` is empty if the row is missing there."""

    table: str
    live: str
    rebuilt: str


class Comparison(msgspec.Struct, frozen=True):
    """What comparing one projection with its rebuild found. Equal if there are no differences."""

    projection: str
    position: int
    difference_count: int
    differences: tuple[Difference, ...]


def ignore_progress(folded: int, total: int) -> None:
    """Report nothing."""


def compare(
    url: str,
    *,
    schema: str,
    projections: Sequence[Projection] = PROJECTIONS,
    progress: Progress = ignore_progress,
) -> list[Comparison]:
    """Compare each live projection with its rebuild, at its present position. Raises psycopg.Error."""
    with (
        connect(url, schema=schema) as connection,
        _rebuilt(connection, schema, projections, progress) as positions,
    ):
        reached = read_positions(connection, list(positions))
        return [
            _compare(
                connection, schema, projection, positions[projection.name], reached=reached[projection.name]
            )
            for projection in projections
        ]


def rebuild(
    url: str,
    *,
    schema: str,
    projections: Sequence[Projection] = PROJECTIONS,
    progress: Progress = ignore_progress,
) -> dict[str, int]:
    """Replace each projection by its rebuild, all in one transaction, and return their positions.

    One that claimed to be further than the log goes back to its end. Raises psycopg.Error; then the live projections
    are as they were.
    """
    with (
        connect(url, schema=schema) as connection,
        _rebuilt(connection, schema, projections, progress) as positions,
    ):
        for projection in projections:
            for table in projection.tables:
                names = {"schema": Identifier(schema), "table": Identifier(table.name)}
                connection.execute(SQL(_EMPTY).format(**names))
                connection.execute(SQL(_FILL).format(**names))
        reached = read_positions(connection, list(positions))
        set_live_positions(connection, schema, reached)
        return reached


@contextmanager
def _rebuilt(
    connection: psycopg.Connection[Any], schema: str, projections: Sequence[Projection], progress: Progress
) -> Iterator[dict[str, int]]:
    """Give a transaction in which side tables and live tables stand at the same positions."""
    names = [projection.name for projection in projections]
    ensure_positions(connection, names)
    targets = read_positions(connection, names)
    create_side_tables(connection, schema=schema, projections=projections)
    ensure_positions(connection, names)
    _catch_up(connection, projections, targets, progress)
    analyze_side_tables(connection, projections)
    with connection.transaction():
        targets = lock_live_positions(connection, schema, names)
        _catch_up(connection, projections, targets, progress)
        yield targets


def _catch_up(
    connection: psycopg.Connection[Any],
    projections: Sequence[Projection],
    targets: Mapping[str, int],
    progress: Progress,
) -> None:
    """Bring each side projection exactly to its target; those with a common stretch share it."""
    total = max(targets.values())
    for target in sorted(set(targets.values())):
        group = [projection for projection in projections if targets[projection.name] >= target]
        while catch_up_once(
            connection,
            group,
            limits=REBUILD_LIMITS,
            through=target,
            on_page=lambda position: progress(position, total),
        ):
            pass


def _compare(
    connection: psycopg.Connection[Any], schema: str, projection: Projection, position: int, *, reached: int
) -> Comparison:
    count = 0
    differences: list[Difference] = []
    if reached != position:
        # It would never take up the events that are recorded between the two.
        count = 1
        stands, ends = f"{projection.name} at position {position}", f"the log ends at position {reached}"
        differences.append(Difference("notification_tracking", stands, ends))
    for table in projection.tables:
        rows = connection.execute(_differences(schema, table), (DIFFERENCES_MAX,)).fetchall()
        count += rows[0][0] if rows else 0
        differences += [Difference(table.name, live, rebuilt) for _, live, rebuilt in rows]
    return Comparison(projection.name, position, count, tuple(differences))


def _differences(schema: str, table: Table) -> Composed:
    return SQL(_DIFFERENCES).format(
        schema=Identifier(schema),
        table=Identifier(table.name),
        key=SQL(", ").join(map(Identifier, table.key)),
    )
