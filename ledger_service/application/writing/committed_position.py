"""How far the log is durable, and who waits for it to go on: as a whole, or in one stream."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from ledger_service.domain.refusals.service import WatchersFull

WATCHERS_MAX: Final = 1_000
"""Watchers of single streams at once; each may cost a balance every 20 ms and one when idle every 5 s."""


class CommittedPosition:
    """The position of the newest durable event."""

    def __init__(self) -> None:
        """Begin before the first event."""
        self.value = 0
        self._changed = asyncio.Event()
        self._watchers: dict[str, list[asyncio.Event]] = {}
        self._watcher_count = 0

    def move(self, position: int, streams: Collection[str] | None = None) -> None:
        """Set the position and wake those who wait; of the watchers, those of these streams, or all of them."""
        self.value = position
        if streams is None:
            self.wake()
            return
        self._wake_waiting()
        for stream in self._watchers.keys() & streams:
            for watcher in self._watchers[stream]:
                watcher.set()

    def wake(self) -> None:
        """Wake those who wait, to look again whether there is still something to wait for."""
        self._wake_waiting()
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.set()

    async def wait(self) -> None:
        """Wait until the position moves, or until all are woken."""
        await self._changed.wait()

    @contextmanager
    def watch(self, stream: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever the stream may have grown, or all are woken. Raises WatchersFull."""
        if self._watcher_count >= WATCHERS_MAX:
            raise WatchersFull(f"{WATCHERS_MAX} balances are watched already; watch fewer, or come back")
        watcher = asyncio.Event()
        self._watcher_count += 1
        self._watchers.setdefault(stream, []).append(watcher)
        try:
            yield watcher
        finally:
            self._watcher_count -= 1
            self._watchers[stream].remove(watcher)
            if not self._watchers[stream]:
                del self._watchers[stream]

    def _wake_waiting(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
