"""The fold of debits into sums by day: behind the follower, a little while after it.

It has a position of its own and not the follower's, because what a fold costs depends on its groups and hardly on
its debits: folded page by page, sums would cost the follower a multiple of what debits do. Nothing is shown of
debits that are not followed, and everything up to a position can be had by asking for it.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from rating_service.application.ports import PositionMovedError, StoreUnavailableError
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.reporting.report_ports import RollupCheck, UsageFolds
from rating_service.domain.agreements.index import find
from rating_service.projections.follower import CAUGHT_UP_LAG_EVENTS_MAX, Follower

FOLD_POSITIONS_MAX: Final = 20_000
"""Positions that one transaction folds: some tenths of a second."""
PAUSE_SECONDS: Final = 1.0
"""Pause after a fold: what comes meanwhile is folded together. A report that needs it does not wait for that."""
PATIENCE_PAUSES: Final = 60
"""Pauses for which folding stands back while the follower has a backlog: prices wait for it, and sums can."""
ROUNDS_MAX: Final = 8
"""How often a check begins again because another instance has folded more."""
UTC_ZONE: Final = "UTC"

log = structlog.get_logger("rating.usage_rollup")


class UsageRollup:
    """Folds what is followed. `run` it in a task of its own; the rest may be asked at any time."""

    def __init__(self, *, history: Follower, store: UsageFolds) -> None:
        """Fold into a store what a follower stored."""
        self._history = history
        self._store = store
        self._position = 0
        self._folding = asyncio.Lock()

    @property
    def position(self) -> int:
        """The newest position known to be folded."""
        return self._position

    @property
    def lag_events(self) -> int:
        """Positions that are followed and not folded."""
        return max(0, self._history.position - self._position)

    async def run(self) -> None:
        """Fold for ever; a break is tried again."""
        stood_back = 0
        while True:
            if self._history.lag_events > CAUGHT_UP_LAG_EVENTS_MAX and stood_back < PATIENCE_PAUSES:
                stood_back += 1
            else:
                stood_back = 0
                await self._try_to_fold()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _try_to_fold(self) -> None:
        try:
            await self._reach(self._history.position)
        except StoreUnavailableError as cause:
            log.warning("folding_broke_off", cause=str(cause))

    async def catch_up(self, min_position: int) -> int:
        """Fold up to a position that was followed, and to the newest one if that is near; return how far it got.

        So a report is as fresh as what is followed, unless a long backlog is being folded. Raises
        StoreUnavailableError.
        """
        near = self.lag_events <= FOLD_POSITIONS_MAX
        return await self._reach(self._history.position if near else min_position)

    async def _reach(self, position: int) -> int:
        async with self._folding:
            while self._position < position:
                await self._fold_next()
            return self._position

    async def check(self, *, repair: bool) -> RollupCheck:
        """Compare the stored sums with those folded anew.

        Another instance may have folded what is not followed here yet: zones of its contracts are not known before.
        Refuses HISTORY_BEHIND. Raises StoreUnavailableError.
        """
        for _ in range(ROUNDS_MAX):
            await self._history.wait_for(await self._store.position())
            try:
                return await self._store.check(
                    self._zone_of, known_position=self._history.position, repair=repair
                )
            except PositionMovedError:
                log.info("another_instance_was_faster", position=self._history.position)
        raise RequestRefused(
            RequestReason.HISTORY_BEHIND,
            f"another instance folds what is not followed here; position {self._history.position} is",
            position=str(self._history.position),
        )

    async def _fold_next(self) -> None:
        """Fold the next stretch. What another instance folded meanwhile is not folded again."""
        start = await self._store.position()
        end = min(start + FOLD_POSITIONS_MAX, self._history.position)
        if end > start:
            try:
                await self._store.fold(start, end, self._zone_of)
            except PositionMovedError:
                log.info("another_instance_was_faster", position=start)
                return
        self._position = max(start, end)

    def _zone_of(self, contract: str) -> str:
        # A contract's zone is agreed when it is signed and never changes, so any later catalogue tells it.
        found = find(self._history.catalogue.contracts, contract)
        return UTC_ZONE if found is None else found.cycle.zone
