"""The decider: it decides each call when it arrives, against the state in memory.

That state may be ahead of the store by the batch that is being committed and the one that is pending behind
it. A call whose streams are not in memory waits for them to be loaded. A call that would be refused, or whose
key was seen before, is first looked up by its key, so that a retry of what was done is never refused. A fault
while one call is decided costs only that call.
Everything here happens on the event loop's thread between two awaits: no lock, no race.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import Final

from ledger_service.application.ports import Clock, LoadedStream, StoredEvent
from ledger_service.application.writing.bundles import Bundle, BundleRefusedError, key_hashes, stage_bundle
from ledger_service.application.writing.calls import Answer, Answers, AnyAnswer, Call, Outcome, Reading
from ledger_service.application.writing.faults import fault
from ledger_service.application.writing.first_answers import first_answer, replayed
from ledger_service.application.writing.staging import Batch, stage
from ledger_service.application.writing.stream_cache import Entry, StreamCache, restore
from ledger_service.domain.commands import AnyCommand
from ledger_service.domain.decide import decide
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.refusals.service import Contended, NotServing, OutcomeUnknown
from ledger_service.domain.topics import decode_fact

ATTEMPTS_MAX: Final = 5
"""How often a call is decided again after lost commits."""
RECENT_KEYS_MAX: Final = 50_000
"""Keys remembered so that a retry soon after its call does not fail a whole commit first."""


class Decider:
    """Calls in, batches out."""

    def __init__(self, clock: Clock, *, cached_streams_max: int) -> None:
        """Begin with nothing in memory."""
        self._clock = clock
        self._cache = StreamCache(cached_streams_max)
        self._last_record_time = datetime.min.replace(tzinfo=UTC)
        self._in_flight: dict[bytes, Call] = {}
        self._recent_keys: OrderedDict[bytes, None] = OrderedDict()
        self._next_position = 1
        self._committing: Batch | None = None
        self.pending = Batch()
        self.cold: list[Call] = []
        """Calls that wait for their streams to be loaded, in order of arrival."""
        self.unproven: list[tuple[Call, Refusal | Answers | None]] = []
        """Calls to be looked up by key, each with what refuses it if the key is new; None: decide it."""
        self.open_calls = 0
        self.open_groups = 0
        """Callers that wait for an answer now; those answered no longer count, even before they have run."""

    def now(self) -> datetime:
        """Return the record time of what is decided now; it never goes back."""
        self._last_record_time = max(self._clock.now(), self._last_record_time)
        return self._last_record_time

    def begin_at(self, head: StoredEvent | None, *, forget: bool) -> None:
        """Continue after the newest stored event; `forget` what is in memory if others may have written."""
        self._next_position = head.position + 1 if head else 1
        if head is not None:
            record_time = decode_fact(head.topic, head.state).record_time
            self._last_record_time = max(self._last_record_time, record_time)
        if forget:
            self._cache.clear()

    def has_work(self) -> bool:
        """Say whether anything waits for the writer."""
        return bool(self.pending.answers or self.cold or self.unproven)

    # Deciding

    def admit(self, call: Call) -> None:
        """Decide a call, or queue it for what it lacks."""
        if call.key_hash:
            first = self._in_flight.setdefault(call.key_hash, call)
            if first is not call:
                first.followers.append(call)
                return
            if call.key_hash in self._recent_keys:
                self.unproven.append((call, None))
                return
        elif isinstance(call, Bundle) and not self._claim_keys(call):
            return
        self._decide_or_queue(call)

    def _claim_keys(self, bundle: Bundle) -> bool:
        """Claim all keys of a bundle at once, or have it wait for the first that is taken; say if it may go on."""
        taken = [self._in_flight[key] for key in key_hashes([bundle]) if key in self._in_flight]
        if taken:
            taken[0].followers.append(bundle)
            return False
        self._in_flight.update((member.key_hash, member) for member in bundle.members)
        if not self._recent_keys.keys().isdisjoint(key_hashes([bundle])):
            self.unproven.append((bundle, None))
            return False
        return True

    def _decide_or_queue(self, call: Call) -> None:
        entries: dict[str, Entry] = {}
        for stream in call.streams:
            entry = self._cache.get(stream)
            if entry is None:
                self.cold.append(call)
                return
            entries[stream] = entry
        self._decide(call, entries)

    def _decide(self, call: Call, entries: dict[str, Entry]) -> None:
        if call.command is None:
            self._decide_bundle_or_read(call, entries)
            return
        try:
            staged = self._stage_decision(call, call.command, entries)
        except Refusal as refusal:
            self._refuse_unless_known(call, refusal)
        except Exception as error:  # noqa: BLE001 # one broken decision must not end the writer of all others
            self._refuse_unless_known(call, fault(call, error))
        else:
            if not staged:
                self._answer_when_durable(call, None)

    def _stage_decision(self, call: Call, command: AnyCommand, entries: dict[str, Entry]) -> bool:
        now = self.now()
        drafts = decide(command, {name: entry.state for name, entry in entries.items()}, now)
        if drafts:
            self._next_position = stage(
                self.pending, call, drafts, entries, record_time=now, next_position=self._next_position
            )
        return bool(drafts)

    def _decide_bundle_or_read(self, call: Call, entries: dict[str, Entry]) -> None:
        if not isinstance(call, Bundle):
            entry = entries[call.streams[0]]
            self._answer_when_durable(call, Reading(entry.state, entry.version))
            return
        now = self.now()
        try:
            self._next_position = stage_bundle(
                self.pending, call, entries, record_time=now, next_position=self._next_position
            )
        except BundleRefusedError as refused:
            self.unproven.append((call, refused.answers))

    def _refuse_unless_known(self, call: Call, refusal: Refusal) -> None:
        if call.key_hash:
            self.unproven.append((call, refusal))
        else:
            self._answer_when_durable(call, refusal)

    def cold_streams(self) -> list[str]:
        """Return the streams that cold calls wait for."""
        wanted = dict.fromkeys(stream for call in self.cold for stream in call.streams)
        return [stream for stream in wanted if self._cache.get(stream) is None]

    def warm(self, loaded: dict[str, LoadedStream]) -> None:
        """Take loaded streams into memory and decide the cold calls, in order."""
        for stream, content in loaded.items():
            self._cache.put(stream, restore(stream, content))
        calls, self.cold = self.cold, []
        for call in calls:
            self._decide_or_queue(call)

    def prove(
        self, looked_up: list[tuple[Call, Refusal | Answers | None]], found: dict[bytes, StoredEvent]
    ) -> None:
        """Answer calls that were looked up by key: a known key from its event, a new one as decided."""
        for call, refusal in looked_up:
            first = first_answer(call, found)
            if first is not None:
                self._answer(call, first)
            elif refusal is not None:
                self._answer_when_durable(call, refusal)
            else:
                self._decide_or_queue(call)

    # Batches

    def take_batch(self) -> Batch:
        """Close the pending batch for committing and begin another."""
        assert self._committing is None, "batches are committed one after the other"
        self._committing, self.pending = self.pending, Batch()
        return self._committing

    def finish_batch(self) -> None:
        """The batch is durable: answer its calls."""
        batch, self._committing = self._committing, None
        assert batch is not None
        for call, answer in batch.answers:
            if call.key_hash:
                self._recent_keys[call.key_hash] = None
            elif isinstance(call, Bundle):
                self._recent_keys.update(dict.fromkeys(key_hashes([call])))
            self._answer(call, answer)
        while len(self._recent_keys) > RECENT_KEYS_MAX:
            self._recent_keys.popitem(last=False)
        self._cache.evict(self.pending.streams.__contains__)

    def key_hashes_in_batches(self) -> list[bytes]:
        """Return the keys of all calls that a lost commit would undo."""
        batches = [batch for batch in (self._committing, self.pending) if batch is not None]
        return key_hashes(call for batch in batches for call, _ in batch.answers)

    def undo(self) -> list[tuple[Call, AnyAnswer]]:
        """Drop every batch and the streams it touched; return its calls, with the answers they lost, in order."""
        batches = [batch for batch in (self._committing, self.pending) if batch is not None]
        self._committing, self.pending = None, Batch()
        for batch in batches:
            for stream in batch.streams:
                self._cache.drop(stream)
        # A refusal may have rested on what is undone: its call is decided again.
        self.unproven = [(call, None) for call, _ in self.unproven]
        return [item for batch in batches for item in batch.answers]

    def decide_again(self, undone: list[tuple[Call, AnyAnswer]], found: dict[bytes, StoredEvent]) -> None:
        """Answer undone calls from the store, or decide them once more. Needs `begin_at` first."""
        # A commit that failed for a known key answered that call: only races lost to others count.
        lost_race = not found
        for call, lost in undone:
            first = first_answer(call, found, lost)
            if first is not None:
                self._answer(call, first)
                continue
            call.attempts += lost_race
            if call.attempts >= ATTEMPTS_MAX:
                self._answer(call, Contended(f"another writer won {ATTEMPTS_MAX} times; nothing was done"))
            else:
                self._decide_or_queue(call)

    def refuse_committing(self, refusal: Refusal) -> None:
        """Answer the calls of the batch being committed, if any, whose outcome nobody knows."""
        batch, self._committing = self._committing, None
        if batch is None:
            return
        for stream in batch.streams:
            self._cache.drop(stream)
        for call, _ in batch.answers:
            self._answer(call, refusal)

    def refuse(self, call: Call, refusal: Refusal) -> None:
        """Answer a call that was never admitted."""
        self._answer(call, refusal)

    def refuse_all(self, refusal: Refusal) -> None:
        """Answer every waiting call with one refusal."""
        waiting = [call for call, _ in self.undo()] + self.cold + [call for call, _ in self.unproven]
        self.cold, self.unproven = [], []
        for call in waiting:
            self._answer(call, refusal)

    # Answers

    def _answer_when_durable(self, call: Call, answer: AnyAnswer) -> None:
        """Answer what rests on state in memory once that state is durable."""
        if not self.pending.streams.isdisjoint(call.streams):
            self.pending.answers.append((call, answer))
        elif self._committing is not None and not self._committing.streams.isdisjoint(call.streams):
            self._committing.answers.append((call, answer))
        else:
            self._answer(call, answer)

    def _answer(self, call: Call, answer: AnyAnswer) -> None:
        if call.key_hash:
            if self._in_flight.get(call.key_hash) is call:
                del self._in_flight[call.key_hash]
        elif isinstance(call, Bundle):
            self._answer_members(call, answer)
            return
        assert not isinstance(answer, tuple), "only a bundle has several answers"
        self.open_calls -= 1
        call.answer(answer)
        if call.group.open_calls == 0:
            self.open_groups -= 1
        followers, call.followers = call.followers, []
        for follower in followers:
            self._answer_follower(follower, answer)

    def _answer_members(self, bundle: Bundle, answer: AnyAnswer) -> None:
        """Give each member its own answer, or all of them the one that there is."""
        answers = answer if isinstance(answer, tuple) else (answer,) * len(bundle.members)
        for member, each in zip(bundle.members, answers, strict=True):
            self._answer(member, each)

    def _answer_follower(self, follower: Call, answer: Answer) -> None:
        if isinstance(answer, NotServing | OutcomeUnknown | Contended):
            self._answer(follower, answer)
        elif isinstance(answer, Outcome) and not isinstance(follower, Bundle):
            self._answer(follower, replayed(follower, answer))
        else:
            self.admit(follower)
