"""Metering answers while they are given.

Each chunk is stored before it is answered, so an answer is charged whatever happens to its caller or to this
service: by its final chunk, or when nothing came for its time by the last one. While it goes on, credit is held
in the ledger for what it costs so far. Every hold is asked for in the database before it is in the ledger, under
a key of its own, so that after a break it is found again and given back. What is settled is debited under the
usage's id: first by capturing the hold, and where the ledger refuses that as an ordinary debit of delivered
usage. Both are under the same key, so the usage is debited once.

No chunk waits for anything but its own call; a caller that sends faster than chunks are stored is slowed down
by its channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec
import structlog

from rating_service.application.intake import UsageIntake
from rating_service.application.names import check_contract, check_usage_id
from rating_service.application.ports import (
    Clock,
    LedgerRefused,
    LedgerUnavailableError,
    Order,
    Posted,
    StoreUnavailableError,
)
from rating_service.application.quarantine import Cause, Entry, Received
from rating_service.application.rate_usage import UsageRating
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.stream_ports import Holds, StreamStore
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Usage
from rating_service.domain.usage_stream import (
    HEADROOM,
    OPEN,
    QUARANTINED,
    SETTLED,
    Chunk,
    UsageStream,
    ask_hold,
    begin_settling,
    fold_chunk,
    needs_hold,
    note_hold,
    note_no_hold,
    note_refused_hold,
)

TTL_DEFAULT: Final = timedelta(minutes=10)
TTL_MAX: Final = timedelta(hours=12)
"""Half of the longest hold."""
SEQUENCE_MAX: Final = 2**63 - 1
SWEEP_SECONDS: Final = 1.0
SWEEP_STREAMS_MAX: Final = 100
"""Streams settled at once; the next sweep takes the rest."""

log = structlog.get_logger("rating.streams")


class StreamReply(NamedTuple):
    """What became of a chunk: the stream as it goes on, or how it was settled."""

    stream: UsageStream
    settled: Posted | Entry | None = None
    credit_short: bool = False


class StreamMetering:
    """Takes chunks and settles streams. `run` it in a task of its own for those whose caller vanished."""

    def __init__(
        self,
        *,
        rating: UsageRating,
        intake: UsageIntake,
        store: StreamStore,
        holds: Holds,
        clock: Clock,
        read: Callable[[bytes], Received],
        cause_of: Callable[[Refusal | RequestRefused | LedgerRefused], Cause],
    ) -> None:
        """Price by a rating, keep streams in a store, and hold credit in the ledger."""
        self._rating = rating
        self._intake = intake
        self._store = store
        self._holds = holds
        self._clock = clock
        self._read = read
        self._cause_of = cause_of

    async def take(
        self, received: Received, *, sequence: int, final: bool, ttl: timedelta | None
    ) -> StreamReply:
        """Store a chunk, and settle its stream if it is complete.

        Refuses names and bounds, STREAM_CHUNK_CHANGED and STREAM_ENDED; raises LedgerUnavailableError.
        """
        chunk = _chunk(received, sequence=sequence, final=final, ttl=ttl)
        now = await self._clock.now()
        stream = await self._store.change(
            chunk.contract, chunk.usage_id, lambda before: fold_chunk(before, chunk, now)
        )
        if stream.state != OPEN:
            return await self._settle(stream)
        return await self._cover(stream)

    async def sweep(self) -> int:
        """Settle what is due and return how many streams that was; one that cannot be now stops no other."""
        now = await self._clock.now()
        settled = 0
        for stream in await self._store.due(now, limit=SWEEP_STREAMS_MAX):
            closed = await self._change(stream, lambda before: begin_settling(before, now))
            try:
                if closed.state != OPEN:
                    await self._settle(closed)
                    settled += 1
            except (LedgerRefused, RequestRefused) as cause:
                log.warning("stream_not_settled", usage=stream.usage_id, cause=f"{cause}")
        return settled

    async def run(self) -> None:
        """Sweep for ever; what fails is tried again by the next sweep."""
        while True:
            try:
                while await self.sweep() == SWEEP_STREAMS_MAX:
                    pass
            except (LedgerUnavailableError, LedgerRefused, StoreUnavailableError) as cause:
                log.warning("sweep_broke_off", cause=f"{type(cause).__name__}: {cause}")
            await asyncio.sleep(SWEEP_SECONDS)

    async def _cover(self, stream: UsageStream) -> StreamReply:
        """Hold what the stream costs so far, as far as credit goes."""
        try:
            order = self._order(stream)
        except (Refusal, RequestRefused):
            return StreamReply(stream)  # what cannot be rated now is seen to when it is settled
        needed_units = max(0, _whole_units(order))
        stream = await self._place(stream, order)
        if not needs_hold(stream, needed_units):
            return StreamReply(stream)
        stream, lacking = await self._grow(stream, order, needed_units)
        return StreamReply(stream, credit_short=lacking)

    async def _grow(self, stream: UsageStream, order: Order, needed_units: int) -> tuple[UsageStream, bool]:
        """Return the stream with a larger hold, and whether credit lacks for it.

        It is asked for beside the hold before; where credit does not suffice for both, in its place; and if
        that fails too, as much is held as before.
        """
        old, old_units = stream.hold, stream.held_units
        stream = await self._hold(stream, order, needed_units + needed_units // HEADROOM)
        if stream.state != OPEN or stream.hold != old:
            return stream, False
        await self._give_back(old)
        stream = await self._change(stream, lambda before: note_no_hold(before, old))
        for amount_units in (needed_units, old_units):
            if amount_units and not stream.hold:
                stream = await self._hold(stream, order, amount_units)
        return stream, stream.state == OPEN and stream.held_units < needed_units

    async def _hold(self, stream: UsageStream, order: Order, amount_units: int) -> UsageStream:
        """Return the stream with a hold of this size, or as it is if the ledger refuses it."""
        asked = await self._change(stream, lambda before: ask_hold(before, amount_units))
        return await self._place(asked, order)

    async def _place(self, stream: UsageStream, order: Order) -> UsageStream:
        """Return the stream with the hold that it asks for in the place of the one before, unless refused."""
        if not stream.wanted_units:
            return stream
        number, old = stream.hold_number, stream.hold
        try:
            placed = await self._holds.place(
                order,
                key=_hold_key(stream),
                amount_units=stream.wanted_units,
                ttl=stream.hold_ttl,
            )
        except LedgerRefused:
            return await self._change(stream, lambda before: note_refused_hold(before, number=number))
        noted = await self._change(
            stream,
            lambda before: note_hold(before, number=number, hold=placed.name, expire_time=placed.expire_time),
        )
        await self._give_back(old if noted.hold == placed.name else placed.name)
        return noted

    async def _settle(self, stream: UsageStream) -> StreamReply:
        """Debit a stream whose totals are closed, or quarantine it. Again gives the same debit or entry."""
        received = self._read(stream.received)
        try:
            self._intake.check(received, stream.settle_time - stream.ttl)
            order = await self._rated(stream)
            stream = await self._place(stream, order)
            posted = await self._debit(stream, order)
        except (Refusal, RequestRefused, LedgerRefused) as refusal:
            if isinstance(refusal, RequestRefused) and refusal.reason is RequestReason.HISTORY_BEHIND:
                raise
            await self._give_back(stream.hold)
            entry = await self._intake.keep(received, self._cause_of(refusal), await self._clock.now())
            return StreamReply(await self._end(stream, QUARANTINED), entry)
        return StreamReply(await self._end(stream, SETTLED), posted)

    async def _debit(self, stream: UsageStream, order: Order) -> Posted:
        if stream.hold:
            try:
                return await self._holds.capture(stream.hold, order)
            except LedgerRefused:
                # The hold is over or does not suffice; delivered usage is debited all the same.
                await self._give_back(stream.hold)
        return await self._rating.record(self._usage(stream), delivered=True, min_position=0)

    async def _rated(self, stream: UsageStream) -> Order:
        """Return the order, priced by what the ledger knows now if what was followed does not suffice."""
        try:
            return self._order(stream)
        except Refusal:
            await self._intake.catch_up()
            return self._order(stream)

    def _order(self, stream: UsageStream) -> Order:
        return self._rating.order(self._usage(stream))

    def _usage(self, stream: UsageStream) -> Usage:
        usage = self._read(stream.received).usage
        if isinstance(usage, Refusal):
            raise usage
        return usage

    async def _give_back(self, hold: str) -> None:
        if hold:
            await self._holds.release(hold)

    async def _end(self, stream: UsageStream, state: str) -> UsageStream:
        return await self._change(stream, lambda before: msgspec.structs.replace(before, state=state))

    async def _change(self, stream: UsageStream, change: Callable[[UsageStream], UsageStream]) -> UsageStream:
        """Change a stream that is there."""

        def changed(before: UsageStream | None) -> UsageStream:
            assert before is not None, "streams are never removed"
            return change(before)

        return await self._store.change(stream.contract, stream.usage_id, changed)


def _chunk(received: Received, *, sequence: int, final: bool, ttl: timedelta | None) -> Chunk:
    """Return a chunk in bounds. Refuses names, NUMBER_OUT_OF_RANGE."""
    check_usage_id(received.usage_id, field="usage.id")
    check_contract(received.contract, field="usage.contract")
    if not 1 <= sequence <= SEQUENCE_MAX:
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE, f"sequence {sequence} is not from 1", field="sequence"
        )
    ttl = TTL_DEFAULT if ttl is None else ttl
    if not timedelta(0) < ttl <= TTL_MAX:
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE, f"ttl must lie above 0 and up to {TTL_MAX}", field="ttl"
        )
    return Chunk(
        contract=received.contract,
        usage_id=received.usage_id,
        identity=received.identity,
        sequence=sequence,
        received=received.form(),
        final=final,
        ttl=ttl,
    )


def _whole_units(order: Order) -> int:
    return int(Decimal(order.charge.exact_units).to_integral_value(ROUND_CEILING))


def _hold_key(stream: UsageStream) -> str:
    """Return the key of the hold asked for. A usage id may be as long as a key, so it is hashed."""
    digest = sha256(f"{stream.contract}\n{stream.usage_id}".encode()).hexdigest()
    return f"usage-hold/{digest}/{stream.hold_number}"
