"""How far the log is durable, and who waits for it to go on."""

from __future__ import annotations

import asyncio


class CommittedPosition:
    """The position of the newest durable event."""

    def __init__(self) -> None:
        """Begin before the first event."""
        self.value = 0
        self._changed = asyncio.Event()

    def move(self, position: int) -> None:
        """Set the position and wake those who wait."""
        self.value = position
        self.wake()

    def wake(self) -> None:
        """Wake those who wait, to look again whether there is still something to wait for."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self) -> None:
        """Wait until the position moves, or until all are woken."""
        await self._changed.wait()
