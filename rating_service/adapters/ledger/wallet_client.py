"""Holds and standings of wallets over gRPC."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

import grpc
from google.rpc import error_details_pb2, status_pb2

from credits.ledger.v1 import wallet_caps_pb2, wallet_service_pb2, wallet_service_pb2_grpc
from rating_service.adapters.ledger.ledger_client import call_ledger
from rating_service.adapters.ledger.ledger_messages import instant, write_charge
from rating_service.application.authorizing.authorization_ports import (
    CaptureOrder,
    Held,
    HoldOrder,
    OverHold,
    Released,
    WalletStanding,
)
from rating_service.application.ports import LedgerRefused, Posted
from rating_service.domain.authorizing.authorization import (
    CapStanding,
    Denial,
    DenialReason,
    EntitlementStanding,
)

DENIALS: Final = {
    "SPEND_CAP_EXCEEDED": DenialReason.SPEND_CAP,
    "BUDGET_EXCEEDED": DenialReason.BUDGET,
    "INSUFFICIENT_CREDIT": DenialReason.INSUFFICIENT_CREDIT,
}
"""Refusals of a hold that are an answer to Authorize, by the ledger's reason."""
OVER_HOLD: Final = {
    OverHold.UNSPECIFIED: wallet_service_pb2.OVER_HOLD_UNSPECIFIED,
    OverHold.REJECT: wallet_service_pb2.OVER_HOLD_REJECT,
    OverHold.EXTRA_IF_AVAILABLE: wallet_service_pb2.OVER_HOLD_EXTRA_IF_AVAILABLE,
}


class WalletClient:
    """WalletHolds over a channel. A capture's answer is the pair (Debit, Charge) of messages."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Call over a channel."""
        self._wallets = wallet_service_pb2_grpc.WalletServiceStub(channel)

    async def hold(self, order: HoldOrder, now: datetime) -> Held | Denial:
        """Place a hold, or return why not. Raises LedgerRefused, LedgerUnavailableError."""
        request = wallet_service_pb2.HoldRequest(
            name=order.wallet,
            idempotency_key=order.key,
            amount_units=order.amount_units,
            estimate_of=order.estimate_of,
            feature=order.spender.feature,
            api_key=order.spender.api_key,
            user=order.spender.user,
        )
        if order.ttl is not None:
            request.ttl.FromTimedelta(order.ttl)
        try:
            answer = await call_ledger(self._wallets.Hold, request)
        except LedgerRefused as refused:
            denial = _denial(refused.status, now, order.amount_units)
            if denial is None:
                raise
            return denial
        return Held(answer.hold.name, instant(answer.hold.create_time))

    async def capture(self, order: CaptureOrder) -> Posted:
        """Turn a hold into a debit. Raises LedgerRefused, LedgerUnavailableError."""
        request = wallet_service_pb2.CaptureHoldRequest(
            name=order.hold,
            idempotency_key=order.key,
            over_hold=OVER_HOLD[order.over_hold],
            allow_late=order.allow_late,
        )
        write_charge(request.charge, order.charge)
        answer = await call_ledger(self._wallets.CaptureHold, request)
        charge = answer.debit.charge if answer.replayed else request.charge
        return Posted((answer.debit, charge), answer.replayed, answer.position)

    async def release(self, hold: str, *, key: str) -> Released:
        """Give a hold back. Raises LedgerRefused, LedgerUnavailableError."""
        request = wallet_service_pb2.ReleaseHoldRequest(name=hold, idempotency_key=key)
        answer = await call_ledger(self._wallets.ReleaseHold, request)
        return Released(sum(draw.amount_units for draw in answer.returned), answer.replayed)

    async def standing(self, wallet: str, feature: str) -> WalletStanding:
        """Read what there is to spend; two calls side by side. Raises LedgerRefused, LedgerUnavailableError."""
        balance, read = await asyncio.gather(
            call_ledger(
                self._wallets.GetBalance, wallet_service_pb2.GetBalanceRequest(name=wallet, feature=feature)
            ),
            call_ledger(self._wallets.GetWallet, wallet_service_pb2.GetWalletRequest(name=wallet)),
        )
        return WalletStanding(
            balance.balance.available_units,
            [cap_standing(use) for use in read.cap_uses],
            EntitlementStanding(balance.balance.entitlement_units, balance.balance.entitlement_used_units),
        )


def cap_standing(use: wallet_caps_pb2.CapUse) -> CapStanding:
    """Return how a cap stands."""
    return CapStanding(
        limit_units=use.limit_units,
        used_units=use.used_units + use.held_units,
        remaining_units=use.remaining_units,
        budget=use.budget_id,
        api_key=use.api_key,
        user=use.user,
        feature=use.feature,
        period_end_time=instant(use.period_end_time) if use.HasField("period_end_time") else None,
    )


def _denial(status: status_pb2.Status, now: datetime, units: int) -> Denial | None:
    """Return the denial that a refusal means, None if it means another thing."""
    info = error_details_pb2.ErrorInfo()
    reason = next((DENIALS.get(info.reason) for detail in status.details if detail.Unpack(info)), None)
    if reason is None:
        return None
    return Denial(reason, status.message, wait=_wait(info, now, units))


def _wait(info: error_details_pb2.ErrorInfo, now: datetime, units: int) -> timedelta | None:
    """Return when a cap is whole again; None without a period, or if even then it had no room."""
    end = info.metadata.get("period_end_time")
    if not end or units > int(info.metadata.get("limit_units", "0")):
        return None
    return max(datetime.fromisoformat(end) - now, timedelta())
