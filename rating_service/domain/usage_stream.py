"""An answer metered while it is given: its chunks become one usage.

Chunks carry totals, not increments, so that one of them is enough: the final one, else the one with the highest
sequence. Whatever the order in which they arrive, and however often, the outcome is the same. Once the answer
is settling nothing changes its totals.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from rating_service.domain.agreements.agreement import Record
from rating_service.domain.refusals import Reason, Refusal

HOLD_TTL_MAX: Final = timedelta(hours=24)
"""The ledger's own bound."""
HEADROOM: Final = 4
"""A hold is larger than the price so far by this part of it, so that few chunks need another."""

OPEN: Final = "OPEN"
SETTLING: Final = "SETTLING"
SETTLED: Final = "SETTLED"
QUARANTINED: Final = "QUARANTINED"


class Chunk(Record, frozen=True, kw_only=True):
    """What an answer has consumed up to now.

    `identity` is what all its chunks must say alike, empty in one that cannot be read.
    """

    contract: str
    usage_id: str
    identity: str
    sequence: int
    received: bytes
    final: bool
    ttl: timedelta


class Holder(NamedTuple):
    """In which wallet a hold is, and on whose account: all that it is asked for with but its units."""

    wallet: str
    feature: str
    api_key: str
    user: str


class UsageStream(Record, frozen=True, kw_only=True):
    """One answer. While `wanted_units` is above 0, hold number `hold_number` was asked for and not noted yet.

    It was asked for `wanted_for`, so that it is found again whatever the answer's totals have become. `spare_holds`
    are those it needs no longer and that are not known to be given back.
    """

    contract: str
    usage_id: str
    identity: str
    sequence: int
    received: bytes
    ttl: timedelta
    settle_time: datetime
    state: str
    hold: str = ""
    held_units: int = 0
    hold_expire_time: datetime | None = None
    hold_number: int = 0
    wanted_units: int = 0
    wanted_for: Holder | None = None
    spare_holds: tuple[str, ...] = ()

    @property
    def hold_ttl(self) -> timedelta:
        """How long its holds last: twice its own, so that not each chunk must renew them."""
        return min(2 * self.ttl, HOLD_TTL_MAX)


def fold_chunk(stream: UsageStream | None, chunk: Chunk, now: datetime) -> UsageStream:
    """Return the stream after a chunk. Refuses STREAM_CHUNK_CHANGED, STREAM_ENDED."""
    state = SETTLING if chunk.final else OPEN
    if stream is None:
        return UsageStream(
            contract=chunk.contract,
            usage_id=chunk.usage_id,
            identity=chunk.identity,
            sequence=chunk.sequence,
            received=chunk.received,
            ttl=chunk.ttl,
            settle_time=now + chunk.ttl,
            state=state,
        )
    if chunk.identity and stream.identity and chunk.identity != stream.identity:
        raise Refusal(
            Reason.STREAM_CHUNK_CHANGED,
            "effective_time, feature, api_key and user must be those of the chunks before",
            field="usage",
        )
    if chunk.sequence == stream.sequence and chunk.received != stream.received:
        raise Refusal(
            Reason.STREAM_CHUNK_CHANGED,
            f"sequence {chunk.sequence} was sent before with other totals",
            field="usage",
        )
    if stream.state != OPEN:
        if chunk.sequence > stream.sequence or (chunk.final and chunk.sequence != stream.sequence):
            raise Refusal(
                Reason.STREAM_ENDED,
                f"the answer was complete with sequence {stream.sequence}",
                sequence=str(stream.sequence),
            )
        return stream
    if chunk.sequence <= stream.sequence and not chunk.final:
        return stream
    return msgspec.structs.replace(
        stream,
        identity=stream.identity or chunk.identity,
        sequence=chunk.sequence,
        received=chunk.received,
        settle_time=now + stream.ttl,
        state=state,
    )


def begin_settling(stream: UsageStream, now: datetime) -> UsageStream:
    """Return the stream with its totals closed if its time is over."""
    if stream.state == OPEN and stream.settle_time <= now:
        return msgspec.structs.replace(stream, state=SETTLING)
    return stream


def end_stream(stream: UsageStream, state: str) -> UsageStream:
    """Return the stream as SETTLED or QUARANTINED; what was delivered and not debited holds nothing."""
    if state == QUARANTINED:
        stream = set_hold_aside(stream, stream.hold)
    return msgspec.structs.replace(stream, state=state)


def needs_hold(stream: UsageStream, needed_units: int) -> bool:
    """Tell whether what is held is too little, or ends before the stream may."""
    if needed_units <= 0:
        return False
    ends = stream.hold_expire_time
    return needed_units > stream.held_units or ends is None or ends < stream.settle_time


def ask_hold(stream: UsageStream, amount_units: int, holder: Holder) -> UsageStream:
    """Return the stream with the next hold asked for; one that is not noted yet is asked for first."""
    if stream.state != OPEN or stream.wanted_units:
        return stream
    return msgspec.structs.replace(
        stream, hold_number=stream.hold_number + 1, wanted_units=amount_units, wanted_for=holder
    )


def note_hold(stream: UsageStream, *, number: int, hold: str, expire_time: datetime) -> UsageStream:
    """Return the stream with a hold in the place of the one before, which is spare now.

    It is spare itself if the stream has ended or another was faster.
    """
    if hold == stream.hold:
        return stream
    if stream.state not in (OPEN, SETTLING) or stream.hold_number != number or not stream.wanted_units:
        return _with_spare(stream, hold)
    return msgspec.structs.replace(
        _with_spare(stream, stream.hold),
        hold=hold,
        held_units=stream.wanted_units,
        hold_expire_time=expire_time,
        wanted_units=0,
        wanted_for=None,
    )


def note_refused_hold(stream: UsageStream, *, number: int) -> UsageStream:
    """Return the stream without the hold that was asked for, which the ledger refused."""
    if stream.hold_number != number:
        return stream
    return msgspec.structs.replace(stream, wanted_units=0, wanted_for=None)


def set_hold_aside(stream: UsageStream, hold: str) -> UsageStream:
    """Return the stream with a hold among the spare ones, unless it has another by now."""
    if not hold or stream.hold != hold:
        return stream
    return msgspec.structs.replace(_with_spare(stream, hold), hold="", held_units=0, hold_expire_time=None)


def note_given_back(stream: UsageStream, holds: Collection[str]) -> UsageStream:
    """Return the stream without spare holds that are in the ledger no longer."""
    spare = tuple(hold for hold in stream.spare_holds if hold not in holds)
    return msgspec.structs.replace(stream, spare_holds=spare)


def _with_spare(stream: UsageStream, hold: str) -> UsageStream:
    if not hold or hold in stream.spare_holds:
        return stream
    return msgspec.structs.replace(stream, spare_holds=(*stream.spare_holds, hold))
