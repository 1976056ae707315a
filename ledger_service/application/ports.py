"""What the application needs from the outside: a log, a clock and views. Adapters implement these."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """One row of the log, as stored."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """A row about to be appended. `key_hash` (16 bytes) is set on the event that answers a keyed command."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes
    key_hash: bytes | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """A stream's folded state at a version. A cache: deleting it never changes an answer."""

    stream: str
    version: int
    format: int
    state: bytes


class LoadedStream(msgspec.Struct, frozen=True):
    """A stream's newest snapshot of the wanted format, if any, and the events after it."""

    snapshot: Snapshot | None
    events: tuple[StoredEvent, ...]


class StoreUnavailableError(Exception):
    """The store cannot be reached, or this instance no longer holds the shard."""


class AppendConflictError(Exception):
    """A position, a version or an idempotency key was taken already; nothing was appended."""


class OutcomeUnknownError(Exception):
    """The connection broke while appending: the events are stored either all or not at all."""


class EventLog(Protocol):
    """The append-only log of one shard, with one writer."""

    async def acquire(self) -> bool:
        """Connect and become the writer of the shard. False while another instance is.

        Raises StoreUnavailableError.
        """

    async def close(self) -> None:
        """Give the shard back and disconnect."""

    async def head(self) -> StoredEvent | None:
        """Return the newest event of the log. Raises StoreUnavailableError."""

    async def load(self, streams: Sequence[str], *, snapshot_format: int) -> dict[str, LoadedStream]:
        """Load streams in one query; a stream without events has an empty entry. Raises StoreUnavailableError."""

    async def find_keys(self, key_hashes: Sequence[bytes]) -> dict[bytes, StoredEvent]:
        """Return the events that were stored under these idempotency keys. Raises StoreUnavailableError."""

    async def append(self, events: Sequence[NewEvent], snapshots: Sequence[Snapshot] = ()) -> None:
        """Append all events and upsert the snapshots in one statement, durably, and notify followers.

        Raises AppendConflictError, OutcomeUnknownError, StoreUnavailableError (nothing was sent).
        """


class LogReader(Protocol):
    """Reads the log beside the writer, on connections of its own."""

    async def read_log(self, *, after: int, limit: int, topics: Sequence[str] = ()) -> list[StoredEvent]:
        """Return events after a position, in order. Raises StoreUnavailableError."""

    async def read_stream(
        self, stream: str, *, after: int, limit: int, topics: Sequence[str] = ()
    ) -> list[StoredEvent]:
        """Return a stream's events after a version, in order. Raises StoreUnavailableError."""

    async def read_versions(self, stream: str, versions: Sequence[int]) -> list[StoredEvent]:
        """Return the events that a stream has at versions, in order. Raises StoreUnavailableError."""

    async def read_collection(self, collection: str, *, after: str, limit: int) -> list[StoredEvent]:
        """Return all events of so many streams of a collection after a name, in order of name and version.

        Raises StoreUnavailableError.
        """

    async def head_position(self) -> int:
        """Return the position of the newest event, 0 for an empty log. Raises StoreUnavailableError."""


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the current instant: UTC, microseconds."""
