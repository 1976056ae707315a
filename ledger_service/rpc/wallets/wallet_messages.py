"""Wallets and grants, written for the wire."""

from __future__ import annotations

from credits.ledger.v1 import wallet_closing_pb2, wallet_pb2
from ledger_service.application.reading.balance import Balance
from ledger_service.application.writing.calls import Outcome
from ledger_service.domain.events import CreditsGranted, Recurrence, WalletClosed, WalletOpened, WalletUpdated
from ledger_service.domain.wallet.state import Wallet, policy_at
from ledger_service.rpc.part_names import write_part_name
from ledger_service.rpc.values import (
    CATEGORY_WIRE,
    SHORTFALL_WIRE,
    write_asset,
    write_money,
    write_time,
)
from ledger_service.rpc.wallets.rules_messages import write_rules
from ledger_service.rpc.wallets.sale_messages import write_sale_terms
from ledger_service.rpc.wallets.top_up_messages import write_open_top_ups


def write_opened(outcome: Outcome) -> wallet_pb2.Wallet:
    """Return the wallet that an OpenWallet recorded."""
    event = outcome.fact.event
    assert isinstance(event, WalletOpened)
    return wallet_pb2.Wallet(
        name=outcome.stream,
        customer=event.customer,
        asset=write_asset(event.asset),
        shortfall_mode=SHORTFALL_WIRE[event.shortfall_mode],
        overage_limit_units=event.overage_limit_units,
        open_time=write_time(outcome.fact.effective_time),
        version=outcome.version,
        burn_down_order=event.burn_down_order,
        rules=write_rules(event.rules),
        entity=event.entity,
    )


def write_updated(outcome: Outcome) -> wallet_pb2.Wallet:
    """Return what an UpdateWallet recorded."""
    event = outcome.fact.event
    assert isinstance(event, WalletUpdated)
    return wallet_pb2.Wallet(
        name=outcome.stream,
        shortfall_mode=SHORTFALL_WIRE[event.shortfall_mode],
        overage_limit_units=event.overage_limit_units,
        version=outcome.version,
        rules=write_rules(event.rules),
    )


def write_closed(outcome: Outcome) -> wallet_closing_pb2.CloseWalletResponse:
    """Return what a CloseWallet recorded."""
    event = outcome.fact.event
    assert isinstance(event, WalletClosed)
    return wallet_closing_pb2.CloseWalletResponse(
        close_time=write_time(outcome.fact.effective_time),
        forfeited_units=event.forfeited_units,
        replayed=outcome.replayed,
        position=outcome.position,
    )


def write_wallet(name: str, wallet: Wallet, version: int, balance: Balance) -> wallet_pb2.Wallet:
    """Return a wallet as it stands at the balance's instant."""
    policy = policy_at(wallet, balance.as_of_time)
    return wallet_pb2.Wallet(
        name=name,
        customer=wallet.customer,
        asset=write_asset(wallet.asset),
        shortfall_mode=SHORTFALL_WIRE[policy.shortfall_mode],
        overage_limit_units=policy.overage_limit_units,
        contract=policy.contract,
        open_time=write_time(wallet.open_time),
        version=version,
        burn_down_order=wallet.burn_down_order,
        entity=wallet.entity,
        rules=write_rules(wallet.rules),
        close_time=None if wallet.close_time is None else write_time(wallet.close_time),
        open_top_ups=write_open_top_ups(balance),
    )


def write_granted(outcome: Outcome) -> wallet_pb2.Grant:
    """Return the grant that a Grant recorded."""
    event = outcome.fact.event
    assert isinstance(event, CreditsGranted)
    grant = wallet_pb2.Grant(
        name=write_part_name(outcome.stream, "grants", outcome.version),
        amount_units=event.amount_units,
        category=CATEGORY_WIRE[event.category],
        priority=event.priority,
        scope=event.scope,
        effective_time=write_time(outcome.fact.effective_time),
        reference=event.reference,
        remaining_units=0 if event.pending else event.amount_units,
        pending=event.pending,
        state=wallet_pb2.GRANT_STATE_PENDING if event.pending else wallet_pb2.GRANT_STATE_ISSUED,
        contract=event.contract,
        recurrence=write_recurrence(event.recurrence) if event.recurrence is not None else None,
    )
    if event.purchase_version:
        grant.purchase = write_part_name(outcome.stream, "grants", event.purchase_version)
    if event.compensates_version:
        grant.compensates = write_part_name(outcome.stream, "debits", event.compensates_version)
    if event.expire_time is not None:
        grant.expire_time.CopyFrom(write_time(event.expire_time))
    if event.consideration is not None:
        grant.consideration.CopyFrom(write_money(event.consideration))
    if event.finance is not None:
        grant.finance.CopyFrom(write_sale_terms(event.finance))
    return grant


def write_recurrence(recurrence: Recurrence) -> wallet_pb2.Recurrence:
    """Return a recurrence; its count includes the periods that have passed."""
    left = recurrence.periods_left
    message = wallet_pb2.Recurrence(
        period=recurrence.period,
        zone=recurrence.zone,
        period_count=0 if left is None else recurrence.number + left,
    )
    if recurrence.periods_before is not None:
        message.anchor_time.CopyFrom(write_time(recurrence.anchor_time))
    roll_over = recurrence.roll_over
    if roll_over is not None:
        message.roll_over.CopyFrom(
            wallet_pb2.RollOver(
                percent=roll_over.percent, cap_units=roll_over.cap_units, times=roll_over.times_left
            )
        )
    return message
