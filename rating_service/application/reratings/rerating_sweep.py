"""The sweep of re-rating: what was accepted is put right to its end, whoever broke off.

Phases that were accepted before this process began are settled at once: an acceptance may have been cut off. Each
accepted phase is settled once more when no usage can come any more that was priced before its acceptance was followed;
after that it is remembered as done. What is posted is under keys of its own, so sweeping twice posts nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

import structlog

from rating_service.application.ports import (
    History,
    LedgerRefused,
    LedgerUnavailableError,
    StoreUnavailableError,
)
from rating_service.application.refusals import RequestRefused
from rating_service.application.reratings.rerating import Reratings
from rating_service.domain.agreements.catalogue import EMPTY, Catalogue
from rating_service.domain.agreements.index import values

FOLLOWING_SECONDS: Final = 600.0
"""How long after an acceptance a charge may still be priced by what it replaced: the ledger's own bound."""
LOOK_SECONDS: Final = 5.0
"""Pause between two looks at what was accepted."""

log = structlog.get_logger("rating.rerating")


class SettledPhases(Protocol):
    """Accepted phases that are settled for good. Every method raises StoreUnavailableError."""

    async def settled(self) -> set[str]:
        """Return their names."""

    async def add(self, phase: str) -> None:
        """Remember one more; again changes nothing."""


class ReratingSweep:
    """Settles accepted phases. `run` it in a task of its own."""

    def __init__(
        self,
        *,
        reratings: Reratings,
        history: History,
        store: SettledPhases,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Settle by what was followed; `clock` counts seconds."""
        self._reratings = reratings
        self._history = history
        self._store = store
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._resumed: set[str] = set()
        self._looked_at: Catalogue | None = None

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Settle what is due now; what cannot be settled yet is due again."""
        try:
            await self._look()
        except (
            LedgerUnavailableError,
            LedgerRefused,
            RequestRefused,
            StoreUnavailableError,
            TimeoutError,
        ) as cause:
            log.warning("settling_broke_off", cause=f"{type(cause).__name__}: {cause}")

    async def _look(self) -> None:
        now, catalogue = self._clock(), self._history.catalogue
        if catalogue is not self._looked_at and catalogue is not EMPTY:
            is_first = self._looked_at is None
            fresh = [name for name in accepted_phases(catalogue) if name not in self._seen]
            done = await self._store.settled() if fresh else set()
            for name in fresh:
                self._seen[name] = float("inf") if name in done else now + FOLLOWING_SECONDS
                if is_first and name not in done:
                    self._resumed.add(name)
            self._looked_at = catalogue
        for name in sorted(self._resumed):
            await self._settle(name)
            self._resumed.discard(name)
        for name in [each for each, due in self._seen.items() if due <= now]:
            await self._settle(name)
            await self._store.add(name)
            self._seen[name] = float("inf")

    async def _settle(self, name: str) -> None:
        posted = 0
        async for progress in self._reratings.settle(name):
            posted += progress.posted is not None
        log.info("settled", phase=name, posted=posted)


def accepted_phases(catalogue: Catalogue) -> list[str]:
    """Return the phases that were accepted for the past."""
    return [phase.name for card in values(catalogue.rate_cards) for phase in card.phases if phase.retroactive]
