"""Signals that ask a run to end, turned into one exception.

The first SIGINT, SIGTERM or SIGHUP raises Interrupted in the main thread, exactly once, so that the clean-up
which follows cannot itself be interrupted. Each later signal only sets `hurry`, which clean-up looks at.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody asked the run to end. Not an Exception, so that no handler of errors takes it for one."""

    def __init__(self, number: int) -> None:
        """Keep the number of the signal."""
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interruption:
    """Handlers of the signals, for as long as the context is open. Main thread only."""

    def __init__(self) -> None:
        """Change nothing yet."""
        self.hurry = False
        self._caught: int | None = None
        self._raised = False
        self._deferrals = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over; a SIGHUP that is ignored (nohup) stays so."""
        for number in SIGNALS:
            before = signal.getsignal(number)
            if number is not signal.SIGHUP or before is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold the exception back until the end of a step that must not be cut in two."""
        self._deferrals += 1
        try:
            yield
        finally:
            self._deferrals -= 1
        self._raise_once()

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._caught is not None:
            self.hurry = True
            return
        self._caught = number
        self._raise_once()

    def _raise_once(self) -> None:
        if self._caught is not None and not self._raised and self._deferrals == 0:
            self._raised = True
            raise Interrupted(self._caught)
