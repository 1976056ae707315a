"""Included credit over the ledger's grants, sent again while the ledger is away like every other command.

Credit that ends with its cycle is granted as the one period of a recurring grant, whose periods are the contract's
cycles: then the ledger itself rolls it over at the cycle's end, at the instant and in the order of everything that
time does to a wallet. Credit that rolls nothing over is a plain grant.
"""

from __future__ import annotations

from typing import Final

import grpc
from google.rpc import error_details_pb2, status_pb2

from credits.ledger.v1 import wallet_pb2, wallet_service_pb2, wallet_service_pb2_grpc
from rating_service.adapters.ledger.ledger_client import call_ledger
from rating_service.application.invoicing.billing_ports import GrantOrder
from rating_service.application.ports import LedgerRefused
from rating_service.domain.agreements.agreement import Cycle, CycleInterval, IncludedRollOver

NOTHING_LEFT: Final = "GRANT_NOT_ACTIVE"
PERIOD_LETTERS: Final = {
    CycleInterval.DAY: "D",
    CycleInterval.WEEK: "W",
    CycleInterval.MONTH: "M",
    CycleInterval.YEAR: "Y",
}


class LedgerGrants:
    """IncludedGrants over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Call over a channel."""
        self._wallets = wallet_service_pb2_grpc.WalletServiceStub(channel)

    async def grant(self, order: GrantOrder) -> str:
        """Grant credit and return the grant's name; again with the same key returns the same grant."""
        request = wallet_service_pb2.GrantRequest(
            name=order.wallet, idempotency_key=order.key, grant=grant_message(order)
        )
        answer = await call_ledger(self._wallets.Grant, request)
        name: str = answer.grant.name
        return name

    async def withdraw(self, grant: str, *, key: str, goes_on: bool) -> int:
        """Withdraw what is left of a grant, 0 if nothing is, and return how much that was; again returns the same."""
        request = wallet_service_pb2.RevokeGrantRequest(
            name=grant,
            idempotency_key=key,
            reason="the contract includes other credit now",
            goes_on=goes_on,
        )
        try:
            answer = await call_ledger(self._wallets.RevokeGrant, request)
        except LedgerRefused as refused:
            if not _says_nothing_left(refused.status):
                raise
            return 0
        units: int = answer.revoked_units
        return units


def _says_nothing_left(status: status_pb2.Status) -> bool:
    info = error_details_pb2.ErrorInfo()
    return any(detail.Unpack(info) and info.reason == NOTHING_LEFT for detail in status.details)


def grant_message(order: GrantOrder) -> wallet_pb2.Grant:
    """Return the grant of an allotment."""
    allotment = order.allotment
    grant = wallet_pb2.Grant(
        amount_units=order.amount_units,
        category=wallet_pb2.GRANT_CATEGORY_INCLUDED,
        contract=order.contract,
        reference=f"included in the cycle from {allotment.cycle.start_time:%Y-%m-%d}",
    )
    grant.effective_time.FromDatetime(allotment.from_time)
    if allotment.roll_over is None:
        grant.expire_time.FromDatetime(allotment.expire_time)
    else:
        grant.recurrence.CopyFrom(recurrence_message(order.cycle, allotment.roll_over))
    return grant


def recurrence_message(cycle: Cycle, roll_over: IncludedRollOver) -> wallet_pb2.Recurrence:
    """Return the recurrence whose periods are the cycles of a contract, and which has only one."""
    moved = wallet_pb2.RollOver(percent=roll_over.percent, times=roll_over.times)
    if roll_over.cap_units:
        moved.cap_units = roll_over.cap_units
    message = wallet_pb2.Recurrence(
        period=f"P{cycle.count}{PERIOD_LETTERS[cycle.interval]}",
        zone=cycle.zone,
        period_count=1,
        roll_over=moved,
    )
    message.anchor_time.FromDatetime(cycle.anchor_time)
    return message
