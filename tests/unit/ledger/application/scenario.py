"""Writers on a log in memory whose appends can be held back, and the check that every scenario ends with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Final

from ledger_service.application.ports import AppendConflictError, LoadedStream, NewEvent, Snapshot
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.stream_cache import Entry, restore
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import AnyCommand, Request
from ledger_service.domain.identity import hash_key
from ledger_service.domain.invariants import broken_invariants
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.streams import evolve_stream
from ledger_service.domain.topics import GENESIS_HASH, decode_fact, hash_event
from ledger_service.domain.wallet.state import Wallet
from tests.builders import NOW, WALLET, debit
from tests.fakes.memory_event_log import MemoryEventLog, MemoryShard

WAIT_SECONDS_MAX: Final = 30.0
"""How long a scenario waits for what must come."""

_keys = count(1)


class FixedClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


class HeldLog(MemoryEventLog):
    """A log that counts its appends and, once held, lets each through only when told."""

    def __init__(self, shard: MemoryShard, *, heeds_lock: bool = True) -> None:
        super().__init__(shard)
        self.append_sizes: list[int] = []
        self.conflicts = 0
        self.waiting = 0
        self.before_load: Callable[[], None] = lambda: None
        self._heeds_lock = heeds_lock
        self._held = False
        self._permits = asyncio.Semaphore(0)

    def hold(self) -> None:
        """Hold every append back from now on."""
        self._held = True

    def let_one_through(self) -> None:
        """Let one append through."""
        self._permits.release()

    def let_go(self) -> None:
        """Hold nothing back any more."""
        self._held = False
        for _ in range(self.waiting):
            self._permits.release()

    async def acquire(self) -> bool:
        return await super().acquire() if self._heeds_lock else True

    async def append(self, events: Sequence[NewEvent], snapshots: Sequence[Snapshot] = ()) -> None:
        self.append_sizes.append(len(events))
        if self._held:
            self.waiting += 1
            await self._permits.acquire()
            self.waiting -= 1
        try:
            await super().append(events, snapshots)
        except AppendConflictError:
            self.conflicts += 1
            raise

    async def load(self, streams: Sequence[str], *, snapshot_format: int) -> dict[str, LoadedStream]:
        self.before_load()
        await asyncio.sleep(0.001)
        return await super().load(streams, snapshot_format=snapshot_format)

    def _check_open(self) -> None:
        if self._heeds_lock:
            super()._check_open()


class Shard(MemoryShard):
    """A shard with the clock that its writers share."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FixedClock()

    @contextlib.asynccontextmanager
    async def serving(
        self, log: HeldLog | None = None, *, cached_streams_max: int = 1_000
    ) -> AsyncIterator[Writer]:
        """Run a writer until it serves; stop it and check the log behind the scenario."""
        async with self.standby(log, cached_streams_max=cached_streams_max) as writer:
            await eventually(lambda: writer.serving)
            yield writer
        check_log(self)

    @contextlib.asynccontextmanager
    async def standby(
        self, log: HeldLog | None = None, *, cached_streams_max: int = 1_000
    ) -> AsyncIterator[Writer]:
        """Run a writer whether it serves or not; stop it behind the scenario."""
        writer = Writer(log or HeldLog(self), self.clock, cached_streams_max=cached_streams_max)
        running = asyncio.create_task(writer.run())
        try:
            yield writer
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def prepared(self, *commands: AnyCommand) -> None:
        """Record commands through a writer that is gone afterwards, with what it remembered."""
        async with self.serving() as writer:
            for command in commands:
                await writer.submit(request(command))

    def entry(self, stream: str = WALLET) -> Entry:
        """Return a stream folded from its stored events alone."""
        entry = Entry()
        for event in self.events:
            if event.stream == stream:
                fact = decode_fact(event.topic, event.state)
                entry.state = evolve_stream(stream, entry.state, fact, event.version)
                entry.version = event.version
        return entry

    def wallet(self, name: str = WALLET) -> Wallet:
        """Return a wallet folded from its stored events alone."""
        state = self.entry(name).state
        assert isinstance(state, Wallet)
        return state

    def stored_keys(self) -> list[str]:
        """Return the idempotency keys of all events that carry one, in log order."""
        facts = [decode_fact(event.topic, event.state) for event in self.events]
        return [fact.idempotency_key for fact in facts if fact.idempotency_key]


def request(command: AnyCommand, key: str | None = None) -> Request:
    """Return a command as sent, under a key of its own unless told; an empty key is none."""
    return Request(command, f"key-{next(_keys)}" if key is None else key, "tests")


def debits(count_of_units: int) -> list[Request]:
    """Return so many debits of one unit, each under its own key."""
    return [request(debit(1)) for _ in range(count_of_units)]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not condition():  # noqa: ASYNC110 - the condition is anything, not an event
            await asyncio.sleep(0.001)


async def a_while() -> None:
    """Give everything that could happen the time to happen."""
    for _ in range(20):
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)


async def refusal_of(answer: Awaitable[object]) -> Refusal:
    """Return the refusal that an awaitable ends with."""
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            got = await answer
    except Refusal as refusal:
        return refusal
    raise AssertionError(f"not refused: {got}")


def outcome(answer: Outcome | Refusal | None) -> Outcome:
    """Return an answer that must be an outcome."""
    assert isinstance(answer, Outcome), answer
    return answer


def check_log(shard: MemoryShard) -> None:
    """Check all that is true of a log after any scenario.

    Positions and versions have no gaps, each event holds the hash of the one before it, record times never go
    back, a key answers one event of its stream, wallets keep their invariants, snapshots equal their streams.
    """
    assert [event.position for event in shard.events] == list(range(1, len(shard.events) + 1))
    heads: dict[str, tuple[int, str]] = {}
    states: dict[str, Entry] = {}
    keys: set[bytes] = set()
    record_time = datetime.min.replace(tzinfo=UTC)
    for event in shard.events:
        version, head_hash = heads.get(event.stream, (0, GENESIS_HASH))
        fact = decode_fact(event.topic, event.state)
        assert (event.version, fact.previous_hash) == (version + 1, head_hash)
        assert fact.record_time >= record_time
        record_time = fact.record_time
        if fact.idempotency_key:
            key = hash_key(event.stream, fact.idempotency_key)
            assert key not in keys
            keys.add(key)
            assert shard.keys[key] == event
        heads[event.stream] = (
            event.version,
            hash_event(event.stream, event.version, event.topic, event.state),
        )
        entry = states.setdefault(event.stream, Entry())
        entry.state = evolve_stream(event.stream, entry.state, fact, event.version)
        assert list(broken_invariants(entry.state, fact)) == []
        check_snapshot(shard, event.stream, event.version, entry)
    assert shard.keys.keys() == keys


def check_snapshot(shard: MemoryShard, stream: str, version: int, entry: Entry) -> None:
    """Check the snapshot of a stream, if it was taken at this version."""
    snapshot = shard.snapshots.get(stream)
    if snapshot is not None and snapshot.version == version:
        restored = restore(stream, LoadedStream(snapshot, ()))
        assert restored.state == entry.state
