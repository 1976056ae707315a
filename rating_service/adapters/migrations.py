"""The numbered migrations of the schema `rating`, applied once each, in order, under an advisory lock."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

DIRECTORY: Final = Path(__file__).parent / "migrations"
LOCK: Final = 0x726174696E67
"""Advisory lock key: the letters of "rating". Held while migrating, so that starting services take turns."""


CONNECT_SECONDS_MAX: Final = 5


class Migration(NamedTuple):
    """One SQL file: 0001_what_it_makes.sql."""

    number: int
    name: str
    statements: bytes


class SchemaError(Exception):
    """The database's schema is newer than this version of the service, or its migrations have a gap."""


def read_migrations(directory: Path = DIRECTORY) -> list[Migration]:
    """Return the migrations by number, which count from 1. Raises SchemaError for a gap."""
    migrations = []
    for path in sorted(directory.glob("*.sql")):
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", path.name)
        if match is None:
            raise SchemaError(f"{path.name}: a migration is named 0001_what_it_makes.sql")
        migrations.append(Migration(int(match[1]), match[2], path.read_bytes()))
    if [each.number for each in migrations] != list(range(1, len(migrations) + 1)):
        raise SchemaError(f"the migrations in {directory.name}/ do not count from 1 without a gap")
    return migrations


def migrate(url: str) -> int:
    """Bring the schema up to date and return its number. Blocking. Raises SchemaError, psycopg.Error."""
    migrations = read_migrations()
    with psycopg.connect(url, connect_timeout=CONNECT_SECONDS_MAX) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute("CREATE SCHEMA IF NOT EXISTS rating")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS rating.migrations (number int PRIMARY KEY, name text NOT NULL,"
            " apply_time timestamptz NOT NULL DEFAULT now())"
        )
        row = connection.execute("SELECT coalesce(max(number), 0) FROM rating.migrations").fetchone()
        applied = row[0] if row else 0
        if applied > len(migrations):
            raise SchemaError(
                f"the schema is at migration {applied}, this version of the service knows {len(migrations)}"
            )
        for migration in migrations[applied:]:
            connection.execute(migration.statements)
            connection.execute(
                "INSERT INTO rating.migrations (number, name) VALUES (%s, %s)",
                (migration.number, migration.name),
            )
    return len(migrations)
