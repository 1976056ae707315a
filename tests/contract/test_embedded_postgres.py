"""The embedded server starts for its first user, stops after its last, and says why it cannot start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger_service.adapters import embedded_postgres
from ledger_service.adapters.embedded_postgres import DataDirectoryError
from tests.postgres import temporary_data_dir

USE_UNTIL_TOLD = """
import sys
from ledger_service.adapters import embedded_postgres
handle = embedded_postgres.start(sys.argv[1])
print(handle.url, flush=True)
sys.stdin.read()
handle.stop()
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A missing directory that any user can reach."""
    with temporary_data_dir() as data_dir:
        yield data_dir


def start_user(data_dir: Path) -> subprocess.Popen[str]:
    """Start another process that uses the server until its input ends; it has no environment but the path."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", USE_UNTIL_TOLD, str(data_dir)],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_url(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def is_running(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_the_server_runs_until_its_last_handle_stops(data_dir: Path) -> None:
    first = embedded_postgres.start(data_dir)
    second = embedded_postgres.start(data_dir, database="rating")

    first.stop()
    first.stop()
    assert is_running(second.url)
    second.stop()
    assert not is_running(second.url)

    with embedded_postgres.start(data_dir) as third:
        assert is_running(third.url)


def test_durability_is_on(data_dir: Path) -> None:
    with embedded_postgres.start(data_dir) as handle, psycopg.connect(handle.url) as connection:
        settings = {
            name: connection.execute(f"SHOW {name}".encode()).fetchone()
            for name in ("fsync", "full_page_writes", "synchronous_commit", "shared_buffers")
        }

    assert settings == {
        "fsync": ("on",),
        "full_page_writes": ("on",),
        "synchronous_commit": ("on",),
        "shared_buffers": ("256MB",),
    }


def test_the_server_is_shared_by_processes_and_stops_with_the_last(data_dir: Path) -> None:
    with start_user(data_dir) as user:
        url = read_url(user)
        handle = embedded_postgres.start(data_dir)
        assert handle.url == url

        user.communicate()
        assert user.returncode == 0
        assert is_running(url)
        handle.stop()

    assert not is_running(url)


def test_a_handle_taken_again_beside_another_process_keeps_the_server(data_dir: Path) -> None:
    with start_user(data_dir) as user:
        read_url(user)
        embedded_postgres.start(data_dir).stop()
        handle = embedded_postgres.start(data_dir)
        user.communicate()

    assert is_running(handle.url)
    handle.stop()
    assert not is_running(handle.url)


def test_a_killed_process_does_not_keep_the_server_for_ever(data_dir: Path) -> None:
    with start_user(data_dir) as user:
        read_url(user)
        user.send_signal(signal.SIGKILL)

    handle = embedded_postgres.start(data_dir)
    handle.stop()

    assert not is_running(handle.url)


def test_a_file_is_not_a_data_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    with pytest.raises(DataDirectoryError, match="is not a directory"):
        embedded_postgres.start(tmp_path / "data")


def test_a_path_below_a_file_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DataDirectoryError, match="is not writable"):
        embedded_postgres.start(tmp_path / "file" / "data")


def test_a_directory_with_other_things_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("draft")

    with pytest.raises(DataDirectoryError, match="not empty"):
        embedded_postgres.start(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_directory_of_another_major_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("14\n")

    with pytest.raises(DataDirectoryError, match="belongs to PostgreSQL 14"):
        embedded_postgres.start(tmp_path)
