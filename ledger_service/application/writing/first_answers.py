"""First answers: what a call gets whose idempotency key is in the store already.

That is its own event if the commit that was lost had been stored after all, the event of an earlier call
marked `replayed`, or a refusal if the key was used for another request.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat

from ledger_service.application.ports import StoredEvent
from ledger_service.application.writing.bundles import Bundle, refused_at
from ledger_service.application.writing.calls import Answers, AnyAnswer, Call, Outcome
from ledger_service.domain.identity import check_same_call
from ledger_service.domain.refusals import IdempotencyKeyReused, Refusal
from ledger_service.domain.topics import decode_fact


def first_answer(call: Call, found: Mapping[bytes, StoredEvent], lost: AnyAnswer = None) -> AnyAnswer:
    """Return what the store says of a call that `lost` its answer; None if its key is new there."""
    if isinstance(call, Bundle):
        return _first_answers(call, found, lost)
    stored = found.get(call.key_hash) if call.key_hash else None
    return None if stored is None else _from_event(call, stored, lost)


def replayed(call: Call, first: Outcome, *, ours: bool = False) -> Outcome | Refusal:
    """Return an earlier outcome as the answer of a call with the same key."""
    assert call.command is not None
    try:
        check_same_call(call.command, first.fact)
    except Refusal as refusal:
        return refusal
    return Outcome(first.stream, first.version, first.position, first.fact, not ours)


def _from_event(call: Call, stored: StoredEvent, lost: AnyAnswer) -> Outcome | Refusal:
    ours = isinstance(lost, Outcome) and lost.position == stored.position
    fact = decode_fact(stored.topic, stored.state)
    return replayed(call, Outcome(stored.stream, stored.version, stored.position, fact), ours=ours)


def _first_answers(bundle: Bundle, found: Mapping[bytes, StoredEvent], lost: AnyAnswer) -> Answers | None:
    """Return the answers of a bundle, all of whose keys are known; one known key among new ones refuses it."""
    known = [member.key_hash in found for member in bundle.members]
    if not any(known):
        return None
    if not all(known):
        place = known.index(True)
        return refused_at(bundle, place, _used_apart(bundle.members[place]))
    before = lost if isinstance(lost, tuple) else repeat(None)
    answers = tuple(
        _from_event(member, found[member.key_hash], each)
        for member, each in zip(bundle.members, before, strict=False)
    )
    for place, answer in enumerate(answers):
        if isinstance(answer, Refusal):
            return refused_at(bundle, place, answer)
    return answers


def _used_apart(call: Call) -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        f"idempotency_key {call.key!r} was used before without the other items of its group",
        field="idempotency_key",
        differing_field="group",
    )
