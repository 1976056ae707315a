"""Balances and holds, written for the wire."""

from __future__ import annotations

from credits.ledger.v1 import wallet_pb2
from ledger_service.application.reading.balance import Balance
from ledger_service.domain.wallet.burn_down import Lot
from ledger_service.domain.wallet.state import Hold
from ledger_service.rpc.part_names import write_part_name
from ledger_service.rpc.values import CATEGORY_WIRE, write_asset, write_money, write_time
from ledger_service.rpc.wallets.debit_messages import write_draws
from ledger_service.rpc.wallets.top_up_messages import write_open_top_ups


def write_balance(balance: Balance) -> wallet_pb2.Balance:
    """Return a balance."""
    return wallet_pb2.Balance(
        name=balance.name,
        posted_units=balance.posted_units,
        held_units=balance.held_units,
        available_units=balance.available_units,
        pending_units=balance.pending_units,
        overage_units=balance.overage_units,
        debited_units=balance.debited_units,
        expired_units=balance.expired_units,
        lots=[_write_lot(balance.name, lot) for lot in balance.lots],
        as_of_time=write_time(balance.as_of_time),
        asset=write_asset(balance.asset),
        debt_units=balance.debt_units,
        revoked_units=balance.revoked_units,
        awaiting_payment_units=balance.awaiting_payment_units,
        open_top_ups=write_open_top_ups(balance),
        holds=[_write_hold(balance, hold) for hold in balance.holds],
        in_transit_units=balance.in_transit_units,
        receivables=[write_money(owed) for owed in balance.receivables],
        close_time=None if balance.close_time is None else write_time(balance.close_time),
        entitlement_units=balance.entitlement_units,
        entitlement_used_units=balance.entitlement_used_units,
    )


def _write_lot(wallet: str, lot: Lot) -> wallet_pb2.LotBalance:
    message = wallet_pb2.LotBalance(
        grant=write_part_name(wallet, "grants", lot.grant_version),
        posted_units=lot.remaining_units + lot.held_units,
        held_units=lot.held_units,
        effective_time=write_time(lot.effective_time),
        category=CATEGORY_WIRE[lot.category],
    )
    if lot.expire_time is not None:
        message.expire_time.CopyFrom(write_time(lot.expire_time))
    return message


def _write_hold(balance: Balance, hold: Hold) -> wallet_pb2.Hold:
    return wallet_pb2.Hold(
        name=write_part_name(balance.name, "holds", hold.hold_version),
        amount_units=sum(each.amount_units for each in hold.slices),
        slices=write_draws(balance.name, hold.slices),
        expire_time=write_time(hold.expire_time),
        feature=hold.feature,
        burn_down_order=balance.burn_down_order,
        api_key=hold.api_key,
        user=hold.user,
    )
