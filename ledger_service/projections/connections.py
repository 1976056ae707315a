"""Connections of the projector and the rebuild: one shard's schema, and settings for derived data."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

CONNECT_TIMEOUT_SECONDS: Final = 5

# Effect and position are lost together or kept together, and what is lost is folded again: a projection need
# not wait for the disk. All statements are short; compiling them costs more than it saves.
_CONFIGURE: Final = """
SET search_path TO {schema};
SET synchronous_commit TO off;
SET jit TO off"""

_DEFAULTS: Final = {
    "connect_timeout": str(CONNECT_TIMEOUT_SECONDS),
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "application_name": "ledger-projector",
}
"""What the URL may override: a dead server is noticed in half a minute (libpq, seconds)."""


def connect(url: str, *, schema: str) -> psycopg.Connection[Any]:
    """Connect to a shard, in autocommit. Raises psycopg.Error."""
    merged = make_conninfo("", **{**_DEFAULTS, **conninfo_to_dict(url)})
    connection: psycopg.Connection[Any] = psycopg.connect(merged, autocommit=True)
    connection.execute(SQL(_CONFIGURE).format(schema=Identifier(schema)))
    return connection


def channel_of(schema: str) -> str:
    """Return the channel on which appends to the shard's log are notified."""
    return f"{schema}_stored_events"
