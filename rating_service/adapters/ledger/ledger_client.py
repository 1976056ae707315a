"""The ledger over gRPC.

A call that fails with UNAVAILABLE is sent again, a few times: every command carries an idempotency key, so
the second attempt gives the first one's answer. All other failures are the ledger's word and passed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from credits.ledger.v1 import (
    history_service_pb2,
    history_service_pb2_grpc,
    meter_totals_pb2,
    sandbox_service_pb2,
    sandbox_service_pb2_grpc,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
)
from rating_service.adapters.ledger.ledger_messages import instant, read_total, write_debit
from rating_service.application.ports import (
    HistoryPage,
    LedgerEvent,
    LedgerRefused,
    LedgerUnavailableError,
    Order,
    Posted,
)
from rating_service.domain.price_models.running_total import RunningTotal
from rating_service.domain.prices.cycle_totals import MeterKey, key_of

T = TypeVar("T")
Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer", bound=Message)

ATTEMPTS_MAX: Final = 4
RETRY_SECONDS: Final = 0.05
"""Pause before the second attempt; each further one doubles it."""
CALL_SECONDS_MAX: Final = 30.0
BATCH_BYTES_MAX: Final = 3 * 1024 * 1024
"""Largest request sent at once, below the 4 MiB that a gRPC server takes by default."""
_ABORTED: Final[int] = grpc.StatusCode.ABORTED.value[0]
BEYOND_HEAD: Final = 2**63 - 1
"""No log is that long: reading after it gives its head and no event."""


class LedgerClient:
    """Ledger and Clock over a channel. An order's answer is the pair (Debit, Charge) of messages."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Call over a channel."""
        self._wallets = wallet_service_pb2_grpc.WalletServiceStub(channel)
        self._history = history_service_pb2_grpc.HistoryServiceStub(channel)
        self._sandbox = sandbox_service_pb2_grpc.SandboxServiceStub(channel)

    async def debit(self, order: Order, *, delivered: bool) -> Posted:
        """Post one order. Raises LedgerRefused, LedgerUnavailableError."""
        request = wallet_service_pb2.DebitRequest()
        write_debit(request, order, delivered=delivered)
        return _posted(request, await call_ledger(self._wallets.Debit, request))

    async def debit_many(self, orders: Sequence[Order], *, delivered: bool) -> list[Posted | LedgerRefused]:
        """Post orders in their sequence and return one outcome each, in the same sequence.

        One call, unless it exceeded BATCH_BYTES_MAX. Raises LedgerRefused, LedgerUnavailableError.
        """
        whole = wallet_service_pb2.BatchDebitRequest()
        add_request = whole.requests.add
        for order in orders:
            write_debit(add_request(), order, delivered=delivered)
        outcomes: list[Posted | LedgerRefused] = []
        for batch in _batches(whole):
            answer = await call_ledger(self._wallets.BatchDebit, batch)
            if len(answer.results) != len(batch.requests):
                raise LedgerUnavailableError("the ledger answered another number of items than it was sent")
            outcomes += map(_outcome, batch.requests, answer.results)
        return outcomes

    async def meter_totals(self, wallet: str) -> dict[MeterKey, RunningTotal]:
        """Return what a wallet has counted. Raises LedgerRefused, LedgerUnavailableError."""
        request = meter_totals_pb2.GetMeterTotalsRequest(name=wallet)
        answer = await call_ledger(self._wallets.GetMeterTotals, request)
        return {
            key_of(each.contract, read_total(each.total)): RunningTotal(
                each.total.quantity, each.total.usages
            )
            for each in answer.totals
        }

    async def head_position(self) -> int:
        """Return the position of the newest event. Raises LedgerRefused, LedgerUnavailableError."""
        request = history_service_pb2.ReadEventsRequest(after=BEYOND_HEAD, page_size=1)
        return (await call_ledger(self._history.ReadEvents, request)).head_position

    async def follow(self, after: int) -> AsyncGenerator[HistoryPage, None]:
        """Yield pages of the log after a position, for ever. Raises LedgerRefused, LedgerUnavailableError."""
        request = history_service_pb2.FollowEventsRequest(after_position=after)
        call = self._history.FollowEvents(request)
        try:
            async for message in call:
                events = [
                    LedgerEvent(event.position, event.stream, event.version, event.topic, event.state)
                    for event in message.events
                ]
                yield HistoryPage(events, message.position, message.head_position)
        except grpc.aio.AioRpcError as failure:
            raise _failure(failure) from None
        finally:
            call.cancel()

    async def now(self) -> datetime:
        """Return the time of the sandbox. Raises LedgerRefused, LedgerUnavailableError."""
        answer = await call_ledger(self._sandbox.GetClock, sandbox_service_pb2.GetClockRequest())
        return instant(answer.now)


async def call_ledger(method: Callable[..., Awaitable[Answer]], request: Message) -> Answer:
    """Call a method, again while the ledger is away. Raises LedgerRefused, LedgerUnavailableError."""
    for attempt in range(ATTEMPTS_MAX):
        try:
            return await method(request, timeout=CALL_SECONDS_MAX)
        except grpc.aio.AioRpcError as failure:
            if failure.code() is not grpc.StatusCode.UNAVAILABLE or attempt == ATTEMPTS_MAX - 1:
                raise _failure(failure) from None
        await asyncio.sleep(RETRY_SECONDS * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def _failure(failure: grpc.aio.AioRpcError) -> LedgerRefused | LedgerUnavailableError:
    """Return what a failed call means: the ledger's own refusal if it explains itself.

    One that does not serve explains that too, and so does one that does not know what it has stored: it is away.
    """
    status = rpc_status.from_call(failure)  # type: ignore[arg-type] # the stub knows only blocking calls
    if status is not None and status.details and failure.code() is not grpc.StatusCode.UNAVAILABLE:
        return _refused(status)
    return LedgerUnavailableError(f"the ledger answered {failure.code().name}")


def _batches(whole: wallet_service_pb2.BatchDebitRequest) -> list[wallet_service_pb2.BatchDebitRequest]:
    """Return a batch in parts of at most BATCH_BYTES_MAX, one request at least; usually the batch itself."""
    if len(whole.requests) == 1 or whole.ByteSize() <= BATCH_BYTES_MAX:
        return [whole]
    middle = len(whole.requests) // 2
    halves = whole.requests[:middle], whole.requests[middle:]
    return [part for half in halves for part in _batches(wallet_service_pb2.BatchDebitRequest(requests=half))]


def _outcome(
    request: wallet_service_pb2.DebitRequest, result: wallet_service_pb2.BatchDebitResult
) -> Posted | LedgerRefused:
    if result.HasField("response"):
        return _posted(request, result.response)
    return _refused(result.error)


def _refused(status: status_pb2.Status) -> LedgerRefused:
    """Return a refusal, with the true totals if it tells them; it passes if the ledger says when to come back."""
    stale = meter_totals_pb2.StaleTotals()
    if status.code == _ABORTED and any(detail.Unpack(stale) for detail in status.details):
        return LedgerRefused(status, [read_total(total) for total in stale.totals])
    retry = error_details_pb2.RetryInfo()
    return LedgerRefused(status, is_passing=any(detail.Unpack(retry) for detail in status.details))


def _posted(request: wallet_service_pb2.DebitRequest, answer: wallet_service_pb2.DebitResponse) -> Posted:
    debit = answer.debit
    charge = debit.charge if answer.replayed else request.charge
    return Posted((debit, charge), answer.replayed, answer.position)
