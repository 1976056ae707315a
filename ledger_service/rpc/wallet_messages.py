"""Wallets, grants, debits and balances, written for the wire."""

from __future__ import annotations

from credits.ledger.v1 import wallet_pb2, wallet_service_pb2
from ledger_service.application.balance import Balance
from ledger_service.application.calls import Outcome
from ledger_service.domain.events import Charge, CreditsDebited, CreditsGranted, WalletOpened
from ledger_service.domain.wallet import Wallet, policy_at
from ledger_service.rpc.values import (
    CATEGORY_WIRE,
    SHORTFALL_WIRE,
    write_asset,
    write_money,
    write_time,
    write_unit_price,
)


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
    )


def write_granted(outcome: Outcome) -> wallet_pb2.Grant:
    """Return the grant that a Grant recorded."""
    event = outcome.fact.event
    assert isinstance(event, CreditsGranted)
    grant = wallet_pb2.Grant(
        name=f"{outcome.stream}/grants/{outcome.version}",
        amount_units=event.amount_units,
        category=CATEGORY_WIRE[event.category],
        priority=event.priority,
        scope=event.scope,
        effective_time=write_time(outcome.fact.effective_time),
        reference=event.reference,
        remaining_units=event.amount_units,
        contract=event.contract,
    )
    if event.expire_time is not None:
        grant.expire_time.CopyFrom(write_time(event.expire_time))
    if event.consideration is not None:
        grant.consideration.CopyFrom(write_money(event.consideration))
    return grant


def write_debit_response(outcome: Outcome) -> wallet_service_pb2.DebitResponse:
    """Return the answer to a Debit."""
    fact = outcome.fact
    event = fact.event
    assert isinstance(event, CreditsDebited)
    stream = outcome.stream
    debit = wallet_pb2.Debit(
        name=f"{stream}/debits/{outcome.version}",
        amount_units=event.amount_units,
        overage_units=event.overage_units,
        draws=[
            wallet_pb2.Draw(grant=f"{stream}/grants/{draw.grant_version}", amount_units=draw.amount_units)
            for draw in event.draws
        ],
        effective_time=write_time(fact.effective_time),
        record_time=write_time(fact.record_time),
        feature=event.feature,
        burn_down_order=event.burn_down_order,
    )
    if outcome.replayed and event.charge is not None:
        debit.charge.CopyFrom(write_charge(event.charge))
    return wallet_service_pb2.DebitResponse(debit=debit, replayed=outcome.replayed, position=outcome.position)


def write_charge(charge: Charge) -> wallet_pb2.Charge:
    """Return a recorded charge."""
    lines = [
        wallet_pb2.ChargeLine(
            dimension=line.dimension,
            quantity=line.quantity,
            unit_size=line.unit_size,
            unit_price=line.unit_price,
            multiplier=line.multiplier,
            exact_units=line.exact_units,
        )
        for line in charge.lines
    ]
    message = wallet_pb2.Charge(
        contract=charge.contract,
        contract_phase=charge.contract_phase,
        rate_card_phase=charge.rate_card_phase,
        phase_hash=charge.phase_hash,
        properties=charge.properties,
        lines=lines,
        exact_units=charge.exact_units,
    )
    if charge.overage_price is not None:
        message.overage_price.CopyFrom(write_unit_price(charge.overage_price))
    return message


def write_balance(balance: Balance) -> wallet_pb2.Balance:
    """Return a balance."""
    lots = []
    for lot in balance.lots:
        message = wallet_pb2.LotBalance(
            grant=f"{balance.name}/grants/{lot.grant_version}",
            posted_units=lot.remaining_units,
            effective_time=write_time(lot.effective_time),
            category=CATEGORY_WIRE[lot.category],
        )
        if lot.expire_time is not None:
            message.expire_time.CopyFrom(write_time(lot.expire_time))
        lots.append(message)
    return wallet_pb2.Balance(
        name=balance.name,
        posted_units=balance.posted_units,
        held_units=balance.held_units,
        available_units=balance.available_units,
        pending_units=balance.pending_units,
        overage_units=balance.overage_units,
        debited_units=balance.debited_units,
        expired_units=balance.expired_units,
        lots=lots,
        as_of_time=write_time(balance.as_of_time),
        asset=write_asset(balance.asset),
    )
