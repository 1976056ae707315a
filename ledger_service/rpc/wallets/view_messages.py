"""Wallets and grants as the views have them, written for the wire."""

from __future__ import annotations

from credits.ledger.v1 import wallet_pb2
from ledger_service.application.reading.view_ports import GrantView, WalletView
from ledger_service.rpc.part_names import write_part_name
from ledger_service.rpc.values import (
    CATEGORY_WIRE,
    SHORTFALL_WIRE,
    write_asset,
    write_money,
    write_time,
)
from ledger_service.rpc.wallets.sale_messages import write_sale_terms
from ledger_service.rpc.wallets.top_up_messages import GRANT_STATE_WIRE
from ledger_service.rpc.wallets.wallet_messages import write_recurrence


def write_wallet_view(wallet: WalletView) -> wallet_pb2.Wallet:
    """Return a wallet as the view has it."""
    return wallet_pb2.Wallet(
        name=wallet.name,
        customer=wallet.customer,
        asset=write_asset(wallet.asset),
        shortfall_mode=SHORTFALL_WIRE[wallet.shortfall_mode],
        overage_limit_units=wallet.overage_limit_units,
        contract=wallet.contract,
        open_time=write_time(wallet.open_time),
        version=wallet.version,
        burn_down_order=wallet.burn_down_order,
        entity=wallet.entity,
        close_time=None if wallet.close_time is None else write_time(wallet.close_time),
    )


def write_grant_view(grant: GrantView) -> wallet_pb2.Grant:
    """Return a grant as the view has it."""
    message = wallet_pb2.Grant(
        name=f"{grant.wallet}/grants/{grant.grant_version}",
        amount_units=grant.amount_units,
        category=CATEGORY_WIRE[grant.category],
        priority=grant.priority,
        scope=grant.scope,
        effective_time=write_time(grant.effective_time),
        reference=grant.reference,
        remaining_units=grant.remaining_units + grant.held_units,
        drawn_units=grant.drawn_units,
        expired_units=grant.expired_units,
        contract=grant.contract,
        held_units=grant.held_units,
        revoked_units=grant.revoked_units,
        rolled_over_units=grant.rolled_over_units,
        transferred_units=grant.transferred_units,
        transfer=grant.transfer,
        receivable=write_money(grant.receivable) if grant.receivable is not None else None,
        recurrence=write_recurrence(grant.recurrence) if grant.recurrence is not None else None,
        pending=grant.payment_state == "PENDING",
        state=GRANT_STATE_WIRE[grant.payment_state],
    )
    if grant.top_up_version:
        message.top_up = write_part_name(grant.wallet, "topUps", grant.top_up_version)
    if grant.purchase_version:
        message.purchase = write_part_name(grant.wallet, "grants", grant.purchase_version)
    if grant.compensates_version:
        message.compensates = write_part_name(grant.wallet, "debits", grant.compensates_version)
    if grant.expire_time is not None:
        message.expire_time.CopyFrom(write_time(grant.expire_time))
    if grant.consideration is not None:
        message.consideration.CopyFrom(write_money(grant.consideration))
    if grant.finance is not None:
        message.finance.CopyFrom(write_sale_terms(grant.finance))
    return message
