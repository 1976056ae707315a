"""Applies the numbered SQL migrations that make a shard's schema.

Owns `schema_migrations` and the order of the files; what is in them is theirs. Each file runs once, in one
transaction, under an advisory lock, with the shard's schema as search_path. A file that was applied never
changes again: its hash is recorded and compared on every start. There are no down migrations.
"""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import msgspec
import psycopg
from psycopg.sql import SQL, Identifier

SCHEMA_DEFAULT: Final = "ledger"
MIGRATIONS: Final[Traversable] = files("ledger_service.adapters") / "migrations"

_SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,39}")
"""Plain lower-case names, short enough for the channel name derived from them (63 bytes at most)."""

_FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('ledger-migrate:' || %s, 0))"

_CREATE_HISTORY: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)"""

_SELECT_HISTORY: Final = "SELECT number, name, sha256 FROM schema_migrations ORDER BY number"
_INSERT_HISTORY: Final = "INSERT INTO schema_migrations (number, name, sha256) VALUES (%s, %s, %s)"


class MigrationError(Exception):
    """The database and the migration files do not belong together; nothing was changed."""


class Migration(msgspec.Struct, frozen=True):
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Return the hash that is recorded with the applied file."""
        return sha256(self.sql.encode()).hexdigest()


class _Applied(msgspec.Struct, frozen=True):
    number: int
    name: str
    sha256: str


def check_schema_name(schema: str) -> str:
    """Return the name unchanged. Raises ValueError unless it is lower-case and at most 40 letters."""
    if not _SCHEMA_NAME.fullmatch(schema):
        raise ValueError(f"schema name {schema!r} must match {_SCHEMA_NAME.pattern}")
    return schema


def read_migrations(directory: Traversable = MIGRATIONS) -> list[Migration]:
    """Return the migrations in order. Raises MigrationError unless they are numbered 1, 2, 3 and so on."""
    found = [
        Migration(int(match[1]), match[2], entry.read_text("utf-8"))
        for entry in directory.iterdir()
        if (match := _FILE_NAME.fullmatch(entry.name))
    ]
    found.sort(key=lambda migration: migration.number)
    if not found or [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations in {directory} must be numbered from 1 without a gap")
    return found


def migrate(url: str, *, schema: str = SCHEMA_DEFAULT, directory: Traversable = MIGRATIONS) -> list[int]:
    """Bring a shard's schema up to date and return the numbers applied now.

    Safe to run from several processes at once. Raises MigrationError, ValueError, psycopg.Error.
    """
    check_schema_name(schema)
    migrations = read_migrations(directory)
    applied_now = []
    with psycopg.connect(url, autocommit=True) as connection:
        while (migration := _apply_next(connection, schema, migrations)) is not None:
            applied_now.append(migration.number)
    return applied_now


def _apply_next(connection: psycopg.Connection, schema: str, migrations: list[Migration]) -> Migration | None:
    """Apply the first migration that is missing, in one transaction; None when all are applied."""
    with connection.transaction():
        connection.execute(_LOCK, (schema,))
        connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
        connection.execute(SQL("SET LOCAL search_path TO {}").format(Identifier(schema)))
        connection.execute(_CREATE_HISTORY)
        applied = [_Applied(*row) for row in connection.execute(_SELECT_HISTORY)]
        _check_history(schema, applied, migrations)
        if len(applied) == len(migrations):
            return None
        migration = migrations[len(applied)]
        # The text comes from a file of this package, never from input.
        connection.execute(migration.sql.encode())
        connection.execute(_INSERT_HISTORY, (migration.number, migration.name, migration.sha256))
        return migration


def _check_history(schema: str, applied: list[_Applied], migrations: list[Migration]) -> None:
    if len(applied) > len(migrations):
        raise MigrationError(
            f"schema {schema!r} is at migration {applied[-1].number}, newer than this code, "
            f"which knows {len(migrations)}: run a newer version of the service"
        )
    for row, migration in zip(applied, migrations, strict=False):
        if (row.number, row.sha256) != (migration.number, migration.sha256):
            raise MigrationError(
                f"migration {migration.number:04}_{migration.name} differs from the file that was applied "
                f"to schema {schema!r}: restore it and add a new one instead"
            )
