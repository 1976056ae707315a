"""Starts the ledger's real processes for a test, and the PostgreSQL below them if the test will kill it.

Processes are ended by their own id only. Each writes its log lines to a file, which tests may read.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import psutil
import psycopg

WAIT_SECONDS: Final = 30.0
"""Longest wait for anything that must happen; far more than it takes."""
POLL_SECONDS: Final = 0.01

_USE_POSTGRES: Final = """
import sys
from ledger_service.adapters import embedded_postgres
handle = embedded_postgres.start(sys.argv[1])
print(handle.url, flush=True)
sys.stdin.read()
handle.stop()
"""


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = WAIT_SECONDS) -> None:
    """Wait until a condition holds; fail with `what` did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a ledger with these settings and none of the caller's own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    return inherited | {f"LEDGER_{name.upper()}": value for name, value in settings.items()}


class Process:
    """One `python -m ledger_service <command>`; it may be started again after it ended."""

    def __init__(self, command: str, log_file: Path, **settings: str) -> None:
        self.settings = settings
        self.log_file = log_file
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Return the id of the running process."""
        assert self._process is not None, "it was not started"
        return self._process.pid

    @property
    def return_code(self) -> int | None:
        """Return the exit code, None while it runs."""
        assert self._process is not None, "it was not started"
        return self._process.poll()

    def start(self) -> Self:
        """Start it; its log file begins anew."""
        assert self._process is None or self._process.returncode is not None, "it runs already"
        with self.log_file.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ledger_service", self._command],
                env=environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def kill(self) -> None:
        """Kill it at once (SIGKILL)."""
        assert self._process is not None, "it was not started"
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        assert self._process is not None, "it was not started"
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Return its exit code once it has ended."""
        assert self._process is not None, "it was not started"
        return self._process.wait(WAIT_SECONDS)

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        self.terminate()
        return self.wait()

    def output(self) -> str:
        """Return all that this run wrote."""
        return self.log_file.read_text(encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """Return the log lines of this run; a line that is still being written is left out."""
        complete = self.output().splitlines(keepends=True)
        return [
            msgspec.json.decode(line) for line in complete if line.startswith("{") and line.endswith("\n")
        ]

    def wait_for_line(self, event: str) -> dict[str, Any]:
        """Return the first log line of an event once there is one."""
        found: list[dict[str, Any]] = []

        def has_line() -> bool:
            assert self.return_code is None, f"it ended with {self.return_code}: {self.output()}"
            found[:] = [line for line in self.lines() if line.get("event") == event]
            return bool(found)

        wait_until(has_line, f"log line {event!r}")
        return found[0]


class LedgerServer(Process):
    """`serve`, on a free port that stays the same when it is started again."""

    def __init__(self, log_file: Path, **settings: str) -> None:
        self.port = free_port()
        super().__init__("serve", log_file, **{"listen": f"127.0.0.1:{self.port}"} | settings)

    @property
    def address(self) -> str:
        """Return host:port."""
        return f"127.0.0.1:{self.port}"


@contextmanager
def serving(log_file: Path, **settings: str) -> Iterator[LedgerServer]:
    """Run a ledger that serves."""
    with LedgerServer(log_file, **settings) as server:
        server.wait_for_line("serving")
        yield server


def projector(log_file: Path, **settings: str) -> Process:
    """Return `project`, to be started by entering it."""
    return Process("project", log_file, **settings)


class KillablePostgres:
    """A PostgreSQL server in a directory of its own, held by a process of its own, so that both can be killed."""

    def __init__(self, data_directory: Path) -> None:
        self._directory = data_directory
        self._holder: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def postmaster_pid(self) -> int:
        """Return the id of the server's first process."""
        return int((self._directory / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        """Start the server, recovering from whatever happened to it before."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._try_to_start():
            # The killed server's children hold its memory until each has noticed that it is gone.
            assert time.monotonic() < deadline, "the server did not come back"

    def _try_to_start(self) -> bool:
        self._holder = subprocess.Popen(
            [sys.executable, "-c", _USE_POSTGRES, str(self._directory)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._holder.stdout is not None
        self.url = self._holder.stdout.readline().strip()
        if not self.url:
            self._end_holder()
        return bool(self.url)

    def kill(self) -> None:
        """Kill the postmaster (SIGKILL), as a power cut would, and wait for its children to notice."""
        postmaster = psutil.Process(self.postmaster_pid)
        processes = [postmaster, *postmaster.children(recursive=True)]
        postmaster.kill()
        wait_until(lambda: not any(map(_is_alive, processes)), "the end of the server's processes")
        self._end_holder()

    def stop(self) -> None:
        """Stop the server in an orderly way."""
        if self._holder is not None:
            self._holder.communicate(timeout=WAIT_SECONDS)
            self._holder = None

    def _end_holder(self) -> None:
        assert self._holder is not None
        self._holder.kill()
        self._holder.communicate()
        self._holder = None


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def execute(url: str, *statements: str) -> None:
    """Run statements as the database's owner, in one transaction, with the ledger's schema in reach."""
    with psycopg.connect(url) as connection:
        connection.execute("SET search_path TO ledger")
        for statement in statements:
            connection.execute(statement.encode())
