"""Staging: decided events become rows, on top of the state in memory, before they are durable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ledger_service.application.ports import NewEvent, Snapshot
from ledger_service.application.writing.calls import AnyAnswer, Call, Outcome
from ledger_service.application.writing.stream_cache import Entry, take_snapshot
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import Event, Fact
from ledger_service.domain.streams import evolve_stream
from ledger_service.domain.topics import TOPIC_OF, encode_fact, hash_event


class Batch:
    """What one commit will write and whom it will answer."""

    def __init__(self) -> None:
        """Begin an empty batch."""
        self.rows: list[NewEvent] = []
        self.snapshots: dict[str, Snapshot] = {}
        self.streams: set[str] = set()
        self.answers: list[tuple[Call, AnyAnswer]] = []


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

    Everything that may fail comes first; a fault leaves batch and entries as they were.
    """
    outcome: Outcome | None = None
    staged: dict[str, Entry] = {}
    rows: list[NewEvent] = []
    for position, draft in enumerate(drafts, start=next_position):
        stream = draft.stream
        entry = staged.get(stream) or entries[stream]
        fact = _fact(draft, call, record_time, entry.head_hash)
        topic = TOPIC_OF[type(draft.event)]
        state = encode_fact(fact)
        version = entry.version + 1
        staged[stream] = Entry(
            evolve_stream(stream, entry.state, fact, version),
            version,
            hash_event(stream, version, topic, state),
            entry.snapshot_version,
            entry.snapshot_bytes,
        )
        if draft.answers:
            outcome = Outcome(stream, version, position, fact)
            rows.append(NewEvent(position, stream, version, topic, state, call.key_hash))
        else:
            rows.append(NewEvent(position, stream, version, topic, state))
    assert outcome is not None or not call.key, "a keyed decision marks the event that answers it"
    snapshots = [take_snapshot(stream, entry) for stream, entry in staged.items() if entry.needs_snapshot]
    # Nothing may fail from here on.
    for snapshot in snapshots:
        batch.snapshots[snapshot.stream] = snapshot
        staged[snapshot.stream].snapshot_version = snapshot.version
        staged[snapshot.stream].snapshot_bytes = len(snapshot.state)
    for stream, entry in staged.items():
        entries[stream].become(entry)
    batch.rows += rows
    batch.streams.update(staged)
    batch.answers.append((call, outcome))
    return next_position + len(rows)


def _fact(draft: Draft, call: Call, record_time: datetime, previous_hash: str) -> Fact[Event]:
    if not draft.answers:
        return Fact(draft.event, record_time, draft.effective_time, previous_hash, call.actor)
    return Fact(
        draft.event,
        record_time,
        draft.effective_time,
        previous_hash,
        call.actor,
        call.key,
        call.fingerprint,
    )
