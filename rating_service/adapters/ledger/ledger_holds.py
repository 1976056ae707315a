"""The ledger's holds over gRPC, sent again while the ledger is away like every other command."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration

from credits.ledger.v1 import wallet_service_pb2, wallet_service_pb2_grpc
from rating_service.adapters.ledger.ledger_client import call_ledger
from rating_service.adapters.ledger.ledger_messages import instant, write_charge
from rating_service.application.metering.stream_ports import Placed
from rating_service.application.ports import LedgerRefused, Order, Posted
from rating_service.domain.usage_stream import Holder

ENDED: Final = frozenset({grpc.StatusCode.NOT_FOUND.value[0], grpc.StatusCode.FAILED_PRECONDITION.value[0]})
"""Codes with which the ledger refuses to release a hold that was captured, released or is over."""


class LedgerHolds:
    """Holds over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Call over a channel."""
        self._wallets = wallet_service_pb2_grpc.WalletServiceStub(channel)

    async def place(self, holder: Holder, *, key: str, amount_units: int, ttl: timedelta) -> Placed:
        """Hold units for an answer; again with the same key gives the same hold."""
        lifetime = Duration()
        lifetime.FromTimedelta(ttl)
        request = wallet_service_pb2.HoldRequest(
            name=holder.wallet,
            idempotency_key=key,
            amount_units=amount_units,
            ttl=lifetime,
            feature=holder.feature,
            api_key=holder.api_key,
            user=holder.user,
        )
        hold = (await call_ledger(self._wallets.Hold, request)).hold
        return Placed(hold.name, instant(hold.expire_time))

    async def capture(self, hold: str, order: Order) -> Posted:
        """Turn a hold into the debit of an order, under the usage's id."""
        request = wallet_service_pb2.CaptureHoldRequest(name=hold, idempotency_key=order.usage)
        write_charge(request.charge, order.charge)
        answer = await call_ledger(self._wallets.CaptureHold, request)
        charge = answer.debit.charge if answer.replayed else request.charge
        return Posted((answer.debit, charge), answer.replayed, answer.position)

    async def release(self, hold: str) -> None:
        """Give a hold back. One that has ended is left as it is."""
        request = wallet_service_pb2.ReleaseHoldRequest(name=hold, idempotency_key=f"{hold}/release")
        try:
            await call_ledger(self._wallets.ReleaseHold, request)
        except LedgerRefused as refused:
            if refused.status.code not in ENDED:
                raise
