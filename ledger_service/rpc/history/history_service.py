"""HistoryService: the facts as stored, followed, replayed and verified."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from credits.ledger.v1 import debit_trace_pb2, history_service_pb2, history_service_pb2_grpc
from ledger_service.application.auditing.debit_trace import LotBook, trace_debit
from ledger_service.application.auditing.verification import VerificationProgress
from ledger_service.application.ports import LogReader, StoredEvent
from ledger_service.application.reading.replay import replay_wallet
from ledger_service.application.reading.view_ports import Views
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.names import check_name, check_range
from ledger_service.domain.refusals.service import NotServing
from ledger_service.rpc.calls import Context
from ledger_service.rpc.history.trace_messages import write_debit_trace
from ledger_service.rpc.part_names import read_part_name
from ledger_service.rpc.values import read_time
from ledger_service.rpc.wallets.balance_messages import write_balance

PAGE_SIZE_DEFAULT: Final = 500
PAGE_SIZE_MAX: Final = 5_000
EVENTS_PER_MESSAGE_MAX: Final = 1_000
STATE_BYTES_PER_MESSAGE_MAX: Final = 4 * 1024 * 1024
"""Most that the states of one message's events may hold together, but for a single event that is larger: a phase
of a long rate card takes most of a megabyte, and a message must stay below the server's MESSAGE_BYTES_MAX."""
TOPICS_MAX: Final = 64
HEARTBEAT_SECONDS: Final = 2.0
"""How often an idle stream shows that it is alive."""

Verify = Callable[[], AsyncIterator[VerificationProgress]]


class HistoryServicer(history_service_pb2_grpc.HistoryServiceServicer):
    """Serves the log to auditors and other services."""

    def __init__(
        self,
        writer: Writer,
        reader: LogReader,
        monitor: Views,
        verify: Verify,
        new_lot_book: Callable[[], LotBook],
    ) -> None:
        """Serve from the log; `verify` runs a verification beside the request path."""
        self._writer = writer
        self._reader = reader
        self._monitor = monitor
        self._verify = verify
        self._new_lot_book = new_lot_book

    async def ReadEvents(
        self, request: history_service_pb2.ReadEventsRequest, context: Context
    ) -> history_service_pb2.ReadEventsResponse:
        """Read a page of the log or of one stream."""
        limit = request.page_size or PAGE_SIZE_DEFAULT
        check_range(limit, low=1, high=PAGE_SIZE_MAX, field="page_size")
        check_range(len(request.topics), low=0, high=TOPICS_MAX, field="topics")
        head_position = await self._reader.head_position()
        if request.stream:
            events = await self._reader.read_stream(
                request.stream, after=request.after, limit=limit, topics=list(request.topics)
            )
        else:
            events = await self._reader.read_log(
                after=request.after, limit=limit, topics=list(request.topics)
            )
        return history_service_pb2.ReadEventsResponse(
            events=[_write_event(event) for event in events], head_position=head_position
        )

    async def FollowEvents(
        self, request: history_service_pb2.FollowEventsRequest, context: Context
    ) -> AsyncIterator[history_service_pb2.FollowEventsResponse]:
        """Send what is durable, then what becomes so."""
        check_range(len(request.topics), low=0, high=TOPICS_MAX, field="topics")
        position = request.after_position
        topics = list(request.topics)
        while self._writer.serving:
            head_position = self._writer.committed_position
            events = await self._reader.read_log(after=position, limit=EVENTS_PER_MESSAGE_MAX, topics=topics)
            if len(events) == EVENTS_PER_MESSAGE_MAX:
                position = events[-1].position
            else:
                position = max(position, head_position, events[-1].position if events else 0)
            *firsts, last = split_by_size(events)
            for part in firsts:
                yield _followed(part, position=part[-1].position, head_position=max(head_position, position))
            yield _followed(last, position=position, head_position=max(head_position, position))
            if len(events) < EVENTS_PER_MESSAGE_MAX:
                await self._wait_beyond(position)
        raise NotServing("this instance no longer serves; follow again from the last position")

    async def _wait_beyond(self, position: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._writer.wait_beyond(position)

    async def ReplayWallet(
        self, request: history_service_pb2.ReplayWalletRequest, context: Context
    ) -> history_service_pb2.ReplayWalletResponse:
        """Fold a wallet's stream up to an instant on either clock."""
        check_name(request.name, collection="wallets", field="name")
        now = self._writer.now()
        effective_until = recorded_until = now
        if request.HasField("as_of_effective_time"):
            effective_until = read_time(request.as_of_effective_time, field="as_of_effective_time")
        if request.HasField("as_of_record_time"):
            recorded_until = read_time(request.as_of_record_time, field="as_of_record_time")
        replay = await replay_wallet(
            self._reader, request.name, effective_until=effective_until, recorded_until=recorded_until
        )
        return history_service_pb2.ReplayWalletResponse(
            balance=write_balance(replay.balance), event_count=replay.event_count
        )

    async def VerifyHistory(
        self,
        request: history_service_pb2.VerifyHistoryRequest,
        context: Context,
    ) -> AsyncIterator[history_service_pb2.VerifyHistoryResponse]:
        """Check the whole log, every charge and every projection."""
        async for progress in self._verify():
            yield history_service_pb2.VerifyHistoryResponse(
                checked_events=progress.checked_events,
                total_events=progress.total_events,
                findings=[
                    history_service_pb2.Finding(
                        check=finding.check,
                        subject=finding.subject,
                        position=finding.position,
                        description=finding.description,
                    )
                    for finding in progress.findings
                ],
                done=progress.done,
                stream_count=progress.stream_count,
                projections=progress.projections,
                repriced_charges=progress.repriced_charges,
                unpriced_charges=progress.unpriced_charges,
            )

    async def TraceDebit(
        self, request: debit_trace_pb2.TraceDebitRequest, context: Context
    ) -> debit_trace_pb2.TraceDebitResponse:
        """Trace a debit from the usage to the lots, and what became of it."""
        name = read_part_name(request.name, collection="debits")
        trace = await trace_debit(self._reader, self._new_lot_book(), name.wallet, name.version)
        return debit_trace_pb2.TraceDebitResponse(trace=write_debit_trace(trace))

    async def ListProjections(
        self,
        request: history_service_pb2.ListProjectionsRequest,
        context: Context,
    ) -> history_service_pb2.ListProjectionsResponse:
        """Read how far each projection has come."""
        projections = [
            history_service_pb2.Projection(
                name=each.name,
                position=each.position,
                head_position=each.head_position,
                lag_events=each.head_position - each.position,
            )
            for each in await self._monitor.projection_positions()
        ]
        return history_service_pb2.ListProjectionsResponse(projections=projections)


def _followed(
    events: Sequence[StoredEvent], *, position: int, head_position: int
) -> history_service_pb2.FollowEventsResponse:
    return history_service_pb2.FollowEventsResponse(
        events=[_write_event(event) for event in events], position=position, head_position=head_position
    )


def split_by_size(events: Sequence[StoredEvent]) -> list[Sequence[StoredEvent]]:
    """Return events in parts, in order, of which none is too large for a message; no events are one part."""
    parts: list[Sequence[StoredEvent]] = []
    begin = size = 0
    for place, event in enumerate(events):
        size += len(event.state)
        if size > STATE_BYTES_PER_MESSAGE_MAX and place > begin:
            parts.append(events[begin:place])
            begin, size = place, len(event.state)
    return [*parts, events[begin:]]


def _write_event(event: StoredEvent) -> history_service_pb2.Event:
    return history_service_pb2.Event(
        position=event.position,
        stream=event.stream,
        version=event.version,
        topic=event.topic,
        state=event.state,
    )
