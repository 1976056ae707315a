"""Identity: which calls with one key are one call, and which field tells two calls apart."""

from datetime import date, timedelta
from typing import get_args

import msgspec
import pytest

from ledger_service.domain.agreement.rate_card import hash_phase
from ledger_service.domain.commands import (
    AcceptRateCardPhase,
    ActivateGrant,
    AnyCommand,
    BundledItemTerms,
    ChangePlan,
    ChargeBackGrant,
    CloseAccountingPeriod,
    CloseWallet,
    Command,
    CreateBreakagePool,
    DebitRecord,
    DeclareBreakageRemote,
    DestinationRecord,
    EndContract,
    ExtendTrial,
    LockAccountingPeriod,
    ReceiveTransfer,
    RecordAdjustment,
    RecordEscheat,
    RejectRateCardPhase,
    RequestTopUp,
    ReturnTransfer,
    ReverseDebit,
    ReviseBreakageEstimate,
    RevisePoolEstimate,
    RevokeGrant,
    SaleTerms,
    ScheduleContractPhase,
    SetExchangeRate,
    SetFunctionalCurrency,
    SettleRefund,
    SettleTopUp,
    SettleTransfer,
    SettleWallet,
    TransferCredits,
    UpdateWallet,
    WithdrawRateCardPhase,
)
from ledger_service.domain.events import (
    Adjustment,
    Bracket,
    Charge,
    ContractSigned,
    Draw,
    Event,
    Fact,
    LotTerms,
    Multiplier,
    MultiplierTier,
    PlanPhase,
    Rate,
    RateCardPhasePublished,
    TopUpOutcome,
    TransferSlice,
    WalletRules,
)
from ledger_service.domain.events.price_models import Band
from ledger_service.domain.identity import check_same_call, fingerprint, hash_key
from ledger_service.domain.refusals import IdempotencyKeyReused
from ledger_service.domain.topics import TOPIC_OF, decode_fact, encode_fact
from ledger_service.domain.values import (
    Asset,
    BreakageMethod,
    ChangeTiming,
    Counters,
    GrantCategory,
    Money,
    ShortfallMode,
)
from ledger_service.domain.wallet.hold import TTL_DEFAULT
from tests.bills import record_credit_note, record_invoice
from tests.builders import (
    CONTRACT,
    CREDIT,
    CUSTOMER,
    NOW,
    WALLET,
    Book,
    after,
    agreed,
    book,
    capture,
    charge,
    create_rate_card,
    cycle,
    debit,
    extend,
    grant,
    hold,
    open_wallet,
    plan_phase,
    publish_phase,
    publish_plan,
    recurring,
    refund,
    release,
    revoke,
    sign_contract,
)
from tests.builders import PLAN as PLAN_NAME
from tests.sales import sale

OPEN = open_wallet(mode=ShortfallMode.SOFT, overage_limit_units=5)
FULL_GRANT = msgspec.structs.replace(
    grant(10, priority=2, scope=("code", "chat"), effective_time=after(days=1), expire_time=after(days=9)),
    consideration=Money("EUR", 5),
    reference="order-1",
)
RECURRING_GRANT = grant(
    10, effective_time=after(days=1), recurrence=recurring("P1M", count=3, percent="50", cap_units=4)
)
FULL_DEBIT = debit(7, effective_time=after(minutes=1), feature="chat", delivered=True)
CHARGED_DEBIT = debit(charge=charge("1.5", "2.25"), feature="chat")
CARD = msgspec.structs.replace(
    create_rate_card(rate_card="rateCards/new"), display_name="Card", unit_definitions={"a": "A", "b": "B"}
)
PHASE = msgspec.structs.replace(
    publish_phase(Rate("input_tokens", "2", 10, {"model": "a*"}), from_time=after(days=1)),
    multipliers=(Multiplier("context", (MultiplierTier(9, "2"),)),),
)
PLAN = msgspec.structs.replace(
    publish_plan(plan_phase("a", duration="P1M"), plan_phase()), display_name="Pro"
)
SIGN = sign_contract(plan_version=1, start_time=after(days=1))
TERMS = PlanPhase("dear", "rateCards/llm", ShortfallMode.SOFT, included_units=5)
SCHEDULE = ScheduleContractPhase(CONTRACT, WALLET, ("included_units", "key"), TERMS, after(days=1), True)
EXTEND_TRIAL = ExtendTrial(CONTRACT, WALLET, "a", after(days=90))
CHANGE_PLAN = ChangePlan(CONTRACT, WALLET, PLAN_NAME, 1, ChangeTiming.AT_ONCE, after(days=1), True)
AT_CYCLE_END = ChangePlan(CONTRACT, WALLET, PLAN_NAME, 0, ChangeTiming.AT_CYCLE_END)
END = EndContract(CONTRACT, WALLET, after(days=1))
WITHDRAW = WithdrawRateCardPhase("rateCards/llm", 1)
INVOICE, NOTE = record_invoice(500), record_credit_note(200)
PURCHASE, BONUS, HOLD, DEBIT = 2, 3, 4, 5
"""Versions in the wallet's stream of what the commands below refer to; see `recorded`."""
BONUS_TERMS = LotTerms(GrantCategory.PROMOTIONAL, 0, 100, after(), after(days=10))
FULL_HOLD = hold(7, ttl=timedelta(hours=1), feature="chat")
ESTIMATED = hold(7, estimate_of="request 1")
CAPTURE = capture(HOLD, 2, final=False)
CHARGED_CAPTURE = capture(HOLD, charge=charge("1.5", "2.25"))
REVERSE = ReverseDebit(WALLET, DEBIT, DebitRecord(DEBIT, (Draw(BONUS, 5),), 0, {BONUS: BONUS_TERMS}), 3)
REVOKE = revoke(PURCHASE, reason="fraud")
REFUND = refund(PURCHASE, 4)
EXTEND = extend(BONUS, after(days=20))
UPDATE = UpdateWallet(
    WALLET,
    ("overage_limit_units", "rules.late_usage_grace", "shortfall_mode"),
    ShortfallMode.HARD,
    3,
    WalletRules(9),
)
CLOSE = CloseWallet(WALLET, forfeit=True)

PURCHASE_TERMS = LotTerms(GrantCategory.PAID, 0, 100, after(), consideration=Money("EUR", 700))
TRANSFER = TransferCredits(WALLET, "wallets/beta", 7, DestinationRecord(CUSTOMER, CREDIT))
ARRIVAL = ReceiveTransfer(WALLET, "wallets/beta", 3, (TransferSlice(2, 7, BONUS_TERMS),), CUSTOMER, CREDIT)
CHARGEBACK = ChargeBackGrant(WALLET, PURCHASE, PURCHASE_TERMS, Money("EUR", 70), "dispute-1")
GOODWILL = msgspec.structs.replace(grant(3, category=GrantCategory.PROMOTIONAL), compensates_version=DEBIT)

ACTIVATE = ActivateGrant(WALLET, 6)
ASK = RequestTopUp(
    WALLET, 7, Money("EUR", 5), expire_time=after(days=7), priority=2, scope=("chat", "batch"), reference="x"
)
SETTLE = SettleTopUp(WALLET, 7, TopUpOutcome.FAILED, payment_reference="pay-1", failure_reason="declined")

TERMS_OF_SALE = SaleTerms(
    entity="acme-de",
    product="packs",
    expected_redeemed_units=9,
    bonus_units=2,
    tax=Money("EUR", 2),
    functional_currency="USD",
    exchange_rate="1.1",
    standalone_price=Money("EUR", 3),
    bundle=(BundledItemTerms("support", Money("EUR", 2), after(), after(days=30)),),
)
SOLD = msgspec.structs.replace(grant(10, paid_nanos=5), finance=TERMS_OF_SALE)
ESTIMATE = ReviseBreakageEstimate(WALLET, (PURCHASE,), expected_breakage="0.1")
ESTIMATED_UNITS = ReviseBreakageEstimate(WALLET, (PURCHASE,), expected_redeemed_units=90)
REMOTE = DeclareBreakageRemote(WALLET, (PURCHASE,))
ESCHEAT = RecordEscheat(WALLET, PURCHASE, "0.6", PURCHASE_TERMS, "Delaware")
SOLD_LATER = msgspec.structs.replace(ASK, amount_units=10, finance=TERMS_OF_SALE)
STATED_REFUND = msgspec.structs.replace(REFUND, tax=Money("EUR", 0))
PAID_REFUND = msgspec.structs.replace(REFUND, paid=True)
SETTLE_REFUND = SettleRefund(WALLET, 8, "transfer 9")
POOL = CreateBreakagePool(
    "breakagePools/packs", "EUR", BreakageMethod.PROPORTIONAL, "acme-de", "P1Y", "Delaware", "0.1", "0.5"
)
POOL_ESTIMATE = RevisePoolEstimate("breakagePools/packs", "0.2")
POOL_UNITS = RevisePoolEstimate("breakagePools/packs", expected_redeemed_units=5)
LOCK = LockAccountingPeriod("accountingPeriods/default", date(2026, 1, 1), date(2026, 2, 1))
CLOSE_PERIOD = CloseAccountingPeriod(
    "accountingPeriods/default", date(2026, 1, 1), date(2026, 2, 1), 7, "ab" * 32
)

ACCEPT = AcceptRateCardPhase("rateCards/llm", 2, 7, "hash")
REJECT = RejectRateCardPhase("rateCards/llm", 2)
ADJUST = RecordAdjustment(
    WALLET,
    "rateCards/llm",
    Charge(
        CONTRACT,
        "standard",
        "rateCards/llm/phases/2",
        hash_phase(
            "rateCards/llm",
            CREDIT,
            RateCardPhasePublished(2, after(days=-1), (Rate("input_tokens", "0.5"),), ""),
        ),
        (),
        "2.5",
        adjustment=Adjustment(NOW, after(days=30), "1", "3.5", watermark_position=1),
    ),
)
CURRENCY = SetFunctionalCurrency("entities/acme-de", "USD")
RATE = SetExchangeRate("entities/acme-de", "EUR", "1.1", NOW, "ECB")
EXAMPLES: list[AnyCommand] = [
    OPEN,
    FULL_GRANT,
    grant(3),
    FULL_DEBIT,
    debit(3),
    CHARGED_DEBIT,
    CARD,
    PHASE,
    PLAN,
    SIGN,
    sign_contract(),
    SCHEDULE,
    msgspec.structs.replace(SCHEDULE, from_time=None),
    EXTEND_TRIAL,
    CHANGE_PLAN,
    AT_CYCLE_END,
    END,
    EndContract(CONTRACT, WALLET),
    WITHDRAW,
    ACCEPT,
    REJECT,
    ADJUST,
    RECURRING_GRANT,
    grant(3, category=GrantCategory.PROMOTIONAL, purchase_version=PURCHASE),
    debit(3, take_available=True),
    debit(900, take_available=True),
    FULL_HOLD,
    ESTIMATED,
    hold(3),
    debit(3, api_key="key-7", user="ann"),
    hold(3, api_key="key-7", user="ann"),
    CAPTURE,
    CHARGED_CAPTURE,
    capture(HOLD),
    release(HOLD),
    REVERSE,
    REVOKE,
    REFUND,
    EXTEND,
    UPDATE,
    CLOSE,
    UpdateWallet(WALLET, ("rules",), rules=WalletRules(9)),
    extend(BONUS),
    TRANSFER,
    ARRIVAL,
    CHARGEBACK,
    msgspec.structs.replace(CHARGEBACK, amount=None),
    GOODWILL,
    grant(3, pending=True),
    ACTIVATE,
    ASK,
    RequestTopUp(WALLET, 7, Money("EUR", 5), valid_for="P1M"),
    SETTLE,
    SettleTopUp(WALLET, 7, TopUpOutcome.SUCCEEDED),
    SettleTopUp(WALLET, 7, TopUpOutcome.SUCCEEDED, tax=Money("EUR", 1)),
    SOLD_LATER,
    STATED_REFUND,
    revoke(6),
    INVOICE,
    NOTE,
    SOLD,
    ESTIMATE,
    ESTIMATED_UNITS,
    REMOTE,
    ESCHEAT,
    PAID_REFUND,
    SETTLE_REFUND,
    revoke(PURCHASE),
    RevokeGrant(WALLET, PURCHASE, amount_units=3),
    RevokeGrant(WALLET, PURCHASE, goes_on=True),
    POOL,
    POOL_ESTIMATE,
    POOL_UNITS,
    LOCK,
    CLOSE_PERIOD,
    CURRENCY,
    RATE,
]


def replaced(terms: SaleTerms, **changes: object) -> SaleTerms:
    """Return other terms."""
    return msgspec.structs.replace(terms, **changes)


CHANGES: list[tuple[AnyCommand, dict[str, object], str]] = [
    (STATED_REFUND, {"tax": Money("EUR", 1)}, "tax"),
    (SETTLE, {"tax": Money("EUR", 1)}, "tax"),
    (SETTLE, {"exchange_rate": "1.1"}, "exchange_rate"),
    (ASK, {"finance": SaleTerms(product="packs")}, "finance.product"),
    (SOLD_LATER, {"finance": None}, "finance.entity"),
    (SOLD_LATER, {"finance": replaced(TERMS_OF_SALE, tax=Money("EUR", 3))}, "finance.tax"),
    (SOLD_LATER, {"finance": replaced(TERMS_OF_SALE, standalone_price=None)}, "finance.standalone_price"),
    (SOLD_LATER, {"finance": replaced(TERMS_OF_SALE, bundle=())}, "finance.bundle"),
    (CLOSE, {"forfeit": False}, "forfeit"),
    (OPEN, {"customer": "customers/other"}, "customer"),
    (OPEN, {"asset": Asset("TOKEN", 0)}, "asset"),
    (OPEN, {"shortfall_mode": ShortfallMode.HARD}, "shortfall_mode"),
    (OPEN, {"overage_limit_units": 6}, "overage_limit_units"),
    (FULL_GRANT, {"amount_units": 11}, "amount_units"),
    (FULL_GRANT, {"category": GrantCategory.PROMOTIONAL}, "category"),
    (FULL_GRANT, {"priority": 0}, "priority"),
    (FULL_GRANT, {"scope": ("chat",)}, "scope"),
    (FULL_GRANT, {"effective_time": after(days=1, microseconds=1)}, "effective_time"),
    (FULL_GRANT, {"effective_time": None}, "effective_time"),
    (grant(3), {"effective_time": after(microseconds=1)}, "effective_time"),
    (FULL_GRANT, {"expire_time": None}, "expire_time"),
    (FULL_GRANT, {"expire_time": after(days=8)}, "expire_time"),
    (FULL_GRANT, {"consideration": None}, "consideration"),
    (FULL_GRANT, {"consideration": Money("EUR", 6)}, "consideration"),
    (FULL_GRANT, {"contract": CONTRACT}, "contract"),
    (FULL_GRANT, {"reference": ""}, "reference"),
    (FULL_DEBIT, {"amount_units": 8}, "amount_units"),
    (FULL_DEBIT, {"effective_time": after(minutes=2)}, "effective_time"),
    (FULL_DEBIT, {"effective_time": None}, "effective_time"),
    (debit(3), {"effective_time": after(minutes=1)}, "effective_time"),
    (FULL_DEBIT, {"feature": ""}, "feature"),
    (FULL_DEBIT, {"delivered": False}, "delivered"),
    (FULL_DEBIT, {"amount_units": 0, "charge": charge("7")}, "amount_units"),
    (CHARGED_DEBIT, {"amount_units": 3, "charge": None}, "amount_units"),
    (CHARGED_DEBIT, {"charge": charge("1.5", "2.25", contract="contracts/b")}, "charge.contract"),
    (CHARGED_DEBIT, {"charge": charge("1.5", "2.25", properties={"model": "b"})}, "charge.properties"),
    (CHARGED_DEBIT, {"charge": charge("1.5")}, "charge.lines"),
    (CARD, {"asset": Asset("TOKEN", 0)}, "asset"),
    (CARD, {"display_name": ""}, "display_name"),
    (CARD, {"unit_definitions": {}}, "unit_definitions"),
    (PHASE, {"from_time": after(days=2)}, "from_time"),
    (PHASE, {"rates": (Rate("input_tokens", "3", 10, {"model": "a*"}),)}, "rates"),
    (PHASE, {"multipliers": ()}, "multipliers"),
    (PHASE, {"brackets": (Bracket("context", ("input_tokens",), (Band("any"),)),)}, "brackets"),
    (PHASE, {"counters": Counters.RESTART}, "counters"),
    (PHASE, {"cost_currency": "USD"}, "cost_currency"),
    (PLAN, {"asset": Asset("TOKEN", 0)}, "asset"),
    (PLAN, {"phases": (plan_phase(),)}, "phases"),
    (PLAN, {"display_name": "Other"}, "display_name"),
    (SIGN, {"customer": "customers/other"}, "customer"),
    (SIGN, {"wallet": "wallets/other"}, "wallet"),
    (SIGN, {"plan": "plans/other"}, "plan"),
    (SIGN, {"plan_version": 2}, "plan_version"),
    (sign_contract(), {"plan_version": 2}, "plan_version"),
    (SIGN, {"start_time": after(days=2)}, "start_time"),
    (SIGN, {"cycle": cycle(count=2)}, "cycle"),
    (SCHEDULE, {"paths": ("key",)}, "update_mask"),
    (SCHEDULE, {"terms": msgspec.structs.replace(TERMS, key="other")}, "terms.key"),
    (SCHEDULE, {"from_time": after(days=2)}, "from_time"),
    (SCHEDULE, {"from_time": None}, "from_time"),
    (SCHEDULE, {"replace_later": False}, "replace_later"),
    (EXTEND_TRIAL, {"key": "b"}, "key"),
    (EXTEND_TRIAL, {"end_time": after(days=91)}, "end_time"),
    (CHANGE_PLAN, {"plan": "plans/other"}, "plan"),
    (CHANGE_PLAN, {"plan_version": 2}, "plan_version"),
    (CHANGE_PLAN, {"timing": ChangeTiming.AT_CYCLE_END, "from_time": None}, "timing"),
    (CHANGE_PLAN, {"from_time": after(days=2)}, "from_time"),
    (CHANGE_PLAN, {"take_trial": False}, "take_trial"),
    (AT_CYCLE_END, {"from_time": after(days=1)}, "from_time"),
    (END, {"end_time": after(days=2)}, "end_time"),
    (END, {"end_time": None}, "end_time"),
    (WITHDRAW, {"phase": 2}, "phase"),
    (ACCEPT, {"phase": 3}, "phase"),
    (REJECT, {"phase": 3}, "phase"),
    (ADJUST, {"effective_time": after(days=-1)}, "effective_time"),
    (
        ADJUST,
        {
            "charge": msgspec.structs.replace(
                ADJUST.charge, adjustment=Adjustment(NOW, after(days=30), "0", "2.5", watermark_position=1)
            )
        },
        "charge.adjustment",
    ),
    (OPEN, {"burn_down_order": "fifo/1"}, "burn_down_order"),
    (grant(3), {"category": GrantCategory.PROMOTIONAL, "purchase_version": PURCHASE}, "category"),
    (
        grant(3, category=GrantCategory.PROMOTIONAL, purchase_version=PURCHASE),
        {"purchase_version": 0},
        "purchase_version",
    ),
    (RECURRING_GRANT, {"recurrence": recurring("P1M", count=4, percent="50", cap_units=4)}, "recurrence"),
    (RECURRING_GRANT, {"recurrence": recurring("P1W", count=3, percent="50", cap_units=4)}, "recurrence"),
    (RECURRING_GRANT, {"recurrence": recurring("P1M", count=3, percent="50")}, "recurrence"),
    (RECURRING_GRANT, {"recurrence": recurring("P1M", zone="Asia/Tokyo", count=3)}, "recurrence"),
    (RECURRING_GRANT, {"recurrence": None}, "recurrence"),
    (debit(3, take_available=True), {"take_available": False}, "take_available"),
    (debit(900, take_available=True), {"amount_units": 901}, "amount_units"),
    (debit(3), {"late_hold_version": HOLD}, "hold_version"),
    (FULL_HOLD, {"amount_units": 8}, "amount_units"),
    (FULL_HOLD, {"ttl": timedelta(hours=1, microseconds=1)}, "ttl"),
    (FULL_HOLD, {"ttl": None}, "ttl"),
    (hold(3), {"ttl": TTL_DEFAULT * 2}, "ttl"),
    (FULL_HOLD, {"feature": ""}, "feature"),
    (FULL_DEBIT, {"api_key": "key-7"}, "api_key"),
    (FULL_DEBIT, {"user": "ann"}, "user"),
    (debit(3, api_key="key-7", user="ann"), {"api_key": "key-8"}, "api_key"),
    (debit(3, api_key="key-7", user="ann"), {"api_key": ""}, "api_key"),
    (debit(3, api_key="key-7", user="ann"), {"user": ""}, "user"),
    (debit(3, api_key="ann"), {"api_key": "", "user": "ann"}, "user"),
    (FULL_HOLD, {"estimate_of": "request 1"}, "estimate_of"),
    (ESTIMATED, {"estimate_of": "request 2"}, "estimate_of"),
    (ESTIMATED, {"estimate_of": ""}, "amount_units"),
    (ESTIMATED, {"ttl": TTL_DEFAULT * 2}, "ttl"),
    (FULL_HOLD, {"api_key": "key-7"}, "api_key"),
    (FULL_HOLD, {"user": "ann"}, "user"),
    (hold(3, api_key="key-7", user="ann"), {"user": "bob"}, "user"),
    (CAPTURE, {"hold_version": 9}, "hold_version"),
    (CAPTURE, {"amount_units": 3}, "amount_units"),
    (CAPTURE, {"final": True}, "final"),
    (CHARGED_CAPTURE, {"charge": charge("1.5")}, "charge.lines"),
    (CHARGED_CAPTURE, {"amount_units": 3, "charge": None}, "amount_units"),
    (release(HOLD), {"hold_version": 9}, "hold_version"),
    (REVERSE, {"debit_version": 9}, "debit_version"),
    (REVERSE, {"amount_units": 2}, "amount_units"),
    (REVERSE, {"amount_units": 0}, "amount_units"),
    (REVOKE, {"grant_version": BONUS}, "grant_version"),
    (REVOKE, {"reason": ""}, "reason"),
    (REFUND, {"grant_version": BONUS}, "grant_version"),
    (REFUND, {"amount_units": 3}, "amount_units"),
    (REFUND, {"amount_units": 0}, "amount_units"),
    (EXTEND, {"grant_version": PURCHASE}, "grant_version"),
    (EXTEND, {"expire_time": after(days=21)}, "expire_time"),
    (EXTEND, {"expire_time": None}, "expire_time"),
    (OPEN, {"rules": WalletRules(9)}, "rules"),
    (UPDATE, {"paths": ("rules.late_usage_grace",)}, "update_mask"),
    (UPDATE, {"shortfall_mode": ShortfallMode.SOFT}, "shortfall_mode"),
    (UPDATE, {"overage_limit_units": 4}, "overage_limit_units"),
    (UPDATE, {"rules": WalletRules(8)}, "rules.late_usage_grace"),
    (TRANSFER, {"destination": "wallets/gamma"}, "destination"),
    (TRANSFER, {"amount_units": 8}, "amount_units"),
    (ARRIVAL, {"source": "wallets/gamma"}, "source"),
    (ARRIVAL, {"transfer_version": 4}, "transfer_version"),
    (CHARGEBACK, {"grant_version": BONUS}, "grant_version"),
    (CHARGEBACK, {"amount": Money("EUR", 71)}, "amount"),
    (CHARGEBACK, {"amount": None}, "amount"),
    (CHARGEBACK, {"reference": ""}, "reference"),
    (GOODWILL, {"compensates_version": 0}, "compensates_version"),
    (GOODWILL, {"compensates_version": HOLD}, "compensates_version"),
    (grant(3), {"pending": True}, "pending"),
    (ACTIVATE, {"grant_version": 7}, "grant_version"),
    (ASK, {"amount_units": 8}, "amount_units"),
    (ASK, {"price": Money("EUR", 6)}, "price"),
    (ASK, {"valid_for": "P1M", "expire_time": None}, "valid_for"),
    (ASK, {"expire_time": after(days=8)}, "expire_time"),
    (ASK, {"priority": 3}, "priority"),
    (ASK, {"scope": ("chat",)}, "scope"),
    (ASK, {"reference": ""}, "reference"),
    (SETTLE, {"top_up_version": 8}, "top_up_version"),
    (SETTLE, {"outcome": TopUpOutcome.CANCELLED}, "outcome"),
    (SETTLE, {"payment_reference": ""}, "payment_reference"),
    (SETTLE, {"failure_reason": ""}, "failure_reason"),
    (INVOICE, {"issued": record_invoice(501).issued}, "issued.amounts"),
    (INVOICE, {"issued": record_invoice(500, currency_code="USD").issued}, "issued.currency_code"),
    (INVOICE, {"issued": record_invoice(500, issue_time=after(seconds=1)).issued}, "issued.issue_time"),
    (NOTE, {"issued": record_credit_note(201).issued}, "issued.amounts"),
    (NOTE, {"issued": record_credit_note(200, issue_time=after(seconds=1)).issued}, "issued.issue_time"),
    (SOLD, {"finance": None}, "finance.entity"),
    (SOLD, {"finance": replaced(TERMS_OF_SALE, entity="")}, "finance.entity"),
    (SOLD, {"finance": replaced(TERMS_OF_SALE, product="")}, "finance.product"),
    (SOLD, {"finance": replaced(TERMS_OF_SALE, pool="breakagePools/packs")}, "finance.pool"),
    (SOLD, {"finance": replaced(TERMS_OF_SALE, expected_breakage="0.1")}, "finance.expected_breakage"),
    (
        SOLD,
        {"finance": replaced(TERMS_OF_SALE, expected_redeemed_units=8)},
        "finance.expected_redeemed_units",
    ),
    (SOLD, {"finance": replaced(TERMS_OF_SALE, bonus_units=1)}, "finance.bonus_units"),
    (SOLD, {"finance": replaced(TERMS_OF_SALE, tax=None)}, "finance.tax"),
    (SOLD, {"finance": replaced(TERMS_OF_SALE, exchange_rate="1.2")}, "finance.exchange_rate"),
    (SOLD, {"finance": replaced(TERMS_OF_SALE, bundle=())}, "finance.bundle"),
    (SOLD, {"consideration": Money("EUR", 6)}, "consideration"),
    (grant(3, paid_nanos=5), {"finance": TERMS_OF_SALE}, "finance.entity"),
    (REVOKE, {"amount_units": 3}, "amount_units"),
    (REVOKE, {"goes_on": True}, "goes_on"),
    (RevokeGrant(WALLET, PURCHASE, amount_units=3), {"amount_units": 4}, "amount_units"),
    (REFUND, {"paid": True}, "paid"),
    (REFUND, {"exchange_rate": "1.1"}, "exchange_rate"),
    (ESTIMATE, {"grant_versions": (BONUS,)}, "grant_versions"),
    (ESTIMATE, {"expected_breakage": "0.2"}, "expected_breakage"),
    (ESTIMATED_UNITS, {"expected_redeemed_units": 91}, "expected_redeemed_units"),
    (REMOTE, {"grant_versions": (PURCHASE, BONUS)}, "grant_versions"),
    (ESCHEAT, {"grant_version": BONUS}, "grant_version"),
    (ESCHEAT, {"fraction": "0.7"}, "fraction"),
    (ESCHEAT, {"jurisdiction": ""}, "jurisdiction"),
    (SETTLE_REFUND, {"refund_version": 9}, "refund_version"),
    (SETTLE_REFUND, {"reference": ""}, "reference"),
    (POOL, {"currency_code": "USD"}, "currency_code"),
    (POOL, {"method": BreakageMethod.REMOTE}, "method"),
    (POOL, {"entity": ""}, "entity"),
    (POOL, {"term": ""}, "term"),
    (POOL, {"jurisdiction": ""}, "jurisdiction"),
    (POOL, {"expected_breakage": "0.2"}, "expected_breakage"),
    (POOL, {"escheat_fraction": ""}, "escheat_fraction"),
    (POOL_ESTIMATE, {"expected_breakage": "0.3"}, "expected_breakage"),
    (POOL_UNITS, {"expected_redeemed_units": 6}, "expected_redeemed_units"),
    (LOCK, {"from_day": date(2026, 1, 2)}, "from_day"),
    (LOCK, {"to_day": date(2026, 2, 2)}, "to_day"),
    (CLOSE_PERIOD, {"from_day": date(2026, 1, 2)}, "from_day"),
    (CLOSE_PERIOD, {"to_day": date(2026, 2, 2)}, "to_day"),
    (OPEN, {"entity": "acme-de"}, "entity"),
    (CURRENCY, {"currency_code": "EUR"}, "currency_code"),
    (RATE, {"currency_code": "GBP"}, "currency_code"),
    (RATE, {"rate": "1.2"}, "rate"),
    (RATE, {"from_time": after(days=1)}, "from_time"),
    (RATE, {"source": ""}, "source"),
]

KEYLESS: set[type[Command]] = {SettleWallet, SettleTransfer, ReturnTransfer}
"""Commands that are told from the state whether they were done."""
OWN_STREAM = {"wallet", "rate_card", "plan", "contract", "pool", "period", "entity"}
"""Fields that name the stream which scopes the key: with another one it is another key."""


def recorded(command: AnyCommand) -> Fact[Event]:  # noqa: C901
    """Return the event that answers a command, read back from its stored bytes."""
    if isinstance(command, ScheduleContractPhase | ExtendTrial | ChangePlan | EndContract):
        ledger = agreed(plan_phase("a", duration="P1M"), plan_phase())
        ledger.run(sign_contract())
        return stored(ledger, command)
    if command is INVOICE or command is NOTE:
        ledger = agreed()
        ledger.run(sign_contract())
        if command is NOTE:
            ledger.run(INVOICE)
        return stored(ledger, command)
    if command is WITHDRAW:
        return stored(book(create_rate_card(), publish_phase(from_time=after(days=1))), command)
    if isinstance(command, CreateBreakagePool | RevisePoolEstimate):
        return stored(book() if command is POOL else book(POOL), command)
    if isinstance(command, LockAccountingPeriod | CloseAccountingPeriod):
        return stored(book() if command is LOCK else book(LOCK), command)
    if isinstance(command, SetFunctionalCurrency | SetExchangeRate):
        return stored(book() if command is CURRENCY else book(CURRENCY), command)
    if command in (ACCEPT, REJECT, ADJUST):
        return stored(_proposed(accepts=command is ADJUST), command)
    ledger = book() if command is OPEN else agreed()
    if command is OPEN or ledger.states.get(WALLET) is None:
        return stored(ledger, command)
    ledger.run(grant(100, paid_nanos=700))
    ledger.run(grant(100, category=GrantCategory.PROMOTIONAL, expire_time=after(days=10)))
    assert ledger.place(hold(5)) == HOLD
    assert ledger.run(debit(5))[0].version == DEBIT
    if command is CLOSE:
        ledger.run(release(HOLD))
        return stored(ledger, command)
    ledger.run(grant(3, pending=True))
    ledger.run(ASK)
    if command is SETTLE_REFUND:
        assert ledger.run(refund(PURCHASE, 4))[0].version == command.refund_version
    return stored(ledger, command)


def _proposed(*, accepts: bool) -> Book:
    ledger = agreed()
    ledger.run(sign_contract())
    ledger.run(publish_phase(from_time=after(days=-1), retroactive=True))
    if accepts:
        ledger.run(ACCEPT)
    return ledger


def stored(ledger: Book, command: AnyCommand) -> Fact[Event]:
    """Run a command and read its answer back from bytes."""
    fact = ledger.answer(command, key="key-1")
    return decode_fact(TOPIC_OF[type(fact.event)], encode_fact(fact))


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda each: type(each).__name__)
def test_the_same_command_is_the_same_call(command: AnyCommand) -> None:
    check_same_call(command, recorded(command))


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda each: type(each).__name__)
def test_the_same_command_is_the_same_call_even_if_fingerprints_are_made_anew(command: AnyCommand) -> None:
    check_same_call(command, msgspec.structs.replace(recorded(command), fingerprint="of an older version"))


@pytest.mark.parametrize(
    ("command", "changes", "field"),
    CHANGES,
    ids=[f"{type(command).__name__}-{'-'.join(changes)}" for command, changes, _ in CHANGES],
)
def test_another_field_makes_another_call_and_is_named(
    command: AnyCommand, changes: dict[str, object], field: str
) -> None:
    other: AnyCommand = msgspec.structs.replace(command, **changes)

    with pytest.raises(IdempotencyKeyReused) as refused:
        check_same_call(other, recorded(command))

    assert refused.value.metadata == {"differing_field": field}
    assert refused.value.field == "idempotency_key"
    assert fingerprint(other) != fingerprint(command)


def test_every_field_of_every_keyed_command_is_changed_above_or_excused() -> None:
    changed = {(type(command), name) for command, changes, _ in CHANGES for name in changes}
    own = {
        (each, each.__struct_fields__[0])
        for each in get_args(AnyCommand)
        if each.__struct_fields__[0] in OWN_STREAM
    }
    all_fields = {
        (each, name)
        for each in get_args(AnyCommand)
        if each not in KEYLESS
        for name in each.__struct_fields__
    }

    assert {(each.__name__, name) for each, name in all_fields - changed - own} == {
        # It says how, not what; a capture asked again under the other policy is the same capture.
        ("CaptureHold", "over_hold"),
        # Facts of the log that follow from debit_version.
        ("ReverseDebit", "recorded"),
        ("PublishRateCardPhase", "retroactive"),
        # Evidence of what was known when a phase was accepted.
        ("AcceptRateCardPhase", "watermark_position"),
        ("AcceptRateCardPhase", "rerating_hash"),
        # Said by the charge already: the card by its phase, the parts by its adjustment.
        ("RecordAdjustment", "rate_card"),
        ("RecordAdjustment", "parts"),
        # Facts of the log that follow from the destination, the grant or the transfer.
        ("TransferCredits", "recorded"),
        ("ChargeBackGrant", "recorded"),
        ("RecordEscheat", "recorded"),
        # What was read of the journal: it follows from the period.
        ("CloseAccountingPeriod", "locked_position"),
        ("CloseAccountingPeriod", "figures_hash"),
        # Whose books they are follows from the wallet or from the entity that is named, and the terms from them.
        ("GrantCredits", "books"),
        ("ActivateGrant", "books"),
        ("ActivateGrant", "finance"),
        ("SettleTopUp", "books"),
        ("SettleTopUp", "finance"),
        ("RequestTopUp", "books_currency"),
        ("OpenWallet", "books_currency"),
        ("UpdateWallet", "books_currency"),
        ("ReceiveTransfer", "slices"),
        ("ReceiveTransfer", "customer"),
        ("ReceiveTransfer", "asset"),
        # The contract's own, which never changes.
        ("ScheduleContractPhase", "wallet"),
        ("ExtendTrial", "wallet"),
        ("ChangePlan", "wallet"),
        # It says when not to do it; the change is the same.
        ("ChangePlan", "expected_change_version"),
        ("EndContract", "wallet"),
    }


@pytest.mark.parametrize(
    ("command", "known"),
    [
        (FULL_DEBIT, "8f5bb6f456900a1f1e49e12fa3b75f5c"),
        (CHARGED_DEBIT, "f538fe5d5e1ec5cba93b1c6df9b0cc5e"),
        (debit(3, take_available=True), "e22aa69c79661c59ae04055a847332c6"),
        (FULL_HOLD, "4c4f25e749d99766e21f0facdd748e79"),
        (CAPTURE, "081836b39b42e292c4c9ac34f4dc5d90"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_the_fingerprint_of_a_command_without_key_and_user_is_frozen(command: AnyCommand, known: str) -> None:
    assert fingerprint(command) == known


def test_every_keyed_command_has_an_example() -> None:
    keyed: set[type[Command]] = set(get_args(AnyCommand)) - KEYLESS

    assert {type(command) for command in EXAMPLES} == keyed


def test_usage_that_is_sent_again_at_another_price_gets_its_first_answer() -> None:
    first = recorded(CHARGED_DEBIT)
    dearer = debit(charge=charge("3", "4.5", unit_price="2"), feature="chat")

    check_same_call(dearer, first)

    assert fingerprint(dearer) == fingerprint(CHARGED_DEBIT)


def test_a_hold_whose_estimate_has_changed_gets_its_first_answer() -> None:
    changed = msgspec.structs.replace(ESTIMATED, amount_units=9)

    assert fingerprint(changed) == fingerprint(ESTIMATED) != fingerprint(hold(7))


def test_the_order_of_a_scope_does_not_make_another_call() -> None:
    check_same_call(msgspec.structs.replace(FULL_GRANT, scope=("chat", "code")), recorded(FULL_GRANT))


def test_the_order_of_properties_and_definitions_does_not_make_another_call() -> None:
    one = debit(charge=charge("1", properties={"a": "1", "b": "2"}))
    other = debit(charge=charge("1", properties={"b": "2", "a": "1"}))

    check_same_call(other, recorded(one))
    check_same_call(msgspec.structs.replace(CARD, unit_definitions={"b": "B", "a": "A"}), recorded(CARD))


def test_the_default_length_of_a_hold_may_be_said_or_left_out() -> None:
    check_same_call(hold(3, ttl=TTL_DEFAULT), recorded(hold(3)))
    check_same_call(hold(3), recorded(hold(3, ttl=TTL_DEFAULT)))


@pytest.mark.parametrize(
    ("everything", "part"),
    [
        (msgspec.structs.replace(REVERSE, amount_units=0), msgspec.structs.replace(REVERSE, amount_units=5)),
        (refund(PURCHASE), refund(PURCHASE, 100)),
    ],
    ids=["reversal", "refund"],
)
def test_all_that_is_left_is_another_call_than_as_much_said_in_units(
    everything: AnyCommand, part: AnyCommand
) -> None:
    first = recorded(everything)

    check_same_call(everything, first)
    assert fingerprint(everything) != fingerprint(part)


def test_a_refund_whose_tax_is_left_to_the_ledger_is_the_one_that_stated_as_much() -> None:
    ledger = book(open_wallet(), sale(100, terms=SaleTerms(tax=Money("EUR", 19))))
    first = ledger.answer(refund(2, 50))
    stated = msgspec.structs.replace(refund(2, 50), tax=Money("EUR", 9))

    check_same_call(refund(2, 50), first)
    check_same_call(stated, first)
    with pytest.raises(IdempotencyKeyReused):
        check_same_call(msgspec.structs.replace(stated, tax=Money("EUR", 8)), first)


def test_a_retry_without_an_effective_time_is_the_same_call_later() -> None:
    ledger = book(open_wallet(), grant(5))

    check_same_call(debit(3), ledger.answer(debit(3), after(days=1)))


def test_a_contract_without_a_plan_version_stays_the_same_call_after_a_newer_version() -> None:
    ledger = agreed()
    first = ledger.answer(sign_contract())
    ledger.run(publish_plan(plan_phase("newer")))

    check_same_call(sign_contract(), first)
    check_same_call(sign_contract(plan_version=1), first)

    assert isinstance(first.event, ContractSigned)
    assert first.event.plan_version == 1


def test_a_key_is_scoped_to_its_stream() -> None:
    assert hash_key("wallets/a", "k") != hash_key("wallets/b", "k")
    assert hash_key("wallets/a", "k") == hash_key("wallets/a", "k")
    assert len(hash_key("wallets/a", "k")) == 16


def test_commands_of_different_types_never_share_a_fingerprint() -> None:
    assert len({fingerprint(command) for command in EXAMPLES}) == len(EXAMPLES)
