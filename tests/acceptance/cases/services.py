"""The running services as a caller reaches them: stubs, typed refusals and bounded retries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from credits.ledger.v1 import (
    contract_service_pb2_grpc,
    finance_service_pb2_grpc,
    history_service_pb2,
    history_service_pb2_grpc,
    rate_card_service_pb2_grpc,
    sandbox_service_pb2,
    sandbox_service_pb2_grpc,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
)
from credits.rating.v1 import invoice_service_pb2_grpc, rating_service_pb2_grpc
from tests.acceptance.cases.fields import timestamp

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

TRANSIENT: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED}
)
ATTEMPTS_MAX: Final = 40
PAUSE_MILLISECONDS: Final = 100
BEYOND_ALL: Final = 2**62
"""A position that no log reaches."""
MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Largest answer: a batch of 5,000 charges with their lines is a few megabytes."""


class Refused(Exception):
    """A service said no. `reason` is the stable one of its ErrorInfo, or the status code."""

    def __init__(self, method: str, reason: str, text: str, *, not_offered: bool = False) -> None:
        """Keep what was said, and whether the service does not have the method at all."""
        super().__init__(f"{reason}: {text}")
        self.method = method
        self.reason = reason
        self.not_offered = not_offered

    @classmethod
    def by_status(cls, method: str, status: status_pb2.Status) -> Refused:
        """Return what the status of one item of a batch says."""
        return cls(method, reason_of(status) or f"code {status.code}", status.message)


class Services:
    """Stubs of both services."""

    def __init__(self, ledger: grpc.aio.Channel, rating: grpc.aio.Channel) -> None:
        """Call nothing yet."""
        self.wallets = wallet_service_pb2_grpc.WalletServiceStub(ledger)
        self.rate_cards = rate_card_service_pb2_grpc.RateCardServiceStub(ledger)
        self.contracts = contract_service_pb2_grpc.ContractServiceStub(ledger)
        self.history = history_service_pb2_grpc.HistoryServiceStub(ledger)
        self.finance = finance_service_pb2_grpc.FinanceServiceStub(ledger)
        self.sandbox = sandbox_service_pb2_grpc.SandboxServiceStub(ledger)
        self.rating = rating_service_pb2_grpc.RatingServiceStub(rating)
        self.invoices = invoice_service_pb2_grpc.InvoiceServiceStub(rating)

    async def head_position(self) -> int:
        """Return the position of the ledger's newest event: a view that has seen it has seen all."""
        request = history_service_pb2.ReadEventsRequest(after=BEYOND_ALL, page_size=1)
        return (await call(self.history.ReadEvents, request)).head_position

    async def advance(self, instant: datetime) -> None:
        """Move the sandbox clock. What falls due meanwhile is found in the views: they see all first."""
        seen = wallet_service_pb2.ListWalletsRequest(page_size=1, min_position=await self.head_position())
        await call(self.wallets.ListWallets, seen)
        request = sandbox_service_pb2.AdvanceClockRequest(to_time=timestamp(instant))
        await call(self.sandbox.AdvanceClock, request)


@asynccontextmanager
async def connected(*, ledger_address: str, rating_address: str) -> AsyncIterator[Services]:
    """Lend the stubs of running services."""
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
    async with (
        grpc.aio.insecure_channel(ledger_address, options=options) as ledger,
        grpc.aio.insecure_channel(rating_address, options=options) as rating,
    ):
        yield Services(ledger, rating)


async def call(method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request) -> Response:
    """Return the answer; what may pass is tried again with the same request. Raises Refused."""
    name = type(request).__name__.removesuffix("Request")
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return await method(request)
        except grpc.aio.AioRpcError as failure:
            if failure.code() not in TRANSIENT or attempt == ATTEMPTS_MAX:
                raise _refused(name, failure) from None
        await asyncio.sleep(PAUSE_MILLISECONDS / 1000)
    raise AssertionError("the last attempt either returns or raises")


def _refused(method: str, failure: grpc.aio.AioRpcError) -> Refused:
    status = rpc_status.from_call(failure)  # type: ignore[arg-type] # the stub knows only blocking calls
    reason = (reason_of(status) if status is not None else "") or failure.code().name
    not_offered = failure.code() is grpc.StatusCode.UNIMPLEMENTED
    return Refused(method, reason, failure.details() or "", not_offered=not_offered)


def reason_of(status: status_pb2.Status) -> str:
    """Return the reason in a status, empty if it holds none."""
    info = error_details_pb2.ErrorInfo()
    return info.reason if any(detail.Unpack(info) for detail in status.details) else ""
