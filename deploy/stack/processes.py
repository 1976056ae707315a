"""One child process: how it is started, watched and stopped, always by its own pid.

A child runs in a session of its own, so that Ctrl-C reaches the supervisor alone and the order of stopping
is kept; and it is tethered to the supervisor, so that it ends even if the supervisor is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

TETHER: Final = Path(__file__).with_name("tether.py")
LAST_LINE_LENGTH_MAX: Final = 400
"""Characters of a log line that an error repeats: a long traceback line still fits on a screen."""
LOG_TAIL_BYTES: Final = 8_192
POLL_SECONDS: Final = 0.05


class StackError(Exception):
    """The system could not be started or kept running; the text says why, for people, in a line or two."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to run and how to stop it. `user` is whom to run as; empty for the present one."""

    name: str
    command: tuple[str, ...]
    log_file: Path
    environment: dict[str, str]
    directory: Path | None = None
    user: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    hurry_signal: signal.Signals = signal.SIGKILL
    stop_seconds_max: int = 10


class Child:
    """A running program."""

    def __init__(self, program: Program) -> None:
        """Start the program; what it prints is appended to its log file."""
        self.program = program
        program.log_file.parent.mkdir(parents=True, exist_ok=True)
        with program.log_file.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                tethered(program),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=program.environment,
                cwd=program.directory,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Return whether the process lives."""
        return self._process.poll() is None

    @property
    def last_words(self) -> str:
        """Return the last line of the log that is of this run."""
        return last_line(self.program.log_file, after=self._log_start) or "it printed nothing"

    def check_running(self) -> None:
        """Raise StackError, with the last line of its log, if the process has ended."""
        code = self._process.poll()
        if code is None:
            return
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise StackError(f"{self.program.name} {how}: {self.last_words}\nits log: {self.program.log_file}")

    def stop(self, *, hurry: Callable[[], bool]) -> None:
        """Ask the process to end, wait a bounded time, then insist. `hurry` cuts the waiting short."""
        self._send(self.program.stop_signal)
        if not self._wait(self.program.stop_seconds_max, unless=hurry):
            self._send(self.program.hurry_signal)
            if not self._wait(self.program.stop_seconds_max, unless=lambda: False):
                self._process.kill()
                self._process.wait()

    def _send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def _wait(self, seconds: int, *, unless: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_running and time.monotonic() < deadline and not unless():
            time.sleep(POLL_SECONDS)
        return not self.is_running


def tethered(program: Program) -> Sequence[str]:
    """Return the command line that runs a program until this process ends."""
    script = (sys.executable, "-I", "-S", str(TETHER))
    return (*script, str(os.getpid()), program.stop_signal.name, program.user, *program.command)


def module_program(name: str, *arguments: str, log_file: Path, environment: Mapping[str, str]) -> Program:
    """Return the program that is a Python module of this project."""
    return Program(
        name=name,
        command=(sys.executable, "-m", *arguments),
        log_file=log_file,
        environment=dict(environment),
    )


def last_line(file: Path, *, after: int = 0) -> str:
    """Return the last line of a log that is not empty, from a byte position on; "" if there is none."""
    with file.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(after, size - LOG_TAIL_BYTES))
        lines = log.read().decode(errors="replace").split("\n")
    found = [line.strip() for line in lines if line.strip()]
    return found[-1][:LAST_LINE_LENGTH_MAX] if found else ""
