"""Fixtures on a real PostgreSQL: one embedded server a test run (or worker), a fresh migrated database a test.

A directory of tests takes them by importing them in its conftest.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from ledger_service.adapters import embedded_postgres
from ledger_service.adapters.migrate import migrate


def replace_database(url: str, database: str) -> str:
    """Return the connection string of another database on the same server."""
    return make_conninfo("", **{**conninfo_to_dict(url), "dbname": database})


@contextmanager
def temporary_data_dir() -> Iterator[Path]:
    """A missing directory for a server, outside pytest's own temporary one.

    Each start of pytest closes that to other users, and the server of a run as root is another user.
    """
    parent = Path(tempfile.mkdtemp(prefix="ledger-tests-"))
    try:
        yield parent / "postgres"
    finally:
        shutil.rmtree(parent)


class PostgresServer:
    """The run's server, and the databases that tests make on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.template = f"template_{uuid4().hex}"

    def create_template(self) -> None:
        """Make the database that the others are copies of, with all migrations applied."""
        self._execute("CREATE DATABASE {}", self.template)
        migrate(replace_database(self.url, self.template))

    def create_database(self, *, migrated: bool = True) -> str:
        """Create a database and return its connection string."""
        name = f"test_{uuid4().hex}"
        if migrated:
            self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log", name, self.template)
        else:
            self._execute("CREATE DATABASE {}", name)
        return replace_database(self.url, name)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", str(conninfo_to_dict(url)["dbname"]))

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(SQL(statement).format(*map(Identifier, names)))  # type: ignore[arg-type,unused-ignore]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Start the server of this run; each worker of pytest-xdist has its own."""
    with temporary_data_dir() as data_dir, embedded_postgres.start(data_dir) as handle:
        server = PostgresServer(handle.url)
        server.create_template()
        yield server


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh database with all migrations applied."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)
