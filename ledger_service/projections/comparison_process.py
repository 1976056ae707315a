"""The comparison of the projections in a process of its own, so that it runs beside the check of the log.

`python -m ledger_service.projections.comparison_process` reads one line from standard input, the database as JSON (a
URL may hold a password, which a command line would show), and writes the comparisons to standard output. When its
input ends, whoever asked is gone, and it ends too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from types import TracebackType
from typing import Self

import msgspec

from ledger_service.projections.rebuild import Comparison, compare


class Database(msgspec.Struct, frozen=True):
    """What to compare."""

    url: str
    schema: str


class ComparisonProcess:
    """A comparison that runs meanwhile. Leaving it ends it."""

    def __init__(self, url: str, *, schema: str) -> None:
        """Start it."""
        command = [sys.executable, "-m", "ledger_service.projections.comparison_process"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(Database(url, schema)) + b"\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        """Give the running comparison."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, whether it is done or not."""
        process = self._process
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()

    def result(self) -> list[Comparison]:
        """Wait for the comparisons. Raises RuntimeError if there are none; why is on standard error."""
        assert self._process.stdout is not None
        answer = self._process.stdout.read()
        code = self._process.wait()
        if code != 0:
            raise RuntimeError(f"the comparison of the projections ended with {code}")
        return msgspec.json.decode(answer, type=list[Comparison])


def main() -> None:
    """Compare what standard input names."""
    asked = msgspec.json.decode(sys.stdin.buffer.readline(), type=Database)
    threading.Thread(target=_end_with_input, daemon=True).start()
    sys.stdout.buffer.write(msgspec.json.encode(compare(asked.url, schema=asked.schema)))
    sys.stdout.buffer.flush()


def _end_with_input() -> None:
    # Not through the buffer of sys.stdin: its lock would be held at exit by a thread that nothing wakes.
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
