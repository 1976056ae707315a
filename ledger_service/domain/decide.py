"""Decide: from a command and the states it touches to the events that it causes.

`streams_of` says which streams a command reads or writes, its own first; `decide` looks only at those.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from ledger_service.domain.agreement.adjust import record_adjustment
from ledger_service.domain.agreement.billing import record_credit_note, record_invoice
from ledger_service.domain.agreement.contract import Contract, sign_contract
from ledger_service.domain.agreement.contract_changes import (
    change_plan,
    end_contract,
    extend_trial,
    named_cards,
    schedule_phase,
)
from ledger_service.domain.agreement.phase_cards import cards_of
from ledger_service.domain.agreement.plan import Plan, publish_plan
from ledger_service.domain.agreement.proposals import accept_phase, reject_phase
from ledger_service.domain.agreement.rate_card import RateCard, create_rate_card, publish_phase
from ledger_service.domain.agreement.withdrawal import withdraw_phase
from ledger_service.domain.commands import (
    AcceptRateCardPhase,
    AnyCommand,
    ChangePlan,
    CreateRateCard,
    Debit,
    EndContract,
    ExtendTrial,
    OpenWallet,
    PublishPlan,
    PublishRateCardPhase,
    RecordAdjustment,
    RecordCreditNote,
    RecordInvoice,
    RejectRateCardPhase,
    ScheduleContractPhase,
    SettleWallet,
    SignContract,
    UpdateWallet,
    WithdrawRateCardPhase,
)
from ledger_service.domain.drafts import Draft
from ledger_service.domain.finance.decisions import FINANCE_COMMANDS, decide_finance, stream_of
from ledger_service.domain.refusals import ContractNotFound, RateCardNotFound, WalletNotFound
from ledger_service.domain.streams import State
from ledger_service.domain.wallet.closing import check_open
from ledger_service.domain.wallet.decisions import NOT_WHEN_CLOSED, WALLET_DECISIONS
from ledger_service.domain.wallet.grant import open_wallet
from ledger_service.domain.wallet.sales import SALES, check_sale, finance_streams, sale_of, sold_in_books
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.top_up import with_auto_top_up

RateCardCommand = (
    CreateRateCard
    | PublishRateCardPhase
    | WithdrawRateCardPhase
    | AcceptRateCardPhase
    | RejectRateCardPhase
    | RecordAdjustment
)
ContractCommand = ScheduleContractPhase | ExtendTrial | ChangePlan | EndContract
States = Mapping[str, State | None]
S = TypeVar("S", Wallet, RateCard, Plan, Contract)


def streams_of(command: AnyCommand) -> tuple[str, ...]:  # noqa: C901
    """Return the streams that the command touches; the first is its own and scopes its idempotency key."""
    if type(command) in WALLET_DECISIONS:
        # Asked first, for it is the path of every request.
        if type(command) in SALES:
            return (_wallet_of(command), *finance_streams(command))
        return (_wallet_of(command),)
    if isinstance(command, FINANCE_COMMANDS):
        return (stream_of(command),)
    match command:
        case RecordAdjustment():
            return (command.wallet, command.rate_card)
        case _ if isinstance(command, RateCardCommand):
            return (command.rate_card,)
        case PublishPlan():
            return (command.plan, *_cards_of_plan(command))
        case SignContract() | ChangePlan():
            return (command.contract, command.plan, command.wallet)
        case ScheduleContractPhase():
            cards = dict.fromkeys(name for _, name in named_cards(command))
            return (command.contract, command.wallet, *cards)
        case ExtendTrial() | EndContract():
            return (command.contract, command.wallet)
        case RecordInvoice() | RecordCreditNote():
            return (command.contract,)
        case OpenWallet():
            return (command.wallet, *finance_streams(command))
        case _:
            return (command.wallet,)


def decide(command: AnyCommand, states: States, now: datetime) -> list[Draft]:  # noqa: C901
    """Return the events that the command causes, in order. Raises Refusal, and then changes nothing."""
    if (decide_on := WALLET_DECISIONS.get(type(command))) is not None:
        wallet = _wallet(states, _wallet_of(command), field="name")
        if wallet.close_time is not None:
            _check_closed(wallet, command)
        if type(command) in SALES:
            command = sold_in_books(states, wallet, command, now)
        drafts = decide_on(wallet, command, now)
        # An update may be what brings the rule.
        if wallet.rules.auto_top_up is None and type(command) is not UpdateWallet:
            return drafts
        return _with_auto_top_up(wallet, command, drafts, now)
    if isinstance(command, FINANCE_COMMANDS):
        return decide_finance(states, command, now)
    match command:
        case OpenWallet():
            check_sale(states, sale_of(command), entity=command.entity)
            drafts = open_wallet(_typed(states, command.wallet, Wallet), command, now)
            return with_auto_top_up(command.wallet, None, drafts, now)
        case _ if isinstance(command, RateCardCommand):
            return _decide_rate_card(states, command, now)
        case PublishPlan():
            cards = {name: _typed(states, name, RateCard) for name in _cards_of_plan(command)}
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


def _cards_of_plan(command: PublishPlan) -> dict[str, None]:
    return dict.fromkeys(name for phase in command.phases for _, name in cards_of(phase))


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


def _decide_rate_card(states: States, command: RateCardCommand, now: datetime) -> list[Draft]:
    match command:
        case CreateRateCard():
            return create_rate_card(_typed(states, command.rate_card, RateCard), command, now)
        case PublishRateCardPhase():
            return publish_phase(_card(states, command.rate_card), command, now)
        case WithdrawRateCardPhase():
            return withdraw_phase(_card(states, command.rate_card), command, now)
        case AcceptRateCardPhase():
            return accept_phase(_card(states, command.rate_card), command)
        case RejectRateCardPhase():
            return reject_phase(_card(states, command.rate_card), command, now)
        case RecordAdjustment():
            wallet = _wallet(states, command.wallet, field="name")
            return record_adjustment(wallet, _card(states, command.rate_card), command, now)


def _decide_contract(states: States, command: ContractCommand, now: datetime) -> list[Draft]:
    contract = _contract(states, command.contract)
    wallet = _wallet(states, command.wallet, field="name")
    match command:
        case ScheduleContractPhase():
            cards = {name: _typed(states, name, RateCard) for _, name in named_cards(command)}
            return schedule_phase(contract, cards, wallet, command, now)
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
