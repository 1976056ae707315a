"""Decide: from a command and the states it touches to the events that it causes.

`streams_of` says which streams a command reads or writes, its own first; `decide` looks only at those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from ledger_service.domain.agreement.billing import record_credit_note, record_invoice
from ledger_service.domain.agreement.contract import Contract, sign_contract
from ledger_service.domain.agreement.contract_changes import (
    change_plan,
    end_contract,
    extend_trial,
    schedule_phase,
)
from ledger_service.domain.agreement.plan import Plan, publish_plan
from ledger_service.domain.agreement.rate_card import RateCard, create_rate_card, publish_phase
from ledger_service.domain.agreement.withdrawal import withdraw_phase
from ledger_service.domain.commands import (
    ActivateGrant,
    AnyCommand,
    CaptureHold,
    ChangePlan,
    ChargeBackGrant,
    CloseWallet,
    Command,
    CreateRateCard,
    Debit,
    DeclareBreakageRemote,
    EndContract,
    ExtendGrant,
    ExtendTrial,
    GrantCredits,
    OpenWallet,
    PlaceHold,
    PublishPlan,
    PublishRateCardPhase,
    ReceiveTransfer,
    RecordCreditNote,
    RecordEscheat,
    RecordInvoice,
    RefundGrant,
    ReleaseHold,
    RequestTopUp,
    ReturnTransfer,
    ReverseDebit,
    ReviseBreakageEstimate,
    RevokeGrant,
    ScheduleContractPhase,
    SettleRefund,
    SettleTopUp,
    SettleTransfer,
    SettleWallet,
    SignContract,
    TransferCredits,
    UpdateWallet,
    WithdrawRateCardPhase,
)
from ledger_service.domain.drafts import Draft
from ledger_service.domain.finance.decisions import FINANCE_COMMANDS, check_pool, decide_finance, stream_of
from ledger_service.domain.refusals import ContractNotFound, RateCardNotFound, WalletNotFound
from ledger_service.domain.streams import State
from ledger_service.domain.wallet.chargeback import charge_back_grant
from ledger_service.domain.wallet.closing import check_open, close_wallet
from ledger_service.domain.wallet.debit import debit
from ledger_service.domain.wallet.finance import (
    declare_remote,
    record_escheat,
    revise_estimate,
    settle_refund,
)
from ledger_service.domain.wallet.grant import grant, open_wallet
from ledger_service.domain.wallet.hold import capture_hold, place_hold, release_hold
from ledger_service.domain.wallet.pending_grant import activate_grant
from ledger_service.domain.wallet.reverse import reverse_debit
from ledger_service.domain.wallet.rules import update_wallet
from ledger_service.domain.wallet.settle import settle
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.top_up import request_top_up, settle_top_up, with_auto_top_up
from ledger_service.domain.wallet.transfer import (
    receive_transfer,
    return_transfer,
    settle_transfer,
    transfer,
)
from ledger_service.domain.wallet.withdraw import extend_grant, refund_grant, revoke_grant

Decide = Callable[[Wallet, Any, datetime], list[Draft]]
WALLET_DECISIONS: Final[dict[type[Command], Decide]] = {
    Debit: debit,
    GrantCredits: grant,
    PlaceHold: place_hold,
    CaptureHold: capture_hold,
    ReleaseHold: release_hold,
    ReverseDebit: reverse_debit,
    RevokeGrant: revoke_grant,
    RefundGrant: refund_grant,
    ExtendGrant: extend_grant,
    ActivateGrant: activate_grant,
    RequestTopUp: request_top_up,
    SettleTopUp: settle_top_up,
    ChargeBackGrant: charge_back_grant,
    TransferCredits: transfer,
    ReceiveTransfer: receive_transfer,
    SettleTransfer: settle_transfer,
    ReturnTransfer: return_transfer,
    UpdateWallet: update_wallet,
    CloseWallet: close_wallet,
    ReviseBreakageEstimate: revise_estimate,
    DeclareBreakageRemote: declare_remote,
    RecordEscheat: record_escheat,
    SettleRefund: settle_refund,
    SettleWallet: settle,
}
"""What is decided on the state of one wallet that exists."""
NOT_WHEN_CLOSED: Final = frozenset(
    {
        Debit,
        GrantCredits,
        PlaceHold,
        ExtendGrant,
        ActivateGrant,
        RequestTopUp,
        TransferCredits,
        ReceiveTransfer,
        UpdateWallet,
    }
)
"""Commands that add or use credit or give orders; usage that was delivered is recorded all the same."""
ContractCommand = ScheduleContractPhase | ExtendTrial | ChangePlan | EndContract
States = Mapping[str, State | None]
S = TypeVar("S", Wallet, RateCard, Plan, Contract)


def streams_of(command: AnyCommand) -> tuple[str, ...]:
    """Return the streams that the command touches; the first is its own and scopes its idempotency key."""
    if type(command) in WALLET_DECISIONS:
        # Asked first, for it is the path of every request.
        if isinstance(command, GrantCredits) and command.finance is not None and command.finance.pool:
            return (command.wallet, command.finance.pool)
        return (_wallet_of(command),)
    if isinstance(command, FINANCE_COMMANDS):
        return (stream_of(command),)
    match command:
        case CreateRateCard() | PublishRateCardPhase() | WithdrawRateCardPhase():
            return (command.rate_card,)
        case PublishPlan():
            return (command.plan, *dict.fromkeys(phase.rate_card for phase in command.phases))
        case SignContract() | ChangePlan():
            return (command.contract, command.plan, command.wallet)
        case ScheduleContractPhase():
            cards = (command.terms.rate_card,) if "rate_card" in command.paths else ()
            return (command.contract, command.wallet, *cards)
        case ExtendTrial() | EndContract():
            return (command.contract, command.wallet)
        case RecordInvoice() | RecordCreditNote():
            return (command.contract,)
        case _:
            return (command.wallet,)


def decide(command: AnyCommand, states: States, now: datetime) -> list[Draft]:  # noqa: C901
    """Return the events that the command causes, in order. Raises Refusal, and then changes nothing."""
    if (decide_on := WALLET_DECISIONS.get(type(command))) is not None:
        wallet = _wallet(states, _wallet_of(command), field="name")
        if wallet.close_time is not None:
            _check_closed(wallet, command)
        if isinstance(command, GrantCredits):
            check_pool(states, command)
        drafts = decide_on(wallet, command, now)
        # An update may be what brings the rule.
        if wallet.rules.auto_top_up is None and type(command) is not UpdateWallet:
            return drafts
        return _with_auto_top_up(wallet, command, drafts, now)
    if isinstance(command, FINANCE_COMMANDS):
        return decide_finance(states, command, now)
    match command:
        case OpenWallet():
            drafts = open_wallet(_typed(states, command.wallet, Wallet), command, now)
            return with_auto_top_up(command.wallet, None, drafts, now)
        case CreateRateCard() | PublishRateCardPhase() | WithdrawRateCardPhase():
            return _decide_rate_card(states, command, now)
        case PublishPlan():
            cards = {phase.rate_card: _typed(states, phase.rate_card, RateCard) for phase in command.phases}
            return publish_plan(_typed(states, command.plan, Plan), cards, command, now)
        case SignContract():
            return sign_contract(
                _typed(states, command.contract, Contract),
                _typed(states, command.plan, Plan),
                _open_wallet(states, command.wallet, field="contract.wallet"),
                command,
                now,
            )
        case ScheduleContractPhase() | ExtendTrial() | ChangePlan() | EndContract():
            return _decide_contract(states, command, now)
        case RecordInvoice() | RecordCreditNote():
            return _decide_bill(states, command, now)
        case _:
            raise AssertionError(f"{type(command).__name__} is decided nowhere")


def _wallet_of(command: Any) -> str:
    name: str = command.wallet
    return name


def _with_auto_top_up(wallet: Wallet, command: AnyCommand, drafts: list[Draft], now: datetime) -> list[Draft]:
    # Settling requests by itself, at the instant at which the credit was low.
    if isinstance(command, SettleWallet):
        return drafts
    return with_auto_top_up(_wallet_of(command), wallet, drafts, now)


def _check_closed(wallet: Wallet, command: AnyCommand) -> None:
    delivered = isinstance(command, Debit) and command.delivered
    if type(command) in NOT_WHEN_CLOSED and not delivered:
        check_open(wallet, _wallet_of(command))


def _decide_rate_card(
    states: States, command: CreateRateCard | PublishRateCardPhase | WithdrawRateCardPhase, now: datetime
) -> list[Draft]:
    match command:
        case CreateRateCard():
            return create_rate_card(_typed(states, command.rate_card, RateCard), command, now)
        case PublishRateCardPhase():
            return publish_phase(_card(states, command.rate_card), command, now)
        case WithdrawRateCardPhase():
            return withdraw_phase(_card(states, command.rate_card), command, now)


def _decide_contract(states: States, command: ContractCommand, now: datetime) -> list[Draft]:
    contract = _contract(states, command.contract)
    wallet = _wallet(states, command.wallet, field="name")
    match command:
        case ScheduleContractPhase():
            named = "rate_card" in command.paths
            card = _typed(states, command.terms.rate_card, RateCard) if named else None
            return schedule_phase(contract, card, wallet, command, now)
        case ExtendTrial():
            return extend_trial(contract, wallet, command, now)
        case ChangePlan():
            return change_plan(contract, _typed(states, command.plan, Plan), wallet, command, now)
        case EndContract():
            return end_contract(contract, wallet, command, now)


def _decide_bill(states: States, command: RecordInvoice | RecordCreditNote, now: datetime) -> list[Draft]:
    contract = _contract(states, command.contract)
    if isinstance(command, RecordInvoice):
        return record_invoice(contract, command, now)
    return record_credit_note(contract, command, now)


def _contract(states: States, name: str) -> Contract:
    contract = _typed(states, name, Contract)
    if contract is None:
        raise ContractNotFound(f"{name} does not exist", field="name")
    return contract


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


def _open_wallet(states: States, name: str, *, field: str) -> Wallet:
    wallet = _wallet(states, name, field=field)
    check_open(wallet, name)
    return wallet


def _card(states: States, name: str) -> RateCard:
    card = _typed(states, name, RateCard)
    if card is None:
        raise RateCardNotFound(f"{name} does not exist", field="name")
    return card
