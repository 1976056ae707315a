"""Clocks: the system's, and one that a sandbox moves by hand."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved forward."""

    def __init__(self, start: datetime) -> None:
        """Begin at an instant."""
        self._now = start

    def now(self) -> datetime:
        """Return the current instant."""
        return self._now

    def advance(self, instant: datetime) -> None:
        """Move to an instant that is not before now."""
        assert instant >= self._now, "a clock never goes back"
        self._now = instant
