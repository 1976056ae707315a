"""What metering of streams needs from the outside: the ledger's holds and a store. Adapters implement these."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from rating_service.application.ports import Order, Posted
from rating_service.domain.usage_stream import Holder, UsageStream


class Placed(NamedTuple):
    """A hold in the ledger."""

    name: str
    expire_time: datetime


class Holds(Protocol):
    """The ledger's holds. Every method raises LedgerRefused and LedgerUnavailableError."""

    async def place(self, holder: Holder, *, key: str, amount_units: int, ttl: timedelta) -> Placed:
        """Hold units for an answer; again with the same key gives the same hold."""

    async def capture(self, hold: str, order: Order) -> Posted:
        """Turn a hold into the debit of an order, under the usage's id."""

    async def release(self, hold: str) -> None:
        """Give a hold back. One that has ended is left as it is."""


class StreamStore(Protocol):
    """Where streams are kept. Every method raises StoreUnavailableError."""

    async def change(
        self, contract: str, usage_id: str, change: Callable[[UsageStream | None], UsageStream]
    ) -> UsageStream:
        """Change a stream while nobody else can, durably, and return it. What `change` raises changes nothing."""

    async def due(self, now: datetime, *, limit: int) -> list[UsageStream]:
        """Return streams that are settling, or open with their time over, or have spare holds; oldest first."""
