"""StreamUsage on the wire: each chunk is answered once it is durable, before the next is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from credits.rating.v1 import rating_service_pb2, rating_service_pb2_grpc
from rating_service.application.metering.quarantine import Entry
from rating_service.application.metering.stream_usage import StreamMetering, StreamReply
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.rpc.messages import write_instant
from rating_service.rpc.posted import write_posted
from rating_service.rpc.quarantine_servicer import counted_entry
from rating_service.rpc.statuses import KNOWN, status_of
from rating_service.rpc.usage_messages import received


class StreamServicer(rating_service_pb2_grpc.RatingServiceServicer):
    """Meters answers while they are given."""

    _streams: StreamMetering

    async def StreamUsage(
        self, requests: AsyncIterator[rating_service_pb2.StreamUsageRequest], context: Any = None
    ) -> AsyncIterator[rating_service_pb2.StreamUsageResponse]:
        """Answer each chunk once it is durable."""
        async for request in requests:
            answer = rating_service_pb2.StreamUsageResponse(
                usage_id=request.usage.id, sequence=request.sequence
            )
            try:
                _write(answer, await self._take(request))
            except KNOWN as known:
                answer.error.CopyFrom(status_of(known))
            yield answer

    async def _take(self, request: rating_service_pb2.StreamUsageRequest) -> StreamReply:
        if not request.HasField("usage"):
            raise RequestRefused(RequestReason.FIELD_REQUIRED, "usage is required", field="usage")
        return await self._streams.take(
            received(request.usage),
            sequence=request.sequence,
            final=request.final,
            ttl=request.ttl.ToTimedelta() if request.HasField("ttl") else None,
        )


def _write(answer: rating_service_pb2.StreamUsageResponse, reply: StreamReply) -> None:
    """Write what became of a chunk into an answer."""
    answer.usage_id = reply.stream.usage_id
    if reply.settled is None:
        answer.open.last_sequence = reply.stream.sequence
        answer.open.held_units = reply.stream.held_units
        answer.open.credit_short = reply.credit_short
        write_instant(answer.open.settle_time, reply.stream.settle_time)
    elif isinstance(reply.settled, Entry):
        answer.quarantined.CopyFrom(counted_entry(reply.settled))
    else:
        write_posted(answer.settled, reply.settled)
