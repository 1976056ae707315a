"""Streams in memory: their state, version and head hash, bounded, least recently used out first.

The cache may be ahead of the store by what is being committed; such streams are dirty and never evicted.
Dropping an entry is always allowed when it is clean, and is how a failed commit is undone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ledger_service.application.ports import LoadedStream, Snapshot
from ledger_service.domain.streams import STATE_TYPE, State, collection_of, evolve_stream
from ledger_service.domain.topics import GENESIS_HASH, decode_fact, hash_event

SNAPSHOT_FORMAT: Final = 8
"""Raised whenever the shape of a state changes; snapshots of another format are ignored and written anew."""

SNAPSHOT_INTERVAL_EVENTS: Final = 100
"""A cold load folds fewer than this many events after the snapshot, unless the snapshot is large."""
SNAPSHOT_BYTES_PER_EVENT_MAX: Final = 1_000
"""A large snapshot is written anew only after as many events as make up for it: it costs each so much at most."""

_encoder: Final = msgspec.json.Encoder()


class Entry(msgspec.Struct):
    """A stream as far as this process knows it."""

    state: State | None = None
    version: int = 0
    head_hash: str = GENESIS_HASH
    snapshot_version: int = 0
    snapshot_bytes: int = 0
    """Size of the newest snapshot."""

    @property
    def needs_snapshot(self) -> bool:
        """Whether enough events have come since the newest snapshot."""
        interval = max(SNAPSHOT_INTERVAL_EVENTS, self.snapshot_bytes // SNAPSHOT_BYTES_PER_EVENT_MAX)
        return self.version - self.snapshot_version >= interval

    def become(self, other: Entry) -> None:
        """Take over what another entry says of the same stream."""
        self.state = other.state
        self.version = other.version
        self.head_hash = other.head_hash
        self.snapshot_version = other.snapshot_version
        self.snapshot_bytes = other.snapshot_bytes


class StreamCache:
    """A bounded mapping from stream to entry."""

    def __init__(self, entries_max: int) -> None:
        """Hold at most `entries_max` clean entries."""
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._entries_max = entries_max

    def __len__(self) -> int:
        """Return how many streams are held."""
        return len(self._entries)

    def get(self, stream: str) -> Entry | None:
        """Return the entry of a stream and mark it as just used."""
        entry = self._entries.get(stream)
        if entry is not None:
            self._entries.move_to_end(stream)
        return entry

    def put(self, stream: str, entry: Entry) -> None:
        """Hold an entry."""
        self._entries[stream] = entry

    def drop(self, stream: str) -> None:
        """Forget a stream."""
        self._entries.pop(stream, None)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def evict(self, is_dirty: Callable[[str], bool]) -> None:
        """Bring the cache back to its bound, oldest first, leaving dirty streams alone."""
        excess = len(self._entries) - self._entries_max
        if excess <= 0:
            return
        for stream in [stream for stream in self._entries if not is_dirty(stream)][:excess]:
            del self._entries[stream]


def restore(stream: str, loaded: LoadedStream) -> Entry:
    """Fold a loaded stream into an entry."""
    entry = Entry()
    if loaded.snapshot is not None:
        head_hash, state = _decoder(stream).decode(loaded.snapshot.state)
        version = loaded.snapshot.version
        entry = Entry(state, version, head_hash, version, len(loaded.snapshot.state))
    for event in loaded.events:
        fact = decode_fact(event.topic, event.state)
        entry.state = evolve_stream(stream, entry.state, fact, event.version)
        entry.version = event.version
        entry.head_hash = hash_event(stream, event.version, event.topic, event.state)
    return entry


def take_snapshot(stream: str, entry: Entry) -> Snapshot:
    """Return the entry as a snapshot."""
    state = _encoder.encode((entry.head_hash, entry.state))
    return Snapshot(stream, entry.version, SNAPSHOT_FORMAT, state)


_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    collection: msgspec.json.Decoder(tuple[str, state_type])  # type: ignore[valid-type]
    for collection, state_type in STATE_TYPE.items()
}


def _decoder(stream: str) -> msgspec.json.Decoder[Any]:
    return _decoders[collection_of(stream)]
