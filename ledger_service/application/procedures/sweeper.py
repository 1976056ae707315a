"""The sweeper: it settles wallets that nobody touches, so that what has expired is also in the books.

It changes no answer: a wallet settles itself before it decides anything, and the events are the same.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog

from ledger_service.application.ports import StoreUnavailableError
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import Request, SettleWallet
from ledger_service.domain.refusals import Refusal

WALLETS_PER_BATCH_MAX: Final = 1_000
"""Wallets settled by one batch of commands."""
OVERLAP: Final = timedelta(hours=1)
"""How far a sweep looks behind the one before, for grants that the view learned of late."""
ACTOR: Final = "sweeper"

log = structlog.get_logger("sweeper")


class DueWallets(Protocol):
    """Finds wallets that hold something in lots whose expiry has come."""

    async def due_wallets(self, *, since: datetime, until: datetime, after: str, limit: int) -> list[str]:
        """Return names after `after`, in order, with lots expiring in (since, until] and not yet expired in the log.

        Raises StoreUnavailableError.
        """


class Sweeper:
    """Remembers up to when it has swept; a new one begins from the beginning of time."""

    def __init__(self, writer: Writer, wallets: DueWallets) -> None:
        """Sweep through a writer."""
        self._writer = writer
        self._wallets = wallets
        self._swept_until = datetime.min.replace(tzinfo=UTC) + OVERLAP

    async def sweep(self) -> int:
        """Settle the wallets that are due and return how many. Raises Refusal, StoreUnavailableError."""
        count, after, until = 0, "", self._writer.now()
        while True:
            due = await self._wallets.due_wallets(
                since=self._swept_until - OVERLAP, until=until, after=after, limit=WALLETS_PER_BATCH_MAX
            )
            if not due:
                self._swept_until = until
                return count
            requests = [Request(SettleWallet(wallet), "", ACTOR) for wallet in due]
            for answer in await self._writer.submit_many(requests):
                if isinstance(answer, Refusal):
                    raise answer
            count, after = count + len(due), due[-1]

    async def run(self, *, interval_seconds: int) -> None:
        """Sweep now and then while the writer serves."""
        while True:
            await asyncio.sleep(interval_seconds)
            if not self._writer.serving:
                continue
            try:
                count = await self.sweep()
            except (Refusal, StoreUnavailableError) as error:
                log.warning("sweep_failed", error=str(error))
            else:
                log.info("swept", wallets=count)
