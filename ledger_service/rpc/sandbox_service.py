"""SandboxService: the manual clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from credits.ledger.v1 import sandbox_service_pb2, sandbox_service_pb2_grpc
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.refusals import FieldRequired
from ledger_service.domain.refusals.service import ClockWouldGoBack
from ledger_service.rpc.calls import Context
from ledger_service.rpc.values import read_time, write_time

Advance = Callable[[datetime], None]
Sweep = Callable[[], Awaitable[int]]


class SandboxServicer(sandbox_service_pb2_grpc.SandboxServiceServicer):
    """Moves the clock of a sandbox, and settles idle wallets at once, as a sweeper would in time."""

    def __init__(self, writer: Writer, advance: Advance, sweep: Sweep) -> None:
        """Serve a manual clock through the writer, whose clock never goes back."""
        self._writer = writer
        self._advance = advance
        self._sweep = sweep

    async def GetClock(
        self, request: sandbox_service_pb2.GetClockRequest, context: Context
    ) -> sandbox_service_pb2.GetClockResponse:
        """Read the clock."""
        return sandbox_service_pb2.GetClockResponse(now=write_time(self._writer.now()))

    async def AdvanceClock(
        self, request: sandbox_service_pb2.AdvanceClockRequest, context: Context
    ) -> sandbox_service_pb2.AdvanceClockResponse:
        """Move the clock forward."""
        if not request.HasField("to_time"):
            raise FieldRequired("to_time is required", field="to_time")
        to_time = read_time(request.to_time, field="to_time")
        now = self._writer.now()
        if to_time < now:
            raise ClockWouldGoBack(f"to_time lies before the clock, {now.isoformat()}", field="to_time")
        self._advance(to_time)
        await self._sweep()
        return sandbox_service_pb2.AdvanceClockResponse(now=write_time(self._writer.now()))
