"""Verification: nobody changed the past, and everything derived from it is what a rebuild would give.

Read from the log alone, in order of position: positions without gaps; each stream's versions without gaps;
each event holding the hash of the one before it; each event folding into its stream's state; and, after each
event, the invariants of `domain/invariants.py`. Pure: the caller brings the rows and the comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ledger_service.application.ports import StoredEvent
from ledger_service.domain.streams import State, evolve_stream
from ledger_service.domain.topics import GENESIS_HASH, UnknownTopicError, decode_fact, hash_event
from ledger_service.domain.wallet.invariants import broken_invariants


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it must be."""

    check: str
    subject: str
    position: int
    description: str


class VerificationProgress(msgspec.Struct, frozen=True):
    """How far a verification has come, and what it found since the last report."""

    checked_events: int
    total_events: int
    findings: tuple[Finding, ...] = ()
    done: bool = False
    stream_count: int = 0
    projections: tuple[str, ...] = ()


class _Head(msgspec.Struct):
    version: int
    event_hash: str
    state: State | None
    sound: bool


class HistoryCheck:
    """Checks pages of the log, in order, and remembers the head of every stream."""

    def __init__(self) -> None:
        """Begin before the first event."""
        self._heads: dict[str, _Head] = {}
        self._position = 0
        self.checked_events = 0

    @property
    def stream_count(self) -> int:
        """Return how many streams were seen."""
        return len(self._heads)

    def check_page(self, events: Iterable[StoredEvent]) -> list[Finding]:
        """Check the next events of the log and return what is wrong with them."""
        findings: list[Finding] = []
        for event in events:
            self.checked_events += 1
            if event.position != self._position + 1:
                findings.append(
                    _finding("POSITION_GAP", event, f"position {event.position} follows {self._position}")
                )
            self._position = event.position
            self._check_event(event, findings)
        return findings

    def _check_event(self, event: StoredEvent, findings: list[Finding]) -> None:
        head = self._heads.get(event.stream)
        if head is None:
            head = self._heads[event.stream] = _Head(0, GENESIS_HASH, None, True)
        if event.version != head.version + 1:
            findings.append(_finding("VERSION_GAP", event, f"version {event.version} follows {head.version}"))
        try:
            fact = decode_fact(event.topic, event.state)
        except (UnknownTopicError, msgspec.MsgspecError) as error:
            findings.append(_finding("UNREADABLE_EVENT", event, str(error)))
            head.sound = False
        else:
            if fact.previous_hash != head.event_hash:
                findings.append(
                    _finding("HASH_CHAIN", event, "previous_hash is not the hash of the event before it")
                )
            if head.sound:
                self._check_state(event, head, fact, findings)
        head.version = event.version
        head.event_hash = hash_event(event.stream, event.version, event.topic, event.state)

    def _check_state(self, event: StoredEvent, head: _Head, fact: object, findings: list[Finding]) -> None:
        # One finding a stream: after the first, its state means nothing.
        try:
            head.state = evolve_stream(event.stream, head.state, fact, event.version)  # type: ignore[arg-type]
        except (AssertionError, KeyError, ArithmeticError) as error:
            findings.append(_finding("STATE", event, str(error)))
            head.sound = False
            return
        for name, description in broken_invariants(head.state, fact):  # type: ignore[arg-type]
            findings.append(_finding(name, event, description))
            head.sound = False


def _finding(check: str, event: StoredEvent, description: str) -> Finding:
    return Finding(check, event.stream, event.position, description)
