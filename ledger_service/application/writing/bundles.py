"""Bundles: calls of one stream that are decided as one. Either all are recorded in one commit, or none is.

To the caller a bundle is a group of items in one batch. Inside, its members stay calls of their own, each with
its key, its event and those that wait for the same key; the bundle is what is queued, decided, undone and
looked up. Each member is decided on the state that the one before it leaves behind, on copies of the entries:
the entries themselves change when nothing may fail any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime

from ledger_service.application.writing.calls import Answers, AnyAnswer, Call, Group, Outcome, keyed_call
from ledger_service.application.writing.faults import fault
from ledger_service.application.writing.staging import Batch, stage
from ledger_service.application.writing.stream_cache import Entry
from ledger_service.domain.commands import Request
from ledger_service.domain.decide import decide
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.refusals.service import GroupRefused


class Bundle(Call, eq=False, gc=False):
    """Keyed calls of one stream; the bundle itself has no key and no command."""

    members: tuple[Call, ...] = ()


class BundleRefusedError(Exception):
    """One member was refused, so none is done; `answers` holds what each member is told."""

    def __init__(self, answers: Answers) -> None:
        """Refuse with an answer for each member."""
        super().__init__("a member of the bundle was refused")
        self.answers = answers


def calls_of(group: Group, requests: Sequence[Request], atomic: Sequence[range]) -> list[Call]:
    """Return the calls of one RPC; each range of requests in `atomic`, in order and apart, is a bundle."""
    calls = [keyed_call(group, index, request) for index, request in enumerate(requests)]
    if not atomic:
        return calls
    bundled: list[Call] = []
    taken = 0
    for span in atomic:
        bundled += calls[taken : span.start]
        bundled.append(_bundle(calls[span.start : span.stop]))
        taken = span.stop
    return bundled + calls[taken:]


def _bundle(members: list[Call]) -> Bundle:
    first = members[0]
    assert all(member.key_hash and member.streams == first.streams for member in members)
    assert len({member.key_hash for member in members}) == len(members), "a key is used once in a bundle"
    return Bundle(first.group, first.index, first.streams, members=tuple(members))


def key_hashes(calls: Iterable[Call]) -> list[bytes]:
    """Return the keys of calls and of the members of bundles."""
    found: list[bytes] = []
    for call in calls:
        if isinstance(call, Bundle):
            found += [member.key_hash for member in call.members]
        elif call.key_hash:
            found.append(call.key_hash)
    return found


def refused_at(bundle: Bundle, place: int, refusal: Refusal) -> Answers:
    """Return what the members are told when the one at `place` is refused."""
    others = GroupRefused(bundle.members[place].index)
    return tuple(refusal if each == place else others for each in range(len(bundle.members)))


def stage_bundle(
    batch: Batch,
    bundle: Bundle,
    entries: Mapping[str, Entry],
    *,
    record_time: datetime,
    next_position: int,
) -> int:
    """Decide the members in order and add all their events to the batch; return the next free position.

    Raises BundleRefusedError, and then batch and entries are as they were.
    """
    trial = Batch()
    ahead = {stream: copy(entry) for stream, entry in entries.items()}
    for place, member in enumerate(bundle.members):
        assert member.command is not None
        try:
            states = {stream: entry.state for stream, entry in ahead.items()}
            drafts = decide(member.command, states, record_time)
            next_position = stage(
                trial, member, drafts, ahead, record_time=record_time, next_position=next_position
            )
        except Refusal as refusal:
            raise BundleRefusedError(refused_at(bundle, place, refusal)) from refusal
        except Exception as error:
            raise BundleRefusedError(refused_at(bundle, place, fault(member, error))) from error
    # Nothing may fail from here on.
    for stream, entry in ahead.items():
        entries[stream].become(entry)
    batch.rows += trial.rows
    batch.snapshots.update(trial.snapshots)
    batch.streams.update(trial.streams)
    batch.answers.append((bundle, tuple(_recorded(answer) for _, answer in trial.answers)))
    return next_position


def _recorded(answer: AnyAnswer) -> Outcome:
    assert isinstance(answer, Outcome), "a member of a bundle records something"
    return answer
