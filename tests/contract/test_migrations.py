"""Migrations run once each, in order, whoever runs them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import psycopg
import pytest

from ledger_service.adapters.migrate import (
    MIGRATIONS,
    SCHEMA_DEFAULT,
    MigrationError,
    migrate,
    read_migrations,
)
from tests.postgres import PostgresServer

ALL = [migration.number for migration in read_migrations()]


@pytest.fixture
def empty_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh database without migrations."""
    url = postgres_server.create_database(migrated=False)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of the migration files, to change."""
    return shutil.copytree(str(MIGRATIONS), tmp_path / "migrations")


def test_migrating_twice_applies_each_file_once(empty_url: str) -> None:
    assert migrate(empty_url) == ALL
    assert migrate(empty_url) == []


def test_each_schema_is_a_shard_of_its_own(empty_url: str) -> None:
    assert migrate(empty_url, schema="ledger_1") == ALL
    assert migrate(empty_url, schema="ledger_2") == ALL


def test_three_processes_that_migrate_at_once_apply_each_file_once(empty_url: str) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as processes:
        applied = list(processes.map(migrate, [empty_url] * 3))

    assert sorted(number for numbers in applied for number in numbers) == ALL


def test_an_applied_file_that_was_changed_is_refused(empty_url: str, files: Path) -> None:
    migrate(empty_url)
    with (files / "0001_event_store.sql").open("a") as file:
        file.write("-- tampered\n")

    with pytest.raises(MigrationError, match="0001_event_store differs"):
        migrate(empty_url, directory=files)


def test_a_database_newer_than_the_code_is_refused(empty_url: str, files: Path) -> None:
    later = len(ALL) + 1
    (files / f"{later:04}_later.sql").write_text("CREATE TABLE later (id int);")
    assert migrate(empty_url, directory=files)[-1] == later

    with pytest.raises(MigrationError, match=f"at migration {later}, newer than this code"):
        migrate(empty_url)


def test_a_file_that_fails_leaves_nothing_behind(empty_url: str, files: Path) -> None:
    failing = files / f"{len(ALL) + 1:04}_failing.sql"
    failing.write_text("CREATE TABLE half (id int); SELECT 1 / 0;")

    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty_url, directory=files)

    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT to_regclass('ledger.half')").fetchone() == (None,)
    failing.unlink()
    assert migrate(empty_url, directory=files) == []


def test_policies_of_before_are_the_wallets_own_unless_a_contract_brought_them(
    empty_url: str, files: Path
) -> None:
    names = sorted(path.name for path in files.glob("*.sql"))
    first_new = next(at for at, name in enumerate(names) if name.endswith("_contract_life.sql"))
    for name in names[first_new:]:
        (files / name).unlink()
    migrate(empty_url, directory=files)
    topics = ["WalletOpened", "WalletPolicyChanged", "WalletUpdated", "WalletPolicyChanged"]
    with psycopg.connect(empty_url, options=f"-c search_path={SCHEMA_DEFAULT}") as connection:
        for version, topic in enumerate(topics, start=1):
            connection.execute(
                "INSERT INTO stored_events VALUES (%s, %s, %s, '', %s)",
                ("wallets/a", version, f"wallet.{topic}.v1", version),
            )
            connection.execute(
                "INSERT INTO wallet_view_policies VALUES (%s, %s, now(), '', '', 'HARD', 0)",
                ("wallets/a", version),
            )

    assert migrate(empty_url)

    with psycopg.connect(empty_url, options=f"-c search_path={SCHEMA_DEFAULT}") as connection:
        rows = connection.execute(
            "SELECT own, ended_contract FROM wallet_view_policies ORDER BY policy_version"
        ).fetchall()
    assert rows == [(True, ""), (False, ""), (True, ""), (False, "")]


def test_files_with_a_gap_in_their_numbers_are_refused(files: Path) -> None:
    (files / "0099_gap.sql").write_text("SELECT 1;")

    with pytest.raises(MigrationError, match="without a gap"):
        read_migrations(files)


@pytest.mark.parametrize("schema", ["", "Ledger", "a-b", "1a", "a" * 41, 'x"; DROP SCHEMA y'])
def test_a_schema_name_that_is_not_plain_is_refused(schema: str) -> None:
    with pytest.raises(ValueError, match="schema name"):
        migrate("unused", schema=schema)
