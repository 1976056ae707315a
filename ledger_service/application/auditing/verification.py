"""Verification: nobody changed the past, and everything derived from it is what a rebuild would give.

Read from the log alone, in order of position: each stream's versions without gaps; each event holding the hash of
the one before it; each event folding into its stream's state; after each event, the invariants of
`domain/invariants.py`; and each charge costing what the recorded phases say. A check may see the streams of
some wallets only, together with all that was agreed. Pure: the caller brings the rows, the gaps between positions
and the comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from ledger_service.application.auditing.charge_check import ChargeCheck
from ledger_service.application.ports import StoredEvent
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.events import CreditsDebited, Event, Fact, HoldCaptured
from ledger_service.domain.invariants import broken_invariants
from ledger_service.domain.streams import State, evolve_stream
from ledger_service.domain.topics import GENESIS_HASH, UnknownTopicError, decode_fact, hash_event

WALLETS: Final = "wallets/"


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
    repriced_charges: int = 0
    unpriced_charges: int = 0
    """Charges of callers who named no phase."""


class _Head(msgspec.Struct, gc=False):
    version: int
    event_hash: str
    state: State | None
    sound: bool


class HistoryCheck:
    """Checks pages of the log, in order, and remembers the head of every stream."""

    def __init__(self, *, owns_agreements: bool = True) -> None:
        """Begin before the first event. Another check reports on what was agreed unless this one owns it."""
        self._heads: dict[str, _Head] = {}
        self._owns_agreements = owns_agreements
        self._charges = ChargeCheck()
        self._agreement_streams = 0
        self.checked_events = 0

    @property
    def stream_count(self) -> int:
        """Return how many streams it reported on."""
        return len(self._heads) - (0 if self._owns_agreements else self._agreement_streams)

    @property
    def repriced_charges(self) -> int:
        """Return how many charges were priced again."""
        return self._charges.repriced

    @property
    def unpriced_charges(self) -> int:
        """Return how many charges named no phase."""
        return self._charges.not_repriced

    def check_page(self, events: Iterable[StoredEvent]) -> list[Finding]:
        """Check the next events and return what is wrong with them."""
        findings: list[Finding] = []
        for event in events:
            if self._owns_agreements or event.stream.startswith(WALLETS):
                self.checked_events += 1
                self._check_event(event, findings)
            else:
                self._check_event(event, [])
        return findings

    def _check_event(self, event: StoredEvent, findings: list[Finding]) -> None:
        stream, version, state = event.stream, event.version, event.state
        head = self._heads.get(stream)
        if head is None:
            head = self._begin(stream)
        if version != head.version + 1:
            findings.append(_finding("VERSION_GAP", event, f"version {version} follows {head.version}"))
        try:
            fact = decode_fact(event.topic, state)
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
        head.version = version
        head.event_hash = hash_event(stream, version, event.topic, state)

    def _begin(self, stream: str) -> _Head:
        if not stream.startswith(WALLETS):
            self._agreement_streams += 1
        head = self._heads[stream] = _Head(0, GENESIS_HASH, None, True)
        return head

    def _check_state(
        self, event: StoredEvent, head: _Head, fact: Fact[Event], findings: list[Finding]
    ) -> None:
        # One finding a stream: after the first, its state means nothing.
        try:
            state = head.state = evolve_stream(event.stream, head.state, fact, event.version)
        except (AssertionError, KeyError, ArithmeticError) as error:
            findings.append(_finding("STATE", event, str(error)))
            head.sound = False
            return
        for name, description in broken_invariants(state, fact):
            findings.append(_finding(name, event, description))
            head.sound = False
        for name, description in self._check_charges(event.stream, fact, state):
            findings.append(_finding(name, event, description))

    def _check_charges(self, stream: str, fact: Fact[Event], state: State) -> Iterable[tuple[str, str]]:
        if isinstance(state, RateCard | Contract):
            return self._charges.learn(stream, fact, state)
        if isinstance(fact.event, CreditsDebited | HoldCaptured) and fact.event.charge is not None:
            return self._charges.check(stream, fact, fact.event.charge)
        return ()


def _finding(check: str, event: StoredEvent, description: str) -> Finding:
    return Finding(check, event.stream, event.position, description)
