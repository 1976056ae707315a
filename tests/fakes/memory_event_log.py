"""An event log in memory, with the semantics of the port, that fails on demand."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from ledger_service.application.ports import (
    AppendConflictError,
    LoadedStream,
    NewEvent,
    OutcomeUnknownError,
    Snapshot,
    StoredEvent,
    StoreUnavailableError,
)


class AppendFailure(Enum):
    """What becomes of an append: after all but a conflict the log is closed until it is acquired again."""

    UNAVAILABLE = auto()
    UNKNOWN_STORED = auto()
    UNKNOWN_NOT_STORED = auto()
    CONFLICT = auto()


class MemoryShard:
    """What outlives a connection. `fail_next` holds the outcomes of the next appends; empty means success."""

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.keys: dict[bytes, StoredEvent] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.writer: MemoryEventLog | None = None
        self.fail_next: list[AppendFailure] = []


class MemoryEventLog:
    """Implements ports.EventLog."""

    def __init__(self, shard: MemoryShard | None = None) -> None:
        self.shard = shard or MemoryShard()

    async def acquire(self) -> bool:
        if self.shard.writer is None:
            self.shard.writer = self
        return self.shard.writer is self

    async def close(self) -> None:
        if self.shard.writer is self:
            self.shard.writer = None

    async def head(self) -> StoredEvent | None:
        self._check_open()
        return max(self.shard.events, key=lambda event: event.position, default=None)

    async def load(self, streams: Sequence[str], *, snapshot_format: int) -> dict[str, LoadedStream]:
        self._check_open()
        return {stream: self._load(stream, snapshot_format) for stream in streams}

    async def find_keys(self, key_hashes: Sequence[bytes]) -> dict[bytes, StoredEvent]:
        self._check_open()
        return {key: self.shard.keys[key] for key in key_hashes if key in self.shard.keys}

    async def append(self, events: Sequence[NewEvent], snapshots: Sequence[Snapshot] = ()) -> None:
        self._check_open()
        failure = self.shard.fail_next.pop(0) if self.shard.fail_next else None
        if failure in (AppendFailure.UNAVAILABLE, AppendFailure.UNKNOWN_NOT_STORED):
            await self._fail(failure)
        if failure is AppendFailure.CONFLICT or self._conflicts(events):
            raise AppendConflictError("a position, version or key is taken")
        self._store(events, snapshots)
        if failure is not None:
            await self._fail(failure)

    async def _fail(self, failure: AppendFailure) -> None:
        await self.close()
        if failure is AppendFailure.UNAVAILABLE:
            raise StoreUnavailableError("the store is away")
        raise OutcomeUnknownError("the connection broke while appending")

    def _check_open(self) -> None:
        if self.shard.writer is not self:
            raise StoreUnavailableError("the log is closed")

    def _conflicts(self, events: Sequence[NewEvent]) -> bool:
        stored = self.shard.events
        taken: set[object] = {event.position for event in stored} | {(e.stream, e.version) for e in stored}
        wanted: list[object] = [event.position for event in events] + [(e.stream, e.version) for e in events]
        keys = [event.key_hash for event in events if event.key_hash is not None]
        repeated = len(set(wanted)) < len(wanted) or len(set(keys)) < len(keys)
        return repeated or not taken.isdisjoint(wanted) or any(key in self.shard.keys for key in keys)

    def _store(self, events: Sequence[NewEvent], snapshots: Sequence[Snapshot]) -> None:
        for new in events:
            event = StoredEvent(new.position, new.stream, new.version, new.topic, new.state)
            self.shard.events.append(event)
            if new.key_hash is not None:
                self.shard.keys[new.key_hash] = event
        for snapshot in snapshots:
            cached = self.shard.snapshots.get(snapshot.stream)
            if cached is None or snapshot.version > cached.version:
                self.shard.snapshots[snapshot.stream] = snapshot

    def _load(self, stream: str, snapshot_format: int) -> LoadedStream:
        snapshot = self.shard.snapshots.get(stream)
        if snapshot is not None and snapshot.format != snapshot_format:
            snapshot = None
        after = snapshot.version if snapshot else 0
        found = [event for event in self.shard.events if event.stream == stream and event.version > after]
        return LoadedStream(snapshot, tuple(sorted(found, key=lambda event: event.version)))
