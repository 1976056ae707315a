"""Staging: decided events become rows, on top of the state in memory, before they are durable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from ledger_service.application.calls import Answer, Call, Outcome
from ledger_service.application.ports import NewEvent, Snapshot
from ledger_service.application.stream_cache import Entry, take_snapshot
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import Event, Fact
from ledger_service.domain.streams import evolve_stream
from ledger_service.domain.topics import TOPIC_OF, encode_fact, hash_event

SNAPSHOT_INTERVAL_EVENTS: Final = 100
"""A cold load folds fewer than this many events after the snapshot."""


class Batch:
    """What one commit will write and whom it will answer."""

    def __init__(self) -> None:
        """Begin an empty batch."""
        self.rows: list[NewEvent] = []
        self.snapshots: dict[str, Snapshot] = {}
        self.streams: set[str] = set()
        self.answers: list[tuple[Call, Answer]] = []

    def calls(self) -> list[Call]:
        """Return the calls that wait for this batch, in the order they were decided."""
        return [call for call, _ in self.answers]


def stage(
    batch: Batch,
    call: Call,
    drafts: Sequence[Draft],
    entries: Mapping[str, Entry],
    *,
    record_time: datetime,
    next_position: int,
) -> int:
    """Add a decision's events to the batch and fold them into the entries; return the next free position.

    A fault on the way leaves batch and entries as they were.
    """
    row_count = len(batch.rows)
    before = [
        (entry, (entry.state, entry.version, entry.head_hash, entry.snapshot_version))
        for entry in entries.values()
    ]
    try:
        return _stage(batch, call, drafts, entries, record_time, next_position)
    except Exception:
        del batch.rows[row_count:]
        for entry, fields in before:
            entry.state, entry.version, entry.head_hash, entry.snapshot_version = fields
        raise


def _stage(
    batch: Batch,
    call: Call,
    drafts: Sequence[Draft],
    entries: Mapping[str, Entry],
    record_time: datetime,
    next_position: int,
) -> int:
    outcome: Outcome | None = None
    snapshots: dict[str, Snapshot] = {}
    position = next_position
    for draft in drafts:
        entry = entries[draft.stream]
        fact, row = _append(entry, draft, call, record_time, position)
        batch.rows.append(row)
        batch.streams.add(draft.stream)
        if draft.answers:
            outcome = Outcome(draft.stream, row.version, position, fact)
        if entry.version - entry.snapshot_version >= SNAPSHOT_INTERVAL_EVENTS:
            snapshots[draft.stream] = take_snapshot(draft.stream, entry)
            entry.snapshot_version = entry.version
        position += 1
    assert outcome is not None or not call.key, "a keyed decision marks the event that answers it"
    batch.snapshots.update(snapshots)
    batch.answers.append((call, outcome))
    return position


def _append(
    entry: Entry, draft: Draft, call: Call, record_time: datetime, position: int
) -> tuple[Fact[Event], NewEvent]:
    stream, event = draft.stream, draft.event
    topic = TOPIC_OF[type(event)]
    if draft.answers:
        fact = Fact(
            event,
            record_time,
            draft.effective_time,
            entry.head_hash,
            call.actor,
            call.key,
            call.fingerprint,
        )
    else:
        fact = Fact(event, record_time, draft.effective_time, entry.head_hash, call.actor)
    state = encode_fact(fact)
    version = entry.version + 1
    entry.state = evolve_stream(stream, entry.state, fact, version)
    entry.version = version
    entry.head_hash = hash_event(stream, version, topic, state)
    key_hash = call.key_hash if draft.answers else None
    return fact, NewEvent(position, stream, version, topic, state, key_hash)
