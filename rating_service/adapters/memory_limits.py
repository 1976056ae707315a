"""Rate limits in the memory of this process: exact, and gone when it ends. For a single instance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rating_service.domain.authorizing.rate_windows import Decision, MinuteWindows, Share


class MemoryLimiter:
    """Limiter. Nothing waits in between, so that each call is one step for all others."""

    def __init__(self) -> None:
        """Begin with nothing taken."""
        self._windows = MinuteWindows()

    async def decide(self, shares: Sequence[Share], *, entry: str, now: datetime, takes: bool) -> Decision:
        """Take the shares if every window has room and `takes`."""
        return self._windows.decide(shares, entry=entry, now=now, takes=takes)

    async def give_back(self, names: Iterable[str], *, entry: str) -> None:
        """Forget what an entry took."""
        self._windows.give_back(names, entry=entry)

    async def correct(self, name: str, *, entry: str, estimated: int, actual: int, now: datetime) -> None:
        """Put the actual amount in place of the estimate, once."""
        self._windows.correct(name, entry=entry, estimated=estimated, actual=actual, now=now)
