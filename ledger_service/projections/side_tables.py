"""Side tables: empty copies of projections' tables that hide the live ones on one connection.

They are temporary and bear the live tables' names. PostgreSQL looks up temporary tables first, so the very
statements of the projector, run on this connection, build a second projection beside the live one, with a
tracking position of its own, and nothing is left behind however the connection ends. The live tables are
reached by their schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier

from ledger_service.projections.projection import Projection
from ledger_service.projections.tables import Table

# Without the live tables' other indexes, which folding and comparing do not need; with room for HOT updates.
_CREATE: Final = """
CREATE TEMPORARY TABLE {table} (LIKE {schema}.{table}, PRIMARY KEY ({key})) WITH (fillfactor = 70)"""

# Folding touches the same rows again and again; in the default 8 MB they would be written out and read back
# all the time. It can be raised only before a connection's first temporary table.
_BUFFERS: Final = "SET temp_buffers TO '64MB'"

_ANALYZE: Final = "ANALYZE pg_temp.{table}"

_TRACKING: Final = Table("notification_tracking", ("application_name",))


def create_side_tables(
    connection: psycopg.Connection[Any], *, schema: str, projections: Sequence[Projection]
) -> None:
    """Create the side tables, empty. Raises psycopg.Error."""
    connection.execute(_BUFFERS)
    for table in _tables(projections):
        statement = SQL(_CREATE).format(
            table=Identifier(table.name),
            schema=Identifier(schema),
            key=SQL(", ").join(map(Identifier, table.key)),
        )
        connection.execute(statement)


def analyze_side_tables(connection: psycopg.Connection[Any], projections: Sequence[Projection]) -> None:
    """Tell the planner what is in the side tables; nothing else does so for temporary ones."""
    for table in _tables(projections):
        connection.execute(SQL(_ANALYZE).format(table=Identifier(table.name)))


def _tables(projections: Sequence[Projection]) -> list[Table]:
    return [_TRACKING, *(table for projection in projections for table in projection.tables)]
