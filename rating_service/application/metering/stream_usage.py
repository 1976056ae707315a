"""Metering answers while they are given.

Each chunk is stored before it is answered, so an answer is charged whatever happens to its caller or to this
service: by its final chunk, or when nothing came for its time by the last one. While it goes on, credit is held
in the ledger for what it costs so far (`stream_holds`). What is settled is debited under the usage's id: first by
capturing the hold, and where the ledger refuses that as an ordinary debit of delivered usage. Both are under the
same key, so the usage is debited once.

No chunk waits for anything but its own call; a caller that sends faster than chunks are stored is slowed down
by its channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple

import structlog

from rating_service.application.metering.intake import UsageIntake
from rating_service.application.metering.quarantine import Cause, Entry, Received, is_passing
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.metering.stream_holds import StreamHolds, change_stored
from rating_service.application.metering.stream_ports import Holds, StreamStore
from rating_service.application.names import check_contract, check_usage_id
from rating_service.application.ports import (
    Clock,
    LedgerRefused,
    LedgerUnavailableError,
    Order,
    Posted,
    StoreUnavailableError,
)
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Usage
from rating_service.domain.usage_stream import (
    OPEN,
    QUARANTINED,
    SETTLED,
    SETTLING,
    Chunk,
    UsageStream,
    begin_settling,
    end_stream,
    fold_chunk,
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
        self._cover = StreamHolds(store=store, holds=holds)
        self._clock = clock
        self._read = read
        self._cause_of = cause_of

    async def take(
        self, received: Received, *, sequence: int, final: bool, ttl: timedelta | None
    ) -> StreamReply:
        """Store a chunk, and settle its stream if it is complete.

        Refuses names and bounds, STREAM_CHUNK_CHANGED and STREAM_ENDED; raises LedgerUnavailableError, and
        LedgerRefused while the ledger is busy. Whatever is raised then, the chunk is stored.
        """
        chunk = _chunk(received, sequence=sequence, final=final, ttl=ttl)
        now = await self._clock.now()
        stream = await self._store.change(
            chunk.contract, chunk.usage_id, lambda before: fold_chunk(before, chunk, now)
        )
        if stream.state != OPEN:
            return await self._settle(stream)
        try:
            order = self._order(stream)
        except (Refusal, RequestRefused):
            return StreamReply(stream)  # what cannot be rated now is seen to when it is settled
        stream, lacking = await self._cover.cover(stream, order)
        return StreamReply(stream, credit_short=lacking)

    async def sweep(self) -> int:
        """See to what is due and return how many streams that was; one that cannot be now stops no other."""
        now = await self._clock.now()
        settled = 0
        for stream in await self._store.due(now, limit=SWEEP_STREAMS_MAX):
            closed = await change_stored(self._store, stream, lambda before: begin_settling(before, now))
            try:
                if closed.state == SETTLING:
                    await self._settle(closed)
                else:
                    await self._cover.give_back_spare(closed)
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

    async def _settle(self, stream: UsageStream) -> StreamReply:
        """Debit a stream whose totals are closed, or quarantine it. Again gives the same debit or entry."""
        received = self._read(stream.received)
        stream = await self._cover.place(stream)
        try:
            self._intake.check(received, stream.settle_time - stream.ttl)
            order = await self._rated(stream)
            stream = await self._cover.give_back_spare(stream)
            posted = await self._debit(stream, order)
        except (Refusal, RequestRefused, LedgerRefused) as refusal:
            if is_passing(refusal):
                raise
            entry = await self._intake.keep(received, self._cause_of(refusal), await self._clock.now())
            return StreamReply(await self._end(stream, QUARANTINED), entry)
        return StreamReply(await self._end(stream, SETTLED), posted)

    async def _debit(self, stream: UsageStream, order: Order) -> Posted:
        if stream.hold:
            try:
                return await self._holds.capture(stream.hold, order)
            except LedgerRefused as refused:
                if refused.is_passing:
                    raise
                # The hold is over or does not suffice; delivered usage is debited all the same.
                await self._holds.release(stream.hold)
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

    async def _end(self, stream: UsageStream, state: str) -> UsageStream:
        ended = await change_stored(self._store, stream, lambda before: end_stream(before, state))
        return await self._cover.give_back_spare(ended)


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
