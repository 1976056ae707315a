"""Builders of the ledger's commands and states, with plain defaults that a test overrides by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any

import msgspec

from ledger_service.domain.commands import (
    AnyCommand,
    CaptureHold,
    ChangePlan,
    CreateRateCard,
    Debit,
    DebitRecord,
    EndContract,
    ExtendGrant,
    ExtendTrial,
    GrantCredits,
    OpenWallet,
    OverHold,
    PlaceHold,
    PublishPlan,
    PublishRateCardPhase,
    RecurrenceTerms,
    RefundGrant,
    ReleaseHold,
    ReverseDebit,
    RevokeGrant,
    ScheduleContractPhase,
    SettleWallet,
    SignContract,
)
from ledger_service.domain.decide import decide, streams_of
from ledger_service.domain.events import (
    AlertRules,
    Charge,
    ChargeLine,
    CreditsDebited,
    CreditsGranted,
    CreditsRolledOver,
    CreditsTransferredIn,
    Cycle,
    DebtRepaid,
    Draw,
    Event,
    Fact,
    GrantActivated,
    HoldCaptured,
    LotTerms,
    PlanPhase,
    Rate,
    RollOver,
    WalletRules,
)
from ledger_service.domain.exact import EXACT
from ledger_service.domain.identity import fingerprint
from ledger_service.domain.streams import State, evolve_stream
from ledger_service.domain.topics import GENESIS_HASH, TOPIC_OF, encode_fact, hash_event
from ledger_service.domain.values import (
    Asset,
    ChangeTiming,
    CycleInterval,
    GrantCategory,
    Money,
    ShortfallMode,
)
from ledger_service.domain.wallet.burn_down import DEFAULT_ORDER, Lot
from ledger_service.domain.wallet.lots import from_grant, terms_of
from ledger_service.domain.wallet.state import Wallet

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
CREDIT = Asset("CREDIT", 6)
CUSTOMER = "customers/acme"
WALLET = "wallets/acme"
NO_RULES = WalletRules()
RATE_CARD = "rateCards/llm"
PLAN = "plans/pro"
CONTRACT = "contracts/acme"
NO_ALERTS = AlertRules()


def after(
    *, days: int = 0, hours: int = 0, minutes: int = 0, seconds: int = 0, microseconds: int = 0
) -> datetime:
    """Return the instant so long after NOW; negative numbers lie before it."""
    return NOW + timedelta(
        days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds
    )


# Commands


def open_wallet(
    *,
    wallet: str = WALLET,
    customer: str = CUSTOMER,
    asset: Asset = CREDIT,
    mode: ShortfallMode = ShortfallMode.HARD,
    overage_limit_units: int = 0,
    order: str = DEFAULT_ORDER,
    rules: WalletRules = NO_RULES,
    alerts: AlertRules = NO_ALERTS,
) -> OpenWallet:
    """Return the opening of a wallet, HARD and without alerts unless told."""
    if alerts is not NO_ALERTS:
        rules = msgspec.structs.replace(rules, alerts=alerts)
    return OpenWallet(wallet, customer, asset, mode, overage_limit_units, order, rules)


def grant(
    amount_units: int,
    *,
    wallet: str = WALLET,
    category: GrantCategory = GrantCategory.PAID,
    priority: int = 0,
    scope: tuple[str, ...] = (),
    effective_time: datetime | None = None,
    expire_time: datetime | None = None,
    paid_nanos: int | None = None,
    purchase_version: int = 0,
    recurrence: RecurrenceTerms | None = None,
    pending: bool = False,
) -> GrantCredits:
    """Return a grant of open, paid credit that never expires, unless told; `paid_nanos` are EUR."""
    return GrantCredits(
        wallet=wallet,
        amount_units=amount_units,
        category=category,
        priority=priority,
        scope=scope,
        effective_time=effective_time,
        expire_time=expire_time,
        consideration=None if paid_nanos is None else Money("EUR", paid_nanos),
        purchase_version=purchase_version,
        recurrence=recurrence,
        pending=pending,
    )


def recurring(
    period: str,
    *,
    zone: str = "UTC",
    count: int = 0,
    percent: str = "",
    cap_units: int | None = None,
    times: int = 1,
) -> RecurrenceTerms:
    """Return terms of a grant that comes again, for ever unless told; nothing rolls over without a percentage."""
    roll_over = RollOver(percent, times, cap_units) if percent else None
    return RecurrenceTerms(period, zone, count, roll_over)


def debit(
    amount_units: int = 0,
    *,
    wallet: str = WALLET,
    effective_time: datetime | None = None,
    feature: str = "",
    delivered: bool = False,
    charge: Charge | None = None,
    take_available: bool = False,
    api_key: str = "",
    user: str = "",
) -> Debit:
    """Return a debit."""
    return Debit(
        wallet,
        amount_units,
        effective_time,
        feature,
        delivered,
        charge,
        take_available,
        api_key=api_key,
        user=user,
    )


def hold(
    amount_units: int,
    *,
    wallet: str = WALLET,
    ttl: timedelta | None = None,
    feature: str = "",
    api_key: str = "",
    user: str = "",
    estimate_of: str = "",
) -> PlaceHold:
    """Return a hold, of the default length unless told."""
    return PlaceHold(wallet, amount_units, ttl, feature, api_key, user, estimate_of)


def capture(
    hold_version: int,
    amount_units: int = 0,
    *,
    final: bool = True,
    over_hold: OverHold = OverHold.EXTRA_IF_AVAILABLE,
    charge: Charge | None = None,
) -> CaptureHold:
    """Return a final capture."""
    return CaptureHold(WALLET, hold_version, amount_units, final, over_hold, charge)


def release(hold_version: int) -> ReleaseHold:
    """Return a release."""
    return ReleaseHold(WALLET, hold_version)


def revoke(grant_version: int, *, reason: str = "", goes_on: bool = False) -> RevokeGrant:
    """Return a revocation."""
    return RevokeGrant(WALLET, grant_version, reason, goes_on=goes_on)


def refund(grant_version: int, amount_units: int = 0) -> RefundGrant:
    """Return a refund, of all that is left unless told."""
    return RefundGrant(WALLET, grant_version, amount_units)


def extend(grant_version: int, expire_time: datetime | None = None) -> ExtendGrant:
    """Return an extension, for ever unless told."""
    return ExtendGrant(WALLET, grant_version, expire_time)


def settle(*, wallet: str = WALLET) -> SettleWallet:
    """Return a settling."""
    return SettleWallet(wallet)


def charge(
    *exact_units: str,
    total: str | None = None,
    contract: str = "",
    properties: Mapping[str, str] | None = None,
    unit_price: str = "1",
) -> Charge:
    """Return a charge with one line a figure; `total` is their sum unless told."""
    lines = tuple(
        ChargeLine(f"dimension_{index}", quantity=index + 1, unit_price=unit_price, exact_units=figure)
        for index, figure in enumerate(exact_units)
    )
    return Charge(
        contract=contract,
        contract_phase="standard",
        rate_card_phase=f"{RATE_CARD}/phases/1",
        phase_hash="ab" * 32,
        lines=lines,
        exact_units=total if total is not None else f"{reduce(EXACT.add, map(Decimal, exact_units)):f}",
        properties=dict(properties or {"model": "large"}),
    )


def create_rate_card(*, rate_card: str = RATE_CARD, asset: Asset = CREDIT) -> CreateRateCard:
    """Return the creation of a rate card."""
    return CreateRateCard(rate_card, asset)


def publish_phase(
    *rates: Rate,
    from_time: datetime = NOW,
    retroactive: bool = False,
) -> PublishRateCardPhase:
    """Return the publication of a phase, of one rate unless told."""
    return PublishRateCardPhase(
        RATE_CARD, from_time, rates or (Rate("input_tokens", "0.5"),), (), retroactive=retroactive
    )


def plan_phase(
    key: str = "standard",
    *,
    duration: str = "",
    rate_card: str = RATE_CARD,
    mode: ShortfallMode = ShortfallMode.HARD,
    overage_limit_units: int = 0,
) -> PlanPhase:
    """Return a phase of a plan, without end unless told."""
    return PlanPhase(key, rate_card, mode, duration, overage_limit_units=overage_limit_units)


def publish_plan(*phases: PlanPhase, plan: str = PLAN, asset: Asset = CREDIT) -> PublishPlan:
    """Return the publication of a plan, of one phase unless told."""
    return PublishPlan(plan, asset, phases or (plan_phase(),))


def cycle(*, anchor_time: datetime = NOW, count: int = 1, zone: str = "UTC") -> Cycle:
    """Return a monthly cycle."""
    return Cycle(CycleInterval.MONTH, anchor_time, count, zone)


def sign_contract(
    *,
    contract: str = CONTRACT,
    customer: str = CUSTOMER,
    wallet: str = WALLET,
    plan: str = PLAN,
    plan_version: int = 0,
    start_time: datetime = NOW,
    zone: str = "UTC",
) -> SignContract:
    """Return the signing of a contract."""
    return SignContract(
        contract, customer, wallet, plan, plan_version, start_time, cycle(anchor_time=start_time, zone=zone)
    )


def schedule_phase(
    *paths: str,
    contract: str = CONTRACT,
    wallet: str = WALLET,
    from_time: datetime | None = None,
    replace_later: bool = False,
    terms: PlanPhase | None = None,
) -> ScheduleContractPhase:
    """Return the scheduling of a phase that is SOFT, unless told."""
    terms = terms or plan_phase("dear", mode=ShortfallMode.SOFT)
    return ScheduleContractPhase(
        contract, wallet, paths or ("shortfall_mode",), terms, from_time, replace_later
    )


def extend_trial(
    end_time: datetime, *, key: str = "trial", contract: str = CONTRACT, wallet: str = WALLET
) -> ExtendTrial:
    """Return the extension of a trial."""
    return ExtendTrial(contract, wallet, key, end_time)


def change_plan(
    *,
    plan: str = PLAN,
    timing: ChangeTiming = ChangeTiming.AT_ONCE,
    from_time: datetime | None = None,
    take_trial: bool = False,
    contract: str = CONTRACT,
    wallet: str = WALLET,
) -> ChangePlan:
    """Return a change to the newest version of a plan."""
    return ChangePlan(contract, wallet, plan, 0, timing, from_time, take_trial)


def end_contract(
    end_time: datetime | None = None, *, contract: str = CONTRACT, wallet: str = WALLET
) -> EndContract:
    """Return the end of a contract, now unless told."""
    return EndContract(contract, wallet, end_time)


# States


class Recorded(msgspec.Struct, frozen=True):
    """An event as a log holds it, without its position."""

    stream: str
    version: int
    fact: Fact[Event]


class Book:
    """A ledger of the domain alone: it decides commands, folds the events and remembers them."""

    def __init__(self) -> None:
        self.log: list[Recorded] = []
        self.states: dict[str, State] = {}
        self._heads: dict[str, tuple[int, str]] = {}

    def run(self, command: AnyCommand, now: datetime = NOW, *, key: str = "") -> list[Recorded]:
        """Decide a command and record what it causes. Raises Refusal, and then records nothing."""
        states = {stream: self.states.get(stream) for stream in streams_of(command)}
        recorded: list[Recorded] = []
        for draft in decide(command, states, now):
            version, previous_hash = self._heads.get(draft.stream, (0, GENESIS_HASH))
            fact = Fact(draft.event, now, draft.effective_time, previous_hash)
            if draft.answers:
                fact = msgspec.structs.replace(fact, idempotency_key=key, fingerprint=fingerprint(command))
            version += 1
            head = hash_event(draft.stream, version, TOPIC_OF[type(draft.event)], encode_fact(fact))
            self._heads[draft.stream] = (version, head)
            self.states[draft.stream] = evolve_stream(
                draft.stream, self.states.get(draft.stream), fact, version
            )
            recorded.append(Recorded(draft.stream, version, fact))
        self.log += recorded
        return recorded

    def answer(self, command: AnyCommand, now: datetime = NOW, *, key: str = "") -> Fact[Event]:
        """Run a command and return the fact that answers it."""
        return next(each.fact for each in self.run(command, now, key=key) if each.fact.fingerprint)

    def debit(self, command: Debit, now: datetime = NOW) -> CreditsDebited:
        """Run a debit and return its event."""
        event = self.answer(command, now).event
        assert isinstance(event, CreditsDebited)
        return event

    def place(self, command: PlaceHold, now: datetime = NOW) -> int:
        """Run a hold and return its version."""
        return next(each.version for each in self.run(command, now) if each.fact.fingerprint)

    def reversal(self, debit_version: int, amount_units: int = 0) -> ReverseDebit:
        """Return the reversal of a debit as the log has it, of all that is left unless told."""
        lots: dict[int, LotTerms] = {}
        draws: list[Draw] = []
        overage_units = 0
        counted: dict[str, Any] = {}
        for each in self.log:
            if each.stream != WALLET:
                continue
            match each.fact.event:
                case CreditsGranted() as granted:
                    lots[each.version] = terms_of(from_grant(each.version, granted, each.fact.effective_time))
                case GrantActivated(grant_version=grant_version, lot=terms):
                    lots[grant_version] = terms
                case CreditsRolledOver(lot=terms, recurrence=recurrence):
                    lots[each.version] = msgspec.structs.replace(terms, recurrence=recurrence)
                case CreditsTransferredIn(lot=terms):
                    lots[each.version] = terms
                case (CreditsDebited() | HoldCaptured()) as debited if each.version == debit_version:
                    draws += (*getattr(debited, "held_draws", ()), *debited.draws)
                    overage_units = debited.overage_units
                    counted = {name: getattr(debited, name) for name in ("api_key", "user", "feature")}
                    counted["record_time"] = each.fact.record_time
                    counted["overage_price"] = debited.charge and debited.charge.overage_price
                case DebtRepaid(grant_version=grant_version, repayments=repayments):
                    draws += [
                        Draw(grant_version, part.amount_units)
                        for part in repayments
                        if part.debit_version == debit_version
                    ]
                case _:
                    pass
        recorded = DebitRecord(debit_version, tuple(draws), overage_units, lots, **counted)
        return ReverseDebit(WALLET, debit_version, recorded, amount_units)

    def reverse(self, debit_version: int, amount_units: int = 0, now: datetime = NOW) -> list[Recorded]:
        """Reverse a debit and return what was recorded."""
        return self.run(self.reversal(debit_version, amount_units), now)

    def wallet(self, name: str = WALLET) -> Wallet:
        """Return a wallet's state."""
        state = self.states[name]
        assert isinstance(state, Wallet)
        return state


def book(*commands: AnyCommand, now: datetime = NOW) -> Book:
    """Return a book in which the commands ran at NOW."""
    ledger = Book()
    for command in commands:
        ledger.run(command, now)
    return ledger


def agreed(*phases: PlanPhase, mode: ShortfallMode = ShortfallMode.HARD) -> Book:
    """Return a book with a wallet, a rate card with one phase and a plan that may be signed."""
    return book(open_wallet(mode=mode), create_rate_card(), publish_phase(), publish_plan(*phases))


def lot(
    grant_version: int = 1,
    *,
    remaining_units: int = 10,
    category: GrantCategory = GrantCategory.PAID,
    priority: int = 0,
    effective_time: datetime = NOW,
    expire_time: datetime | None = None,
    scope: tuple[str, ...] = (),
) -> Lot:
    """Return a lot."""
    return Lot(grant_version, remaining_units, category, priority, effective_time, expire_time, scope)


def events_of(recorded: Sequence[Recorded]) -> list[Event]:
    """Return the events of what was recorded."""
    return [each.fact.event for each in recorded]
