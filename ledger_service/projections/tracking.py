"""Tracking positions: how far each projection has come in the notification log.

The table is the eventsourcing library's, one row a projection. The library's own statement refuses a position
that was passed already, which is enough for one event at a time; a page needs more, because a second
projector that began earlier and reads further would be let through and apply events twice. So a position is
moved by compare-and-set from exactly where the run began, as the first statement of the transaction that
stores the run's effect: the row stays locked until then, and a projector that was overtaken changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier

_ENSURE: Final = """
INSERT INTO notification_tracking (application_name, notification_id)
SELECT name, 0 FROM unnest(%s::text[]) AS name
ON CONFLICT (application_name) DO NOTHING"""

_READ: Final = """
SELECT application_name, notification_id FROM notification_tracking WHERE application_name = ANY(%s)"""

_LOCK: Final = """
SELECT application_name, notification_id FROM {schema}.notification_tracking
WHERE application_name = ANY(%s) ORDER BY application_name FOR UPDATE"""

_SET: Final = """
UPDATE {schema}.notification_tracking AS t SET notification_id = p.position
FROM unnest(%s::text[], %s::bigint[]) AS p (name, position)
WHERE t.application_name = p.name AND t.notification_id <> p.position"""

_MOVE: Final = """
UPDATE notification_tracking SET notification_id = %s
WHERE application_name = %s AND notification_id = %s"""


class PositionMovedError(Exception):
    """Another projector stored the events first; nothing of this run was applied."""


def ensure_positions(connection: psycopg.Connection[Any], names: Sequence[str]) -> None:
    """Start projections that have no position yet at 0. Raises psycopg.Error."""
    connection.execute(_ENSURE, (list(names),))


def read_positions(connection: psycopg.Connection[Any], names: Sequence[str]) -> dict[str, int]:
    """Return the tracking positions by name. Raises psycopg.Error."""
    return dict(connection.execute(_READ, (list(names),)).fetchall())


def lock_live_positions(
    connection: psycopg.Connection[Any], schema: str, names: Sequence[str]
) -> dict[str, int]:
    """Return the positions of a schema and hold them until the transaction ends. Raises psycopg.Error."""
    statement = SQL(_LOCK).format(schema=Identifier(schema))
    return dict(connection.execute(statement, (list(names),)).fetchall())


def set_live_positions(
    connection: psycopg.Connection[Any], schema: str, positions: Mapping[str, int]
) -> None:
    """Put positions of a schema, which the caller has locked, in their place. Raises psycopg.Error."""
    statement = SQL(_SET).format(schema=Identifier(schema))
    connection.execute(statement, (list(positions), list(positions.values())))


def move_position(connection: psycopg.Connection[Any], name: str, *, after: int, through: int) -> None:
    """Record that events in (after, through] are applied, in the caller's transaction.

    Raises PositionMovedError, psycopg.Error.
    """
    if connection.execute(_MOVE, (through, name, after)).rowcount != 1:
        raise PositionMovedError(f"projection {name} is no longer at position {after}")
