"""The processes of a benchmark: servers and the load client, each started here and ended by its own id."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec
import psutil

from tests.benchmarks.jobs import Failed, Job

START_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 20.0
POLL_SECONDS: Final = 0.02
REPOSITORY: Final = Path(__file__).parents[2]

T = TypeVar("T")


class BenchmarkError(Exception):
    """A benchmark could not be run; the text says why, for people."""


class Process:
    """A Python module of the project as a process that logs to a file."""

    def __init__(
        self, module: str, *arguments: str, log_file: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it."""
        self.log_file = log_file
        with log_file.open("wb") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-m", module, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment(environment or {}),
                cwd=REPOSITORY,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def wait_for_line(self, find: Callable[[dict[str, Any]], T | None]) -> T:
        """Return what is found in a JSON line of the log. Raises BenchmarkError."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            for line in self.log_file.read_bytes().splitlines():
                if line.startswith(b"{") and line.endswith(b"}"):
                    found = find(msgspec.json.decode(line))
                    if found is not None:
                        return found
            if self._process.poll() is not None:
                break
            time.sleep(POLL_SECONDS)
        tail = self.log_file.read_text(errors="replace")[-2_000:]
        raise BenchmarkError(f"{self._process.args!r} did not start:\n{tail}")

    def wait(self, seconds_max: float) -> int:
        """Wait for the end and return the exit code."""
        return self._process.wait(seconds_max)

    def check_running(self) -> None:
        """Raise BenchmarkError if it has ended."""
        if self._process.poll() is not None:
            tail = self.log_file.read_text(errors="replace")[-2_000:]
            raise BenchmarkError(f"{self._process.args!r} ended:\n{tail}")

    def stop(self) -> None:
        """Ask it to end, then insist."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class LoadClient:
    """The load client, which does one job at a time."""

    def __init__(self, log_file: Path) -> None:
        """Start it."""
        with log_file.open("wb") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "tests.benchmarks.load_client"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=clean_environment({}),
                cwd=REPOSITORY,
            )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def run(self, job: Job, answer: type[T]) -> T:
        """Do a job. Raises BenchmarkError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"the load client ended during {type(job).__name__}")
        if b'"failure"' in line:
            failure = msgspec.json.decode(line, type=Failed).failure
            raise BenchmarkError(f"{type(job).__name__} failed: {failure}")
        return msgspec.json.decode(line, type=answer)

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def clean_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without settings of the services, so that only our own apply."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("LEDGER_", "RATING_"))
    }
    return inherited | dict(own)


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU time, user and system, that these processes have used so far."""
    total = 0.0
    for pid in pids:
        # A helper of PostgreSQL may end between being listed and being read.
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def machine_cpu_seconds() -> float:
    """Return the CPU time that everything on this machine has used so far."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [child.pid for child in psutil.Process(pid).children()]
