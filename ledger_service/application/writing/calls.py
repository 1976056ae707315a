"""Calls: what waits for an answer inside the writer.

A group is what one RPC sent, one call or a batch of them; it is answered when all of its calls are. A call is
either a keyed command or a read of one stream. Answers are set once and only after what they rest on is
durable.
"""

from __future__ import annotations

import asyncio

import msgspec

from ledger_service.domain.commands import AnyCommand, Request
from ledger_service.domain.decide import streams_of
from ledger_service.domain.events import Event, Fact
from ledger_service.domain.identity import fingerprint, hash_key
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.streams import State


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The recorded event that answers a command."""

    stream: str
    version: int
    position: int
    fact: Fact[Event]
    replayed: bool = False


class Reading(msgspec.Struct, frozen=True):
    """A stream's durable state at a version; None and 0 if it has no events."""

    state: State | None
    version: int


Result = Outcome | Refusal | None
"""What becomes of a command; None if there was nothing to do."""
Answer = Result | Reading
Answers = tuple[Answer, ...]
"""Those of the members of a bundle (see bundles.py), in order."""
AnyAnswer = Answer | Answers


class Group:
    """The calls of one RPC, answered together."""

    __slots__ = ("answers", "done", "open_calls")

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        """Begin a group of `size` calls."""
        self.answers: list[Answer] = [None] * size
        self.open_calls = size
        self.done: asyncio.Future[None] = loop.create_future()

    def answer(self, index: int, answer: Answer) -> None:
        """Set one call's answer; the last one wakes the RPC, unless its client has gone."""
        assert self.answers[index] is None, "a call is answered once"
        self.answers[index] = answer
        self.open_calls -= 1
        if self.open_calls == 0 and not self.done.done():
            self.done.set_result(None)

    def only_answer(self) -> Outcome | Reading | None:
        """Return the answer of a group of one. Raises Refusal."""
        [answer] = self.answers
        if isinstance(answer, Refusal):
            raise answer
        return answer


class Call(msgspec.Struct, eq=False, gc=False):
    """One command or read on its way to an answer; one without a command reads the first of its streams."""

    group: Group
    index: int
    streams: tuple[str, ...]
    command: AnyCommand | None = None
    key: str = ""
    key_hash: bytes = b""
    fingerprint: str = ""
    actor: str = ""
    attempts: int = 0
    followers: list[Call] = []

    def answer(self, answer: Answer) -> None:
        """Hand the answer to the group."""
        self.group.answer(self.index, answer)


def keyed_call(group: Group, index: int, request: Request) -> Call:
    """Begin the call of a request; one without an idempotency key is never replayed."""
    command, key = request.command, request.idempotency_key
    streams = streams_of(command)
    if not key:
        return Call(group, index, streams, command, actor=request.actor)
    return Call(
        group,
        index,
        streams,
        command,
        key=key,
        key_hash=hash_key(streams[0], key),
        fingerprint=fingerprint(command),
        actor=request.actor,
    )
