"""The writer: one a shard. It commits many commands at once (group commit) and answers them when durable.

Calls are decided when they arrive (see decider.py); one committer writes, in one statement, all that was
decided meanwhile. If a commit fails, everything decided on top of it is undone by dropping the streams it
touched, and its calls are resolved by their idempotency keys: what is in the store is answered from there,
the rest is decided again. If the store goes away, nothing is half done: calls are told so, and those of a
commit whose outcome is unknown are answered when the store is back, or told to ask again with their key.

Positions are assigned here, without gaps; the store's unique indexes refuse a second writer, whatever the
advisory lock says. An instance that does not hold the shard stands by and does not serve.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from ledger_service.application.ports import (
    AppendConflictError,
    Clock,
    EventLog,
    OutcomeUnknownError,
    StoreUnavailableError,
)
from ledger_service.application.writing.bundles import calls_of, key_hashes
from ledger_service.application.writing.calls import Call, Group, Outcome, Reading, Result, keyed_call
from ledger_service.application.writing.committed_position import CommittedPosition
from ledger_service.application.writing.decider import Decider
from ledger_service.application.writing.stream_cache import SNAPSHOT_FORMAT
from ledger_service.domain.commands import Request
from ledger_service.domain.refusals.service import NotServing, OutcomeUnknown, QueueFull

CALLS_MAX: Final = 20_000
"""Calls waiting inside the writer, about a second of work; beyond it callers are told to come back."""
CALLS_BETWEEN_YIELDS: Final = 250
"""Calls of one batch decided in a row before other callers get a turn, about 5 ms."""
STREAMS_PER_LOAD_MAX: Final = 2_000
"""Cold streams loaded by one query."""
LINGER_SECONDS_MAX: Final = 0.008
"""Longest that a commit waits for more calls to arrive."""
IDLE_TURNS_MAX: Final = 8
"""Turns of the event loop without a new call after which a commit goes ahead, about 20 us."""
ACQUIRE_INTERVAL_SECONDS: Final = 0.25
"""How often a standby asks for the shard."""
IDLE_CHECK_SECONDS: Final = 1.0
"""How often an idle writer makes sure that it holds the shard: what it answers from memory rests on that."""
OUTCOME_WAIT_SECONDS: Final = 5.0
"""How long the calls of an ambiguous commit wait for the store to come back."""

log = structlog.get_logger("writer")


class Writer:
    """Decides and commits the commands of one shard."""

    def __init__(
        self,
        event_log: EventLog,
        clock: Clock,
        *,
        cached_streams_max: int,
        on_serving_change: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """Make a writer that serves once `run` holds the shard."""
        self._log = event_log
        self._decider = Decider(clock, cached_streams_max=cached_streams_max)
        self._on_serving_change = on_serving_change
        self._serving = False
        self._draining = False
        self._committed = CommittedPosition()
        self._work = asyncio.Event()

    @property
    def serving(self) -> bool:
        """Say whether commands would be taken now."""
        return self._serving and not self._draining

    @property
    def committed_position(self) -> int:
        """Return the position of the newest durable event."""
        return self._committed.value

    @property
    def waiting(self) -> int:
        """Return how many calls are inside and not answered yet."""
        return self._decider.open_calls

    def now(self) -> datetime:
        """Return the record time that a command decided now would get."""
        return self._decider.now()

    async def wait_beyond(self, position: int) -> None:
        """Wait until an event after `position` is durable, or this instance no longer serves."""
        while self.serving and self._committed.value <= position:
            await self._committed.wait()

    def watch(self, stream: str) -> contextlib.AbstractContextManager[asyncio.Event]:
        """Yield an event, set when the stream may have grown or serving may have ended. Raises WatchersFull."""
        return self._committed.watch(stream)

    async def submit(self, request: Request) -> Outcome | None:
        """Decide and commit one command; None if there was nothing to do. Raises Refusal."""
        group = self._open_group(1)
        await self._wait_for(group, [keyed_call(group, 0, request)])
        answer = group.only_answer()
        assert not isinstance(answer, Reading)
        return answer

    async def submit_many(self, requests: Sequence[Request], atomic: Sequence[range] = ()) -> list[Result]:
        """Decide and commit commands in order, each `atomic` range as one. Raises NotServing, QueueFull."""
        if not requests:
            return []
        group = self._open_group(len(requests))
        await self._wait_for(group, calls_of(group, requests, atomic))
        return [answer for answer in group.answers if not isinstance(answer, Reading)]

    async def read(self, stream: str) -> Reading:
        """Return a stream's newest durable state. Raises NotServing, QueueFull."""
        group = self._open_group(1)
        await self._wait_for(group, [Call(group, 0, (stream,))])
        answer = group.only_answer()
        assert isinstance(answer, Reading)
        return answer

    def _open_group(self, size: int) -> Group:
        if not self.serving:
            raise NotServing("this instance does not serve commands now; nothing was done")
        if self._decider.open_calls + size > CALLS_MAX:
            raise QueueFull(f"more than {CALLS_MAX} calls are waiting; nothing was done")
        self._decider.open_calls += size
        self._decider.open_groups += 1
        return Group(size, asyncio.get_running_loop())

    async def _wait_for(self, group: Group, calls: list[Call]) -> None:
        turn_end = CALLS_BETWEEN_YIELDS
        for place, call in enumerate(calls):
            if call.index >= turn_end:
                turn_end = call.index + CALLS_BETWEEN_YIELDS
                self._wake()
                await self._yield(calls[place:])
            self._take(call)
        self._wake()
        await group.done

    async def _yield(self, untaken: list[Call]) -> None:
        """Give other callers a turn. A caller that goes meanwhile leaves calls that nobody waits for."""
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            for call in untaken:
                self._decider.refuse(call, NotServing("the caller has gone; nothing was done"))
            raise

    def _take(self, call: Call) -> None:
        if self._serving:
            self._decider.admit(call)
        else:
            self._decider.refuse(call, NotServing("the database went away; nothing was done"))

    def _wake(self) -> None:
        if self._decider.has_work():
            self._work.set()

    async def run(self) -> None:
        """Hold the shard and commit until cancelled; stand by while another instance holds it."""
        try:
            while True:
                if await self._acquire():
                    await self._serve()
                await asyncio.sleep(ACQUIRE_INTERVAL_SECONDS)
        finally:
            self._set_serving(serving=False)
            self._decider.refuse_committing(OutcomeUnknown("this instance stops; send the call again"))
            self._decider.refuse_all(NotServing("this instance stops; nothing was done"))
            await self._log.close()

    async def drain(self) -> None:
        """Take no more calls and return when those inside are answered."""
        self._draining = True
        self._on_serving_change(False)
        self._committed.wake()
        while self._decider.open_calls:  # noqa: ASYNC110 # once in a lifetime; calls need no event for it
            await asyncio.sleep(0.005)

    async def _acquire(self) -> bool:
        """Become the writer and continue after the newest stored event."""
        try:
            if not await self._log.acquire():
                return False
            head = await self._log.head()
        except StoreUnavailableError as error:
            log.warning("store_unavailable", error=str(error))
            return False
        self._committed.move(head.position if head else 0)
        self._decider.begin_at(head, forget=True)
        return True

    def _set_serving(self, *, serving: bool) -> None:
        if serving != self._serving:
            self._serving = serving
            log.info("serving" if serving else "not_serving", position=self._committed.value)
            self._on_serving_change(self.serving)
            self._committed.wake()

    async def _serve(self) -> None:
        self._set_serving(serving=True)
        try:
            while True:
                await self._wait_for_work()
                await self._linger()
                await self._look_up_and_load()
                await self._commit()
                if not self._decider.has_work():
                    self._work.clear()
        except StoreUnavailableError as error:
            log.warning("store_lost", error=str(error))
            self._set_serving(serving=False)
            self._decider.refuse_all(NotServing("the database went away; nothing was done"))

    async def _wait_for_work(self) -> None:
        while not self._work.is_set():
            try:
                async with asyncio.timeout(IDLE_CHECK_SECONDS):
                    await self._work.wait()
            except TimeoutError:
                await self._log.head()

    async def _linger(self) -> None:
        """Let calls that are on their way join the commit: go on while the event loop still brings some.

        Callers queue in the transport, where nobody can count them; a turn of the loop costs microseconds and
        takes in what is there. A lone caller waits for a few idle turns only.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + LINGER_SECONDS_MAX
        idle_turns, open_groups = 0, self._decider.open_groups
        while idle_turns < IDLE_TURNS_MAX and loop.time() < end:
            await asyncio.sleep(0)
            idle_turns = idle_turns + 1 if self._decider.open_groups <= open_groups else 0
            open_groups = self._decider.open_groups

    async def _look_up_and_load(self) -> None:
        decider = self._decider
        if decider.unproven:
            looked_up = decider.unproven[:]
            found = await self._log.find_keys(key_hashes(call for call, _ in looked_up))
            # Meanwhile more may have come, behind these.
            del decider.unproven[: len(looked_up)]
            decider.prove(looked_up, found)
        if decider.cold:
            streams = decider.cold_streams()[:STREAMS_PER_LOAD_MAX]
            loaded = await self._log.load(streams, snapshot_format=SNAPSHOT_FORMAT) if streams else {}
            decider.warm(loaded)

    async def _commit(self) -> None:
        batch = self._decider.take_batch()
        try:
            if batch.rows:
                await self._log.append(batch.rows, list(batch.snapshots.values()))
        except AppendConflictError as error:
            log.warning("append_conflict", rows=len(batch.rows), error=str(error))
            await self._resolve()
        except OutcomeUnknownError as error:
            log.warning("outcome_unknown", rows=len(batch.rows), error=str(error))
            await self._reconnect()
        else:
            if batch.rows:
                self._committed.move(batch.rows[-1].position, batch.streams)
            self._decider.finish_batch()

    async def _resolve(self) -> None:
        """Answer the calls of lost batches from the store and decide the rest again."""
        head = await self._log.head()
        found = await self._log.find_keys(self._decider.key_hashes_in_batches())
        position = head.position if head else 0
        undone = self._decider.undo()
        self._decider.begin_at(head, forget=position != self._committed.value)
        self._committed.move(position)
        self._decider.decide_again(undone, found)

    async def _reconnect(self) -> None:
        """Wait for the store and learn what became of the batch; give up after OUTCOME_WAIT_SECONDS."""
        self._set_serving(serving=False)
        deadline = asyncio.get_running_loop().time() + OUTCOME_WAIT_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(StoreUnavailableError):
                if await self._acquire():
                    await self._resolve()
                    self._set_serving(serving=True)
                    return
            await asyncio.sleep(ACQUIRE_INTERVAL_SECONDS)
        unknown = OutcomeUnknown("the database went away while storing; send the call again with its key")
        self._decider.refuse_committing(unknown)
        raise StoreUnavailableError(f"not back within {OUTCOME_WAIT_SECONDS} s")
