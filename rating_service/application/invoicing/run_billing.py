"""Running billing by the clock: one service of several at a time, at intervals and whenever a contract changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from rating_service.application.invoicing.billing import Billing
from rating_service.application.invoicing.billing_ports import BillingStore
from rating_service.application.ports import (
    Clock,
    LedgerRefused,
    LedgerUnavailableError,
    StoreUnavailableError,
)
from rating_service.application.refusals import RequestRefused

BREATH_SECONDS: Final = 0.05
"""Least pause between two runs, so that contracts signed one after the other are billed together."""

log = structlog.get_logger("rating.billing")


class BillingRunner:
    """Runs billing for ever. Which service leads changes no outcome, it only saves work."""

    def __init__(
        self,
        *,
        billing: Billing,
        store: BillingStore,
        clock: Clock,
        changes: asyncio.Event,
        interval: timedelta | None,
    ) -> None:
        """Run at an interval and whenever `changes` is set; without an interval never."""
        self._billing = billing
        self._store = store
        self._clock = clock
        self._changes = changes
        self._interval = interval

    async def run(self) -> None:
        """Run for ever; what fails is tried again by the next run."""
        while self._interval is not None:
            self._changes.clear()
            try:
                await self.run_once()
            except (LedgerUnavailableError, LedgerRefused, RequestRefused, StoreUnavailableError) as cause:
                log.warning("billing_broke_off", cause=f"{type(cause).__name__}: {cause}")
            except Exception:
                # The service goes on rating usage; the next run shows whether the fault stays.
                log.exception("unexpected_error")
            await asyncio.sleep(BREATH_SECONDS)
            try:
                async with asyncio.timeout(self._interval.total_seconds()):
                    await self._changes.wait()
            except TimeoutError:
                continue
        await asyncio.Event().wait()

    async def run_once(self) -> None:
        """Bill what is due, unless nothing is or another service does it now."""
        if not await self._store.due(await self._clock.now(), limit=1):
            return
        async with self._store.leading() as leads:
            if not leads:
                return
            async for progress in self._billing.run():
                if progress.invoices_count or progress.grants_count:
                    log.info(
                        "billed",
                        contracts=progress.contracts_done,
                        invoices=progress.invoices_count,
                        grants=progress.grants_count,
                    )
