"""Decide: from a command and the states it touches to the events that it causes.

`streams_of` says which streams a command reads or writes, its own first; `decide` looks only at those.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from ledger_service.domain.agreement.plan import Contract, Plan, publish_plan, sign_contract
from ledger_service.domain.agreement.rate_card import RateCard, create_rate_card, publish_phase
from ledger_service.domain.commands import (
    ActivateGrant,
    AnyCommand,
    CaptureHold,
    CreateRateCard,
    Debit,
    ExtendGrant,
    GrantCredits,
    OpenWallet,
    PlaceHold,
    PublishPlan,
    PublishRateCardPhase,
    RefundGrant,
    ReleaseHold,
    RequestTopUp,
    ReverseDebit,
    RevokeGrant,
    SettleTopUp,
    SettleWallet,
    SignContract,
    UpdateWallet,
)
from ledger_service.domain.drafts import Draft
from ledger_service.domain.refusals import RateCardNotFound, WalletNotFound
from ledger_service.domain.streams import State
from ledger_service.domain.wallet.debit import debit
from ledger_service.domain.wallet.grant import grant, open_wallet
from ledger_service.domain.wallet.hold import capture_hold, place_hold, release_hold
from ledger_service.domain.wallet.pending_grant import activate_grant
from ledger_service.domain.wallet.reverse import reverse_debit
from ledger_service.domain.wallet.rules import update_wallet
from ledger_service.domain.wallet.settle import settle
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.top_up import request_top_up, settle_top_up, with_auto_top_up
from ledger_service.domain.wallet.withdraw import extend_grant, refund_grant, revoke_grant

WalletCommand = (
    PlaceHold
    | CaptureHold
    | ReleaseHold
    | ReverseDebit
    | RevokeGrant
    | RefundGrant
    | ExtendGrant
    | ActivateGrant
    | RequestTopUp
    | SettleTopUp
    | UpdateWallet
    | SettleWallet
)
States = Mapping[str, State | None]
S = TypeVar("S", Wallet, RateCard, Plan, Contract)


def streams_of(command: AnyCommand) -> tuple[str, ...]:
    """Return the streams that the command touches; the first is its own and scopes its idempotency key."""
    match command:
        case CreateRateCard() | PublishRateCardPhase():
            return (command.rate_card,)
        case PublishPlan():
            return (command.plan, *dict.fromkeys(phase.rate_card for phase in command.phases))
        case SignContract():
            return (command.contract, command.plan, command.wallet)
        case _:
            return (command.wallet,)


def decide(command: AnyCommand, states: States, now: datetime) -> list[Draft]:  # noqa: C901
    """Return the events that the command causes, in order. Raises Refusal, and then changes nothing."""
    match command:
        case Debit():
            wallet = _wallet(states, command.wallet, field="name")
            drafts = debit(wallet, command, now)
            if wallet.rules.auto_top_up is None:
                return drafts
            return with_auto_top_up(command.wallet, wallet, drafts, now)
        case GrantCredits():
            return grant(_wallet(states, command.wallet, field="name"), command, now)
        case (
            PlaceHold()
            | CaptureHold()
            | ReleaseHold()
            | ReverseDebit()
            | RevokeGrant()
            | RefundGrant()
            | ExtendGrant()
            | ActivateGrant()
            | RequestTopUp()
            | SettleTopUp()
            | UpdateWallet()
            | SettleWallet()
        ):
            wallet = _wallet(states, command.wallet, field="name")
            drafts = _decide_wallet(wallet, command, now)
            if isinstance(command, SettleWallet):
                return drafts
            # An update may be what brings the rule.
            if wallet.rules.auto_top_up is None and not isinstance(command, UpdateWallet):
                return drafts
            return with_auto_top_up(command.wallet, wallet, drafts, now)
        case OpenWallet():
            drafts = open_wallet(_typed(states, command.wallet, Wallet), command, now)
            return with_auto_top_up(command.wallet, None, drafts, now)
        case CreateRateCard():
            return create_rate_card(_typed(states, command.rate_card, RateCard), command, now)
        case PublishRateCardPhase():
            return publish_phase(_card(states, command.rate_card), command, now)
        case PublishPlan():
            cards = {phase.rate_card: _typed(states, phase.rate_card, RateCard) for phase in command.phases}
            return publish_plan(_typed(states, command.plan, Plan), cards, command, now)
        case SignContract():
            return sign_contract(
                _typed(states, command.contract, Contract),
                _typed(states, command.plan, Plan),
                _wallet(states, command.wallet, field="contract.wallet"),
                command,
                now,
            )


def _decide_wallet(wallet: Wallet, command: WalletCommand, now: datetime) -> list[Draft]:  # noqa: C901
    match command:
        case PlaceHold():
            return place_hold(wallet, command, now)
        case CaptureHold():
            return capture_hold(wallet, command, now)
        case ReleaseHold():
            return release_hold(wallet, command, now)
        case ReverseDebit():
            return reverse_debit(wallet, command, now)
        case RevokeGrant():
            return revoke_grant(wallet, command, now)
        case RefundGrant():
            return refund_grant(wallet, command, now)
        case ExtendGrant():
            return extend_grant(wallet, command, now)
        case ActivateGrant():
            return activate_grant(wallet, command, now)
        case RequestTopUp():
            return request_top_up(wallet, command, now)
        case SettleTopUp():
            return settle_top_up(wallet, command, now)
        case UpdateWallet():
            return update_wallet(wallet, command, now)
        case SettleWallet():
            return settle(command.wallet, wallet, now)


def _typed(states: States, stream: str, kind: type[S]) -> S | None:
    state = states[stream]
    assert state is None or isinstance(state, kind), f"{stream} does not fold into {kind.__name__}"
    return state


def _wallet(states: States, name: str, *, field: str) -> Wallet:
    wallet = states[name]
    if wallet is None:
        raise WalletNotFound(f"{name} does not exist", field=field)
    assert isinstance(wallet, Wallet)
    return wallet


def _card(states: States, name: str) -> RateCard:
    card = _typed(states, name, RateCard)
    if card is None:
        raise RateCardNotFound(f"{name} does not exist", field="name")
    return card
