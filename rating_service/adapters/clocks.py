"""The system's clock. The sandbox's clock is the ledger's, so it is read by the ledger client."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """Clock of the machine."""

    async def now(self) -> datetime:
        """Return the current instant: UTC, microseconds."""
        return datetime.now(UTC)
