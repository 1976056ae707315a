"""Services in processes that are forked off one which has imported them and done nothing else.

Importing a service takes a second, which a test that starts many of them cannot spend. What runs is the service
itself, in a process of its own; killing it is killing the service.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, Self

import uvloop

from ledger_service import bootstrap as ledger
from ledger_service.settings import read_settings as read_ledger_settings
from rating_service import bootstrap as rating
from rating_service.settings import read_settings as read_rating_settings
from tests.servers import LedgerServer, environment

_FORKING: Final = get_context("forkserver")
_FORKING.set_forkserver_preload([__name__])


class Forked:
    """A process as far as tests need one; it reads like a Popen."""

    def __init__(self, run: Callable[..., None], *arguments: object) -> None:
        """Start it."""
        self._process = _FORKING.Process(target=run, args=arguments, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Return its id."""
        assert self._process.pid is not None, "it was started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        """Kill it at once (SIGKILL)."""
        self._process.kill()

    def wait(self, seconds: float | None = None) -> int | None:
        """Return its exit code once it has ended."""
        self._process.join(seconds)
        return self._process.exitcode


class ForkedLedger(LedgerServer):
    """A ledger that starts at once."""

    def start(self) -> Self:
        """Start it; its log file begins anew."""
        self.log_file.write_bytes(b"")
        process: Any = Forked(_serve_ledger, environment(self.settings), self.log_file)
        self._process = process
        return self


class ForkedRating:
    """A rating service that is killed and never stopped."""

    def __init__(self, log_file: Path, variables: Mapping[str, str]) -> None:
        """Start it; its log goes on."""
        self._process = Forked(_serve_rating, dict(variables), log_file)

    def kill(self) -> None:
        """Kill it at once (SIGKILL)."""
        assert self._process.poll() is None, "it ended by itself"
        self._process.kill()
        self._process.wait()


def _serve_ledger(variables: dict[str, str], log_file: Path) -> None:
    _write_to(log_file)
    settings = read_ledger_settings(variables)
    ledger.configure_logs(settings)
    uvloop.run(ledger.serve(settings))


def _serve_rating(variables: dict[str, str], log_file: Path) -> None:
    _write_to(log_file)
    uvloop.run(rating.serve(read_rating_settings(variables)))


def _write_to(log_file: Path) -> None:
    with log_file.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
