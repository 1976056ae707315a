"""Balances of wallets over gRPC, as reports show them."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc

from credits.ledger.v1 import wallet_pb2, wallet_service_pb2, wallet_service_pb2_grpc
from rating_service.adapters.ledger.ledger_client import call_ledger
from rating_service.adapters.ledger.ledger_messages import instant
from rating_service.adapters.ledger.wallet_client import cap_standing
from rating_service.domain.agreements.agreement import Asset
from rating_service.domain.debits import GrantCategory
from rating_service.domain.reports.remaining_credit import LotLeft, WalletBalance

CATEGORIES: Final = {
    wallet_pb2.GRANT_CATEGORY_PAID: GrantCategory.PAID,
    wallet_pb2.GRANT_CATEGORY_PROMOTIONAL: GrantCategory.PROMOTIONAL,
    wallet_pb2.GRANT_CATEGORY_INCLUDED: GrantCategory.INCLUDED,
}


class BalanceClient:
    """WalletBalances over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Call over a channel."""
        self._wallets = wallet_service_pb2_grpc.WalletServiceStub(channel)

    async def balance(self, wallet: str) -> WalletBalance:
        """Return a balance, true now; two calls side by side. Raises LedgerRefused, LedgerUnavailableError."""
        told, read = await asyncio.gather(
            call_ledger(self._wallets.GetBalance, wallet_service_pb2.GetBalanceRequest(name=wallet)),
            call_ledger(self._wallets.GetWallet, wallet_service_pb2.GetWalletRequest(name=wallet)),
        )
        balance = told.balance
        return WalletBalance(
            wallet=wallet,
            asset=Asset(balance.asset.code, balance.asset.scale),
            as_of_time=instant(balance.as_of_time),
            posted_units=balance.posted_units,
            held_units=balance.held_units,
            available_units=balance.available_units,
            pending_units=balance.pending_units,
            overage_units=balance.overage_units,
            debt_units=balance.debt_units,
            lots=tuple(map(_lot, balance.lots)),
            caps=tuple(map(cap_standing, read.cap_uses)),
        )


def _lot(lot: wallet_pb2.LotBalance) -> LotLeft:
    return LotLeft(
        grant_version=int(lot.grant.rpartition("/")[2]),
        category=CATEGORIES[lot.category],
        posted_units=lot.posted_units,
        held_units=lot.held_units,
        effective_time=instant(lot.effective_time),
        expire_time=instant(lot.expire_time) if lot.HasField("expire_time") else None,
    )
