"""How the demo reaches the services: over gRPC, as any caller would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple, cast

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from credits.ledger.v1 import (
    contract_service_pb2_grpc,
    finance_service_pb2_grpc,
    history_service_pb2_grpc,
    sandbox_service_pb2,
    sandbox_service_pb2_grpc,
    wallet_service_pb2_grpc,
)
from credits.rating.v1 import (
    invoice_service_pb2_grpc,
    rating_service_pb2_grpc,
    rerating_service_pb2_grpc,
)

CALL_SECONDS_MAX: Final = 60
"""Longest call of the demo; all but the verification take milliseconds."""
MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024


class DemoFailed(Exception):
    """The demo cannot go on; the text says why."""


class Services(NamedTuple):
    """The services that the demo calls."""

    wallets: wallet_service_pb2_grpc.WalletServiceStub
    contracts: contract_service_pb2_grpc.ContractServiceStub
    finance: finance_service_pb2_grpc.FinanceServiceStub
    history: history_service_pb2_grpc.HistoryServiceStub
    sandbox: sandbox_service_pb2_grpc.SandboxServiceStub
    rating: rating_service_pb2_grpc.RatingServiceStub
    invoices: invoice_service_pb2_grpc.InvoiceServiceStub
    reratings: rerating_service_pb2_grpc.ReratingServiceStub


@contextmanager
def open_services(*, ledger: str, rating: str) -> Iterator[Services]:
    """Lend the services at two addresses."""
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
    with (
        grpc.insecure_channel(ledger, options) as to_ledger,
        grpc.insecure_channel(rating, options) as to_rating,
    ):
        yield Services(
            wallet_service_pb2_grpc.WalletServiceStub(to_ledger),
            contract_service_pb2_grpc.ContractServiceStub(to_ledger),
            finance_service_pb2_grpc.FinanceServiceStub(to_ledger),
            history_service_pb2_grpc.HistoryServiceStub(to_ledger),
            sandbox_service_pb2_grpc.SandboxServiceStub(to_ledger),
            rating_service_pb2_grpc.RatingServiceStub(to_rating),
            invoice_service_pb2_grpc.InvoiceServiceStub(to_rating),
            rerating_service_pb2_grpc.ReratingServiceStub(to_rating),
        )


class SandboxClock:
    """The ledger's manual clock, which never goes back."""

    def __init__(self, services: Services, now: datetime) -> None:
        """Begin at the instant that the ledger was started with."""
        self._services = services
        self._now = now

    def advance(self, to_time: datetime) -> None:
        """Move the clock, unless it is there or later."""
        if to_time > self._now:
            request = sandbox_service_pb2.AdvanceClockRequest(to_time=stamp(to_time))
            self._services.sandbox.AdvanceClock(request, timeout=CALL_SECONDS_MAX)
            self._now = to_time


def stamp(instant: datetime) -> Timestamp:
    """Return an instant as a message."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def instant_of(message: Timestamp) -> datetime:
    """Return a message as an instant."""
    return message.ToDatetime(tzinfo=UTC)


def reason_of(status: status_pb2.Status) -> str:
    """Return the stable reason of a refusal, "" if it has none."""
    info = error_details_pb2.ErrorInfo()
    return info.reason if any(detail.Unpack(info) for detail in status.details) else ""


def failure_line(failure: grpc.RpcError) -> str:
    """Return one line about a failed call: code, reason and text."""
    call = cast(grpc.Call, failure)  # which it is; the stubs know only its base
    status = rpc_status.from_call(call)
    reason = f" {reason_of(status)}" if status is not None else ""
    return f"{call.code().name}{reason}: {call.details()}"
