"""The method of WalletService that takes a stream of debits.

Each debit that is read becomes a task of its own at once, so that debits are decided in the order read and no
client that goes can take one back. What is read and not yet answered is bounded: beyond it the server stops
reading, and the transport makes the client wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from credits.ledger.v1 import wallet_service_pb2
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import Request
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.refusals.service import NotServing
from ledger_service.rpc.calls import Context, actor_of
from ledger_service.rpc.refusal_status import status_of
from ledger_service.rpc.wallets.debit_messages import write_debit_response
from ledger_service.rpc.wallets.wallet_requests import read_debit

DEBITS_IN_FLIGHT_MAX: Final = 1_000
"""Debits of one stream read and not yet answered: what a client can have in one commit, about 0.5 MB."""
POSITION_MAX: Final = 2**63 - 1
"""No log comes this far: who waits for it waits for the end of serving."""

Messages = AsyncIterator[wallet_service_pb2.StreamDebitsRequest]
Item = tuple[int, asyncio.Task[Outcome | Refusal]]
"""A debit's sequence and what becomes of it."""


class DebitStreamMethods:
    """Part of the WalletServicer."""

    _writer: Writer

    async def StreamDebits(
        self, requests: Messages, context: Context
    ) -> AsyncGenerator[wallet_service_pb2.StreamDebitsResponse, None]:
        """Consume credit for usages as they come, answered in their order."""
        intake = _Intake(self._writer, requests, actor_of(context))
        reading = asyncio.create_task(intake.read(), name="debit stream")
        draining = asyncio.create_task(self._writer.wait_beyond(POSITION_MAX), name="end of debit stream")
        draining.add_done_callback(lambda _: reading.cancel())
        try:
            async for sequence, answer in intake.answers():
                yield _write_answer(sequence, answer)
            if not reading.cancelled():
                reading.result()
        finally:
            draining.cancel()
            reading.cancel()
        if reading.cancelled() or not self._writer.serving:
            raise NotServing("this instance no longer serves; send again what was not answered")


class _Intake:
    """What one stream has read and not yet answered."""

    def __init__(self, writer: Writer, requests: Messages, actor: str) -> None:
        self._writer = writer
        self._requests = requests
        self._actor = actor
        self._items: asyncio.Queue[Item | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(DEBITS_IN_FLIGHT_MAX)

    async def read(self) -> None:
        """Read until the client has sent its last, or until cancelled."""
        try:
            await self._room.acquire()
            async for message in self._requests:
                task = asyncio.create_task(self._debit(message.debit), name="streamed debit")
                self._items.put_nowait((message.sequence, task))
                await self._room.acquire()
        finally:
            self._items.put_nowait(None)

    async def answers(self) -> AsyncGenerator[tuple[int, Outcome | Refusal], None]:
        """Yield each sequence with its durable answer, in the order read."""
        while (item := await self._items.get()) is not None:
            sequence, task = item
            # Shielded: a client that goes cancels its stream, not a debit that was read.
            yield sequence, await asyncio.shield(task)
            self._room.release()

    async def _debit(self, request: wallet_service_pb2.DebitRequest) -> Outcome | Refusal:
        try:
            outcome = await self._writer.submit(
                Request(read_debit(request), request.idempotency_key, self._actor)
            )
        except Refusal as refusal:
            return refusal
        assert outcome is not None, "a debit records something"
        return outcome


def _write_answer(sequence: int, answer: Outcome | Refusal) -> wallet_service_pb2.StreamDebitsResponse:
    if isinstance(answer, Refusal):
        return wallet_service_pb2.StreamDebitsResponse(sequence=sequence, error=status_of(answer))
    return wallet_service_pb2.StreamDebitsResponse(sequence=sequence, response=write_debit_response(answer))
