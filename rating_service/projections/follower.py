"""The follower: keeps the store and the catalogue up to date with the ledger's log.

Each page's effect is stored with its position in one transaction. Only what is stored reaches the catalogue,
and it reaches it from the store alone whenever anything went wrong in between: a broken connection whose
commit may have happened, a second follower that was faster. So after any break the answer is the same as
without it.
"""

from __future__ import annotations

import asyncio
import heapq
from contextlib import aclosing
from itertools import count
from typing import Final

import structlog

from rating_service.application.ports import (
    HistoryPage,
    HistoryStore,
    Ledger,
    LedgerRefused,
    LedgerUnavailableError,
    PositionMovedError,
    StoreUnavailableError,
)
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.catalogue import EMPTY, Catalogue
from rating_service.projections.facts import UnreadableHistoryError, effect_of, next_catalogue
from rating_service.projections.unbilled import unbilled_of

BACKOFF_SECONDS_MIN: Final = 0.05
BACKOFF_SECONDS_MAX: Final = 2.0
"""Pause before following again: doubles with each break in a row, so a ledger that restarts is found soon."""
WAIT_SECONDS_MAX: Final = 10.0
"""How long a read waits for a position before it is told to come back."""
CAUGHT_UP_LAG_EVENTS_MAX: Final = 1_000
"""One page: a log that never rests is never followed to its very end."""
STALE_SECONDS: Final = 30.0
"""Silence after which the stream counts as dead; the ledger shows life far more often."""

log = structlog.get_logger("rating.follower")


class Follower:
    """Follows the log. `run` it in a task of its own; the rest may be asked at any time."""

    def __init__(
        self, *, ledger: Ledger, store: HistoryStore, wait_seconds_max: float = WAIT_SECONDS_MAX
    ) -> None:
        """Follow a ledger into a store."""
        self._ledger = ledger
        self._store = store
        self._wait_seconds_max = wait_seconds_max
        self._catalogue = EMPTY
        self._position = 0
        self._head_position = 0
        self._connected = False
        self._caught_up = False
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._tickets = count()
        self.contract_changes = asyncio.Event()
        """Set when billing may be due for another reason than time; whoever waits for that clears it."""

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of the newest position that is stored."""
        return self._catalogue

    @property
    def position(self) -> int:
        """The newest position that is stored."""
        return self._position

    @property
    def lag_events(self) -> int:
        """Positions between the log's head, as last heard of, and what is stored."""
        return max(0, self._head_position - self._position)

    @property
    def is_caught_up(self) -> bool:
        """Whether the catalogue has once been at the head of the log: before that, answers would be wrong."""
        return self._caught_up

    @property
    def is_ready(self) -> bool:
        """Whether it is caught up and the ledger answers now."""
        return self._connected and self._caught_up

    async def wait_for(self, position: int) -> None:
        """Return once a position is stored and in the catalogue. Refuses HISTORY_BEHIND after a while."""
        if position <= self._position:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (position, next(self._tickets), reached))
        try:
            await asyncio.wait_for(reached, self._wait_seconds_max)
        except TimeoutError:
            raise RequestRefused(
                RequestReason.HISTORY_BEHIND,
                f"position {position} is not followed yet; {self._position} is",
                position=str(self._position),
            ) from None

    async def run(self) -> None:
        """Follow for ever. Raises UnreadableHistoryError, on which no retry can help."""
        backoff_seconds = BACKOFF_SECONDS_MIN
        while True:
            position = self._position
            try:
                await self.load()
                await self._follow()
            except PositionMovedError:
                log.info("another_follower_was_faster", position=self._position)
            except (LedgerUnavailableError, LedgerRefused, StoreUnavailableError, TimeoutError) as cause:
                log.warning("following_broke_off", cause=f"{type(cause).__name__}: {cause}")
            finally:
                self._connected = False
            if self._position > position:
                backoff_seconds = BACKOFF_SECONDS_MIN
            await asyncio.sleep(backoff_seconds)
            backoff_seconds = min(2 * backoff_seconds, BACKOFF_SECONDS_MAX)

    async def load(self) -> None:
        """Bring position and catalogue to what the store holds. Raises StoreUnavailableError."""
        # The position is read first: agreements that another follower stores between the two reads lie after
        # it and wait for the next load.
        position = await self._store.position()
        agreements = await self._store.agreements_after(self._position)
        stored = [event for event in agreements if event.position <= position]
        self._advance(next_catalogue(self._catalogue, stored), position)

    async def _follow(self) -> None:
        async with aclosing(self._ledger.follow(self._position)) as pages:
            while True:
                async with asyncio.timeout(STALE_SECONDS):
                    page = await anext(pages, None)
                if page is None:
                    raise LedgerUnavailableError("the ledger ended the stream")
                await self._take(page)

    async def _take(self, page: HistoryPage) -> None:
        if page.head_position < self._position:
            raise UnreadableHistoryError(
                f"the ledger's log ends at {page.head_position}, before {self._position}, which was followed:"
                " it is another ledger, or one restored from a backup"
            )
        self._head_position = page.head_position
        if page.position > self._position:
            effect = effect_of(page.events, from_position=self._position, to_position=page.position)
            # Folded before it is stored, because what cannot be read must not be stored; shown only after.
            catalogue = next_catalogue(self._catalogue, effect.agreements)
            effect = effect._replace(unbilled=unbilled_of(effect.debits, catalogue))
            await self._store.write(effect)
            self._advance(catalogue, page.position)
            if effect.contracts or effect.unbilled:
                self.contract_changes.set()
        self._connected = True
        if self.lag_events <= CAUGHT_UP_LAG_EVENTS_MAX:
            self._caught_up = True

    def _advance(self, catalogue: Catalogue, position: int) -> None:
        self._catalogue = catalogue
        self._position = max(self._position, position)
        while self._waiters and self._waiters[0][0] <= self._position:
            _, _, reached = heapq.heappop(self._waiters)
            if not reached.done():
                reached.set_result(None)
