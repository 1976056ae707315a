"""Stored bytes are frozen: one full example of each topic, exactly as the store holds it.

A difference here means that events stored yesterday, or their hashes, would be read or checked differently.
Add a member with a default and the old text must still decode; never edit what is in golden_events.json. A
topic whose event grew has another example there, named `topic+1`, with the members that came later.
"""

import ast
import inspect
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from ledger_service.domain import events as e
from ledger_service.domain import topics
from ledger_service.domain.agreement.rate_card import hash_phase
from ledger_service.domain.events import agreements as a
from ledger_service.domain.events import price_models as m
from ledger_service.domain.record import Record
from ledger_service.domain.topics import (
    GENESIS_HASH,
    TOPIC_OF,
    TOPICS,
    UnknownTopicError,
    decode_fact,
    encode_fact,
    hash_event,
)
from ledger_service.domain.values import (
    AlertKind,
    Asset,
    BeyondLastTier,
    BreakageMethod,
    ChangeTiming,
    Counters,
    CrossingDirection,
    CycleInterval,
    FeeTiming,
    GrantCategory,
    InvoiceKind,
    Money,
    NoteSettlement,
    RateScope,
    ShortfallMode,
    UnitPrice,
)

GOLDEN: dict[str, str] = json.loads(
    Path(__file__).with_name("golden_events.json").read_text(encoding="utf-8")
)

RECORDED = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
EFFECTIVE = datetime(2026, 3, 1, 11, 59, tzinfo=UTC)
LATER = datetime(2027, 3, 1, tzinfo=UTC)
CREDIT = Asset("CREDIT", 6)
TERMS = a.PlanPhase(
    key="trial",
    rate_card="rateCards/llm",
    shortfall_mode=ShortfallMode.SOFT,
    duration="P14D",
    base_fee=Money("EUR", 29_000_000_000),
    included_units=5_000_000,
    overage_price=UnitPrice("EUR", "0.0125"),
)
LIMITED = msgspec.structs.replace(TERMS, overage_limit_units=7)
ENTITLED = msgspec.structs.replace(
    LIMITED,
    features=("chat", "code"),
    requests_per_minute=60,
    tokens_per_minute=90_000,
    alert_percents=(50, 100),
    spend_cap_units=1_000,
    spend_cap_period="P1D",
)
SLOWED = msgspec.structs.replace(
    ENTITLED,
    key_requests_per_minute=6,
    key_tokens_per_minute=9_000,
    slow_down_from_percent=80,
    slow_down_max_delay_ms=2_000,
    upgrade_hint="plans/team",
)
BILLED = msgspec.structs.replace(
    SLOWED,
    included_roll_over=e.IncludedRollOver("50", 1_000, 2),
    seat_fee=Money("EUR", 10_000_000_000),
    seats=3,
    minimum_spend=Money("EUR", 5_000_000_000),
    maximum_spend=Money("EUR", 500_000_000_000),
    commitment=e.Commitment(Money("EUR", 12_000_000_000_000), "P1Y", "1.25", prepaid=True),
    invoice_threshold=Money("EUR", 100_000_000_000),
    tax_rates=(e.TaxRate("VAT", "19", "DE"),),
)
CARDED = msgspec.structs.replace(
    BILLED, additional_cards=(a.PhaseCard("rateCards/images", ("draw",), {"model": "flux-*"}),)
)
PREPAID = msgspec.structs.replace(CARDED, fee_timing=FeeTiming.ADVANCE)
BILLED_AMOUNTS = (e.BilledAmount("BASE_FEE", 29_000_000_000, EFFECTIVE, LATER, "plans/pro"),)
CHARGE = e.Charge(
    contract="contracts/acme",
    contract_phase="trial",
    rate_card_phase="rateCards/llm/phases/1",
    phase_hash="ab" * 32,
    lines=(e.ChargeLine("input_tokens", 1500, "2.5", "6.75", unit_size=1000, multiplier="1.8"),),
    exact_units="6.75",
    properties={"model": "großes-modell"},
    overage_price=UnitPrice("EUR", "0.0125"),
)

TIERED_CHARGE = msgspec.structs.replace(
    CHARGE,
    lines=(
        e.ChargeLine(
            "output_tokens",
            1500,
            "",
            "6.75",
            unit_size=1000,
            multiplier="1.8",
            model="graduated",
            parts=(m.ChargePart("QUANTITY", "6.75", tier=2, quantity=1500, price="2.5"),),
            total_before=m.RunningTotal("rateCards/llm:output_tokens{}", 40, 3),
            provider_cost="0.0075",
        ),
    ),
    provider_cost="0.0075",
    cost_currency="USD",
)
METERED_CHARGE = msgspec.structs.replace(
    TIERED_CHARGE,
    lines=(
        msgspec.structs.replace(
            TIERED_CHARGE.lines[0],
            total_before=m.RunningTotal("rateCards/llm:output_tokens{}", 40, 3, EFFECTIVE, LATER),
        ),
    ),
)
ADJUSTED_CHARGE = msgspec.structs.replace(
    METERED_CHARGE,
    adjustment=e.Adjustment(
        cycle_start_time=EFFECTIVE,
        cycle_end_time=LATER,
        charged_units="9.5",
        rated_units="16.25",
        number=2,
        left_units="1.5",
        taken_back=(e.TakenBack(3, 1),),
        meters=(e.MeterMoved("rateCards/llm:output_tokens{}", 40, 3, 50, 4),),
        watermark_position=70,
    ),
)
FULL_RATE = a.Rate(
    "input_tokens",
    "",
    unit_size=1000,
    match={"model": "g*"},
    price_model=m.GraduatedModel((m.PriceTier("2.5", "1.5", 100), m.PriceTier("2", "3"))),
    scope=RateScope.USAGE,
    free_units=5,
    usage_minimum="0.5",
    usage_maximum="9",
    cycle_minimum="1.25",
    cycle_maximum="99",
    zero_quantity_free=True,
    provider_cost="0.0075",
    charge_if={"outcome": "resolved"},
)
"""Every member of a rate, though no publication would let all of them stand together."""
MODELS: tuple[m.PriceModel, ...] = (
    m.FlatModel("3"),
    m.VolumeModel((m.PriceTier("1"),)),
    m.PackageModel("5"),
    m.PercentageModel("1.2", "0.1", 3),
    m.GraduatedPercentageModel((m.PercentageTier("1", "200", 10), m.PercentageTier("2", "300"))),
    m.MultiplierModel("1.5"),
)

GRANTED = e.CreditsGranted(
    amount_units=9_223_372_036_854_775_807,
    category=GrantCategory.PAID,
    priority=3,
    scope=("chat", "code"),
    expire_time=LATER,
    consideration=Money("EUR", 100_000_000_000),
    contract="contracts/acme",
    reference="order-1",
)
DEBITED = e.CreditsDebited(
    amount_units=6,
    draws=(e.Draw(2, 4), e.Draw(5, 1)),
    burn_down_order="default/1",
    overage_units=1,
    feature="chat",
    delivered=True,
    charge=CHARGE,
)
HELD = e.CreditsHeld(7, (e.Draw(2, 4), e.Draw(5, 3)), LATER, "default/1", feature="chat")
CAPTURED = e.HoldCaptured(
    hold_version=6,
    amount_units=10,
    held_draws=(e.Draw(2, 4),),
    burn_down_order="default/1",
    final=False,
    returned=(e.Draw(5, 3),),
    draws=(e.Draw(7, 1),),
    overage_units=2,
    debt_units=3,
    feature="chat",
    charge=CHARGE,
)
RECURRENCE = e.Recurrence(
    period="P1M",
    anchor_time=EFFECTIVE,
    zone="Europe/Berlin",
    number=2,
    periods_left=10,
    roll_over=e.RollOver("50", 3, cap_units=1_000),
)
AUTO_TOP_UP = e.AutoTopUp(
    threshold_units=10,
    price=Money("EUR", 5_000_000_000),
    price_units=100,
    amount_units=200,
    per_day_max=2,
    per_month_max=20,
    back_off_seconds=60,
    back_off_max_seconds=600,
    valid_for="P1Y",
    zone="Europe/Berlin",
)
RULES = e.WalletRules(
    late_usage_grace_seconds=3600,
    spend_cap=e.SpendCap(500, "P1M", EFFECTIVE, zone="Europe/Berlin"),
    budgets=(e.Budget("bots", 50, EFFECTIVE, api_key="key-7", period="P1D", zone="Europe/Berlin"),),
    alerts=e.AlertRules((50, 80), (10, 0), e.FastRise("PT1H", 24, "3", minimum_units=5)),
    auto_top_up=AUTO_TOP_UP,
)
LOT = e.LotTerms(
    category=GrantCategory.PAID,
    priority=3,
    granted_units=100,
    effective_time=EFFECTIVE,
    expire_time=LATER,
    scope=("chat",),
    consideration=Money("EUR", 5_000_000_000),
    purchase_version=2,
    recurrence=RECURRENCE,
    series_version=4,
)
REVERSED = e.DebitReversed(
    debit_version=9, amount_units=6, returned=(e.Return(2, 3, LOT),), overage_units=1, debt_units=2
)

SIGNED = a.ContractSigned(
    customer="customers/acme",
    wallet="wallets/acme",
    plan="plans/pro",
    plan_version=2,
    asset=CREDIT,
    start_time=EFFECTIVE,
    cycle=a.Cycle(CycleInterval.MONTH, EFFECTIVE, count=3, zone="Europe/Berlin"),
    phases=(a.ContractPhase(EFFECTIVE, TERMS, LATER),),
)

FINANCE = e.FinanceTerms(
    entity="acme-de",
    product="packs",
    pool="breakagePools/packs",
    expected_breakage="0.1",
    expected_redeemed_units=900,
    expected_of_units=1_000,
    bonus_units=100,
    tax=Money("EUR", 19_000_000_000),
    functional_currency="USD",
    exchange_rate="1.1",
    bundle=(e.BundledItem("support", Money("EUR", 5_000_000_000), EFFECTIVE, LATER),),
)
STATED = e.SaleTerms(
    entity="acme-de",
    product="packs",
    pool="breakagePools/packs",
    expected_breakage="0.1",
    expected_redeemed_units=900,
    bonus_units=100,
    tax=Money("EUR", 1_900_000_000),
    functional_currency="USD",
    exchange_rate="1.1",
    standalone_price=Money("EUR", 8_000_000_000),
    bundle=(e.BundledItemTerms("support", Money("EUR", 4_000_000_000), EFFECTIVE, LATER),),
    resolved=("entity",),
)
TAXED_SLICE = e.TransferSlice(2, 40, LOT, Money("EUR", 2_000_000_000), Money("EUR", 380_000_000))

EXAMPLES: dict[str, e.Event] = {
    "wallet.WalletOpened.v1": e.WalletOpened(
        "customers/acme", CREDIT, ShortfallMode.SOFT, overage_limit_units=100
    ),
    "wallet.WalletOpened.v1+1": e.WalletOpened(
        "customers/acme", CREDIT, ShortfallMode.SOFT, overage_limit_units=100, burn_down_order="fifo/1"
    ),
    "wallet.WalletPolicyChanged.v1": e.WalletPolicyChanged(
        "contracts/acme", "trial", ShortfallMode.HARD, overage_limit_units=7
    ),
    "wallet.CreditsGranted.v1": GRANTED,
    "wallet.CreditsGranted.v1+1": msgspec.structs.replace(
        GRANTED, purchase_version=2, recurrence=RECURRENCE, series_version=4
    ),
    "wallet.CreditsDebited.v1": DEBITED,
    "wallet.CreditsDebited.v1+1": msgspec.structs.replace(
        DEBITED,
        amount_units=8,
        debt_units=2,
        take_available=True,
        requested_units=9,
        late_hold_version=3,
    ),
    "wallet.CreditsDebited.v1+2": msgspec.structs.replace(
        DEBITED,
        amount_units=8,
        debt_units=2,
        take_available=True,
        requested_units=9,
        late_hold_version=3,
        late_grants=(5,),
    ),
    "wallet.CreditsDebited.v1+3": msgspec.structs.replace(
        DEBITED,
        debt_units=2,
        amount_units=8,
        take_available=True,
        requested_units=9,
        late_hold_version=4,
        late_grants=(5,),
        charge=TIERED_CHARGE,
    ),
    "wallet.CreditsDebited.v1+4": msgspec.structs.replace(
        DEBITED,
        amount_units=8,
        debt_units=2,
        take_available=True,
        requested_units=9,
        late_hold_version=3,
        late_grants=(5,),
        api_key="key-7",
        user="ann",
    ),
    "wallet.CreditsDebited.v1+5": msgspec.structs.replace(
        DEBITED,
        amount_units=8,
        debt_units=2,
        take_available=True,
        requested_units=9,
        late_hold_version=3,
        late_grants=(5,),
        charge=METERED_CHARGE,
        api_key="key-7",
        user="ann",
    ),
    "wallet.CreditsDebited.v1+6": msgspec.structs.replace(
        DEBITED,
        amount_units=8,
        debt_units=2,
        take_available=True,
        requested_units=9,
        late_hold_version=3,
        late_grants=(5,),
        charge=ADJUSTED_CHARGE,
        api_key="key-7",
        user="ann",
    ),
    "wallet.CreditsExpired.v1": e.CreditsExpired(grant_version=2, amount_units=4),
    "wallet.CreditsHeld.v1": HELD,
    "wallet.CreditsHeld.v1+1": msgspec.structs.replace(HELD, api_key="key-7", user="ann"),
    "wallet.CreditsHeld.v1+2": msgspec.structs.replace(
        HELD, api_key="key-7", user="ann", estimate_of="request 1"
    ),
    "wallet.HoldCaptured.v1": CAPTURED,
    "wallet.HoldCaptured.v1+1": msgspec.structs.replace(CAPTURED, api_key="key-7", user="ann"),
    "wallet.HoldReleased.v1": e.HoldReleased(6, (e.Draw(5, 3), e.Draw(2, 4)), timed_out=True),
    "wallet.DebitReversed.v1": REVERSED,
    "wallet.DebitReversed.v1+1": msgspec.structs.replace(
        REVERSED, debit_time=RECORDED, api_key="key-7", user="ann", feature="chat"
    ),
    "wallet.GrantRevoked.v1": e.GrantRevoked(2, 40, reason="fraud", clawback=True),
    "wallet.GrantRefunded.v1": e.GrantRefunded(2, 40, Money("EUR", 2_000_000_000)),
    "wallet.GrantExpiryExtended.v1": e.GrantExpiryExtended(2, LATER),
    "wallet.CreditsRolledOver.v1": e.CreditsRolledOver(2, 50, LOT, RECURRENCE),
    "wallet.DebtRepaid.v1": e.DebtRepaid(2, 3, (e.Repayment(9, 2), e.Repayment(11, 1))),
    "wallet.WalletOpened.v1+2": e.WalletOpened(
        "customers/acme",
        CREDIT,
        ShortfallMode.SOFT,
        overage_limit_units=100,
        burn_down_order="fifo/1",
        rules=RULES,
    ),
    "wallet.WalletUpdated.v1": e.WalletUpdated(
        ("overage_limit_units", "rules"), ShortfallMode.SOFT, overage_limit_units=7, rules=RULES
    ),
    "wallet.CreditsGranted.v1+2": msgspec.structs.replace(
        GRANTED, purchase_version=2, recurrence=RECURRENCE, series_version=4, compensates_version=9
    ),
    "wallet.CreditsGranted.v1+3": msgspec.structs.replace(
        GRANTED,
        purchase_version=2,
        recurrence=RECURRENCE,
        series_version=4,
        compensates_version=9,
        pending=True,
        top_up_version=5,
    ),
    "wallet.CreditsGranted.v1+4": msgspec.structs.replace(
        GRANTED,
        purchase_version=2,
        recurrence=msgspec.structs.replace(RECURRENCE, periods_before=-4),
        series_version=4,
        compensates_version=9,
        pending=True,
        top_up_version=5,
    ),
    "wallet.CreditsExpired.v1+1": e.CreditsExpired(grant_version=2, amount_units=4, pending=True),
    "wallet.GrantRevoked.v1+1": e.GrantRevoked(2, 40, reason="fraud", clawback=True, pending=True),
    "wallet.GrantActivated.v1": e.GrantActivated(2, LOT),
    "wallet.TopUpRequested.v1": e.TopUpRequested(
        amount_units=200,
        price=Money("EUR", 10_000_000_000),
        valid_for="P1Y",
        zone="Europe/Berlin",
        expire_time=LATER,
        priority=3,
        scope=("chat", "code"),
        reference="order-2",
        automatic=True,
        day_end_time=EFFECTIVE,
        month_end_time=LATER,
    ),
    "wallet.TopUpSettled.v1": e.TopUpSettled(
        3, e.TopUpOutcome.FAILED, payment_reference="pay-1", failure_reason="declined", retry_time=LATER
    ),
    "wallet.CreditsTransferredOut.v1": e.CreditsTransferredOut(
        "wallets/beta", 40, (e.TransferSlice(2, 40, LOT, Money("EUR", 2_000_000_000)),), "default/1"
    ),
    "wallet.CreditsTransferredIn.v1": e.CreditsTransferredIn("wallets/acme", 7, 1, 2, 40, LOT),
    "wallet.TransferSettled.v1": e.TransferSettled(7),
    "wallet.TransferReturned.v1": e.TransferReturned(
        7, (e.TransferSlice(2, 40, LOT, Money("EUR", 2_000_000_000)),), "AMOUNT_OUT_OF_RANGE"
    ),
    "wallet.GrantChargedBack.v1": e.GrantChargedBack(
        2,
        Money("EUR", 5_000_000_000),
        40,
        Money("EUR", 3_000_000_000),
        granted_units=100,
        whole=False,
        reference="dispute-1",
    ),
    "wallet.ReceivableLowered.v1": e.ReceivableLowered(2, 10, Money("EUR", 500_000_000)),
    "wallet.WalletClosed.v1": e.WalletClosed(forfeit=True, forfeited_units=40),
    "wallet.ThresholdCrossed.v1": e.ThresholdCrossed(
        AlertKind.FAST_RISE, 31, CrossingDirection.RISING, 969, 1_000, window_units=31
    ),
    "rate_card.RateCardCreated.v1": a.RateCardCreated(CREDIT, "LLM prices", {"input_tokens": "tokens sent"}),
    "rate_card.RateCardPhasePublished.v1": a.RateCardPhasePublished(
        phase=1,
        from_time=EFFECTIVE,
        rates=(a.Rate("input_tokens", "2.5", unit_size=1000, match={"model": "g*"}),),
        phase_hash="cd" * 32,
        multipliers=(
            a.Multiplier(
                "context_tokens",
                (a.MultiplierTier(8192, "1.0"), a.MultiplierTier(32768, "1.8")),
                dimensions=("input_tokens",),
                beyond_last_tier=BeyondLastTier.LAST_APPLIES,
            ),
        ),
    ),
    "rate_card.RateCardPhasePublished.v1+1": a.RateCardPhasePublished(
        phase=2,
        from_time=EFFECTIVE,
        rates=(FULL_RATE, *(a.Rate("calls", "", price_model=model) for model in MODELS)),
        phase_hash="cd" * 32,
        multipliers=(
            a.Multiplier(
                "prompt_tokens",
                (a.MultiplierTier(200_000, "1"),),
                dimensions=("input_tokens",),
                beyond_last_tier=BeyondLastTier.LAST_APPLIES,
                sum_of=("input_tokens", "cached_input_tokens"),
            ),
        ),
        brackets=(m.Bracket("context", ("input_tokens",), (m.Band("short", 200_000), m.Band("long"))),),
        counters=Counters.RESTART,
        cost_currency="USD",
    ),
    "plan.PlanPublished.v1": a.PlanPublished(2, CREDIT, (TERMS,), "Pro"),
    "plan.PlanPublished.v1+1": a.PlanPublished(2, CREDIT, (LIMITED,), "Pro"),
    "contract.ContractSigned.v1": SIGNED,
    "contract.ContractSigned.v1+1": msgspec.structs.replace(
        SIGNED, phases=(a.ContractPhase(EFFECTIVE, LIMITED, LATER),)
    ),
    "wallet.WalletPolicyChanged.v1+1": e.WalletPolicyChanged(
        "contracts/acme",
        "trial",
        ShortfallMode.HARD,
        overage_limit_units=7,
        ended_contract="contracts/old",
        replaces_later=True,
    ),
    "plan.PlanPublished.v1+2": a.PlanPublished(2, CREDIT, (ENTITLED,), "Pro"),
    "contract.ContractPhaseScheduled.v1": e.ContractPhaseScheduled(
        EFFECTIVE, ("key", "rate_card"), (a.ContractPhase(EFFECTIVE, ENTITLED, LATER),), replace_later=True
    ),
    "contract.TrialExtended.v1": e.TrialExtended(
        "trial", RECORDED, LATER, EFFECTIVE, (a.ContractPhase(RECORDED, TERMS, LATER),)
    ),
    "contract.PlanChanged.v1": e.PlanChanged(
        from_time=EFFECTIVE,
        plan="plans/max",
        plan_version=3,
        timing=ChangeTiming.AT_ONCE,
        phases=(a.ContractPhase(EFFECTIVE, ENTITLED, LATER),),
        previous_plan="plans/pro",
        previous_plan_version=2,
        previous_terms=TERMS,
        take_trial=True,
    ),
    "contract.ContractEnded.v1": e.ContractEnded(EFFECTIVE),
    "rate_card.RateCardPhaseWithdrawn.v1": e.RateCardPhaseWithdrawn(4),
    "rate_card.RateCardPhaseProposed.v1": e.RateCardPhaseProposed(
        a.RateCardPhasePublished(
            phase=5, from_time=EFFECTIVE, rates=(a.Rate("input_tokens", "2.5"),), phase_hash="cd" * 32
        )
    ),
    "rate_card.RateCardPhaseAccepted.v1": e.RateCardPhaseAccepted(5, 1_000, "ef" * 32),
    "rate_card.RateCardPhaseRejected.v1": e.RateCardPhaseRejected(5),
    "plan.PlanPublished.v1+3": a.PlanPublished(2, CREDIT, (SLOWED,), "Pro"),
    "wallet.WalletPolicyChanged.v1+2": e.WalletPolicyChanged(
        "contracts/acme",
        "trial",
        ShortfallMode.HARD,
        overage_limit_units=7,
        ended_contract="contracts/old",
        replaces_later=True,
        spend_cap=e.SpendCap(500, "P1M", EFFECTIVE, zone="Europe/Berlin"),
    ),
    "wallet.WalletPolicyChanged.v1+3": e.WalletPolicyChanged(
        "contracts/acme",
        "trial",
        ShortfallMode.HARD,
        overage_limit_units=7,
        ended_contract="contracts/old",
        replaces_later=True,
        spend_cap=e.SpendCap(500, "P1M", EFFECTIVE, zone="Europe/Berlin"),
        alert_percents=(50, 100),
    ),
    "plan.PlanPublished.v1+4": a.PlanPublished(2, CREDIT, (BILLED,), "Pro"),
    "plan.PlanPublished.v1+5": a.PlanPublished(2, CREDIT, (CARDED,), "Pro"),
    "plan.PlanPublished.v1+6": a.PlanPublished(2, CREDIT, (PREPAID,), "Pro"),
    "contract.InvoiceIssued.v1": e.InvoiceIssued(
        invoice="invoices/acme-20260301T115900Z",
        kind=InvoiceKind.CYCLE,
        cycle_start_time=EFFECTIVE,
        cycle_end_time=LATER,
        watermark_position=77,
        document_hash="cd" * 32,
        issue_time=EFFECTIVE,
        currency_code="EUR",
        amounts=BILLED_AMOUNTS,
        tax_nanos=5_510_000_000,
        total_nanos=34_510_000_000,
    ),
    "contract.CreditNoteIssued.v1": e.CreditNoteIssued(
        credit_note="creditNotes/acme-1",
        invoice="invoices/acme-20260301T115900Z",
        settlement=NoteSettlement.CREDIT,
        document_hash="ef" * 32,
        issue_time=EFFECTIVE,
        currency_code="EUR",
        amounts=BILLED_AMOUNTS,
        tax_nanos=5_510_000_000,
        total_nanos=34_510_000_000,
        reason="outage",
    ),
    "wallet.CreditsGranted.v1+5": msgspec.structs.replace(
        GRANTED,
        purchase_version=2,
        recurrence=RECURRENCE,
        series_version=4,
        compensates_version=9,
        pending=True,
        top_up_version=7,
        finance=FINANCE,
    ),
    "wallet.CreditsRolledOver.v1+1": e.CreditsRolledOver(
        2, 50, msgspec.structs.replace(LOT, finance=FINANCE), RECURRENCE
    ),
    "wallet.GrantRevoked.v1+2": e.GrantRevoked(
        2, 40, reason="fraud", clawback=True, pending=True, partial=True
    ),
    "wallet.GrantRevoked.v1+3": e.GrantRevoked(
        2, 40, reason="fraud", clawback=True, pending=True, partial=True, rest=True
    ),
    "wallet.GrantRefunded.v1+1": e.GrantRefunded(2, 40, Money("EUR", 2_000_000_000), True, "1.2"),
    "wallet.DebitReversed.v1+2": msgspec.structs.replace(
        REVERSED,
        debit_time=RECORDED,
        api_key="key-7",
        user="ann",
        feature="chat",
        overage_price=UnitPrice("EUR", "0.02"),
    ),
    "wallet.BreakageEstimateRevised.v1": e.BreakageEstimateRevised((2, 3), "0.25", 900, 1_000),
    "wallet.BreakageDeclaredRemote.v1": e.BreakageDeclaredRemote((2, 3)),
    "wallet.ConsiderationEscheated.v1": e.ConsiderationEscheated(2, "0.6", "Delaware"),
    "wallet.RefundSettled.v1": e.RefundSettled(7, 2, Money("EUR", 30_000_000_000), "transfer 8", "1.1"),
    "wallet.GrantRefunded.v1+2": e.GrantRefunded(
        2, 40, Money("EUR", 2_000_000_000), True, "1.2", Money("EUR", 380_000_000)
    ),
    "wallet.RefundSettled.v1+1": e.RefundSettled(
        7, 2, Money("EUR", 30_000_000_000), "transfer 8", "1.1", Money("EUR", 5_700_000_000)
    ),
    "wallet.GrantChargedBack.v1+1": e.GrantChargedBack(
        2,
        Money("EUR", 5_000_000_000),
        40,
        Money("EUR", 3_000_000_000),
        granted_units=100,
        whole=False,
        reference="dispute-1",
        tax=Money("EUR", 950_000_000),
        tax_receivable=Money("EUR", 570_000_000),
    ),
    "wallet.ReceivableLowered.v1+1": e.ReceivableLowered(
        2, 10, Money("EUR", 500_000_000), Money("EUR", 95_000_000)
    ),
    "wallet.CreditsTransferredOut.v1+1": e.CreditsTransferredOut(
        "wallets/beta", 40, (TAXED_SLICE,), "default/1"
    ),
    "wallet.TransferReturned.v1+1": e.TransferReturned(7, (TAXED_SLICE,), "AMOUNT_OUT_OF_RANGE"),
    "wallet.TopUpRequested.v1+1": e.TopUpRequested(
        amount_units=200,
        price=Money("EUR", 10_000_000_000),
        valid_for="P1Y",
        zone="Europe/Berlin",
        expire_time=LATER,
        priority=3,
        scope=("chat", "code"),
        reference="order-2",
        automatic=True,
        day_end_time=EFFECTIVE,
        month_end_time=LATER,
        finance=STATED,
    ),
    "wallet.TopUpSettled.v1+1": e.TopUpSettled(
        3,
        e.TopUpOutcome.SUCCEEDED,
        payment_reference="pay-1",
        failure_reason="declined",
        retry_time=LATER,
        tax=Money("EUR", 1_900_000_000),
        exchange_rate="0.9",
    ),
    "wallet.WalletUpdated.v1+1": e.WalletUpdated(
        ("rules.auto_top_up",),
        ShortfallMode.SOFT,
        overage_limit_units=7,
        rules=msgspec.structs.replace(
            RULES, auto_top_up=msgspec.structs.replace(AUTO_TOP_UP, finance=STATED)
        ),
    ),
    "breakage_pool.BreakagePoolCreated.v1": e.BreakagePoolCreated(
        "EUR", BreakageMethod.PROPORTIONAL, "acme-de", "12 months", "Delaware", "0.1", "0.6"
    ),
    "breakage_pool.PoolEstimateRevised.v1": e.PoolEstimateRevised("0.25", 900),
    "accounting_period.AccountingPeriodLocked.v1": e.AccountingPeriodLocked(
        date(2026, 2, 1), date(2026, 3, 1)
    ),
    "accounting_period.AccountingPeriodClosed.v1": e.AccountingPeriodClosed(
        date(2026, 2, 1), date(2026, 3, 1), 41, "cd" * 32
    ),
    "entity.FunctionalCurrencySet.v1": e.FunctionalCurrencySet("USD"),
    "entity.ExchangeRateSet.v1": e.ExchangeRateSet("EUR", "1.0825", EFFECTIVE, "ECB reference rate"),
    "wallet.WalletOpened.v1+3": e.WalletOpened(
        "customers/acme",
        CREDIT,
        ShortfallMode.SOFT,
        overage_limit_units=100,
        burn_down_order="fifo/1",
        rules=RULES,
        entity="acme-de",
    ),
    "wallet.CreditsGranted.v1+6": msgspec.structs.replace(
        GRANTED,
        purchase_version=2,
        recurrence=RECURRENCE,
        series_version=4,
        compensates_version=9,
        pending=True,
        top_up_version=7,
        finance=msgspec.structs.replace(FINANCE, resolved=("entity", "exchange_rate")),
    ),
}


def as_recorded(event: e.Event) -> e.Fact[e.Event]:
    """Return an event with all that every event carries."""
    return e.Fact(
        event, RECORDED, EFFECTIVE, GENESIS_HASH, "service-a", "key-1", "00112233445566778899aabbccddeeff"
    )


def topic_of(name: str) -> str:
    """Return the topic that an example stands for."""
    return name.partition("+")[0]


FULLEST = {topic_of(name): name for name in EXAMPLES}
"""By topic, the example with the members that came last."""


def test_every_topic_has_a_golden_example_and_no_golden_topic_is_forgotten() -> None:
    assert FULLEST.keys() == TOPICS.keys()
    assert GOLDEN.keys() == EXAMPLES.keys()
    assert all(TOPIC_OF[type(event)] == topic_of(name) for name, event in EXAMPLES.items())


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_event_encodes_to_the_very_bytes(name: str) -> None:
    assert encode_fact(as_recorded(EXAMPLES[name])).decode() == GOLDEN[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_stored_bytes_decode_to_the_event_and_back(name: str) -> None:
    fact = decode_fact(topic_of(name), GOLDEN[name].encode())

    assert fact == as_recorded(EXAMPLES[name])
    assert encode_fact(fact).decode() == GOLDEN[name]


@pytest.mark.parametrize("topic", TOPICS)
def test_the_example_holds_every_member_of_the_event(topic: str) -> None:
    stored = json.loads(GOLDEN[FULLEST[topic]])

    assert list(stored) == list(e.Fact.__struct_fields__)
    assert list(stored["event"]) == list(TOPICS[topic].__struct_fields__)


@pytest.mark.parametrize(
    ("part", "path"),
    [
        (e.Charge, ("wallet.CreditsDebited.v1+6", "charge")),
        (e.Adjustment, ("wallet.CreditsDebited.v1+6", "charge", "adjustment")),
        (e.MeterMoved, ("wallet.CreditsDebited.v1+6", "charge", "adjustment", "meters", 0)),
        (e.ChargeLine, ("wallet.CreditsDebited.v1+3", "charge", "lines", 0)),
        (m.ChargePart, ("wallet.CreditsDebited.v1+3", "charge", "lines", 0, "parts", 0)),
        (m.RunningTotal, ("wallet.CreditsDebited.v1+5", "charge", "lines", 0, "total_before")),
        (a.Rate, ("rate_card.RateCardPhasePublished.v1+1", "rates", 0)),
        (a.Multiplier, ("rate_card.RateCardPhasePublished.v1+1", "multipliers", 0)),
        (m.Bracket, ("rate_card.RateCardPhasePublished.v1+1", "brackets", 0)),
        (m.Band, ("rate_card.RateCardPhasePublished.v1+1", "brackets", 0, "bands", 0)),
        (a.MultiplierTier, ("rate_card.RateCardPhasePublished.v1", "multipliers", 0, "tiers", 0)),
        (a.PlanPhase, ("plan.PlanPublished.v1+6", "phases", 0)),
        (a.PhaseCard, ("plan.PlanPublished.v1+5", "phases", 0, "additional_cards", 0)),
        (e.IncludedRollOver, ("plan.PlanPublished.v1+4", "phases", 0, "included_roll_over")),
        (e.Commitment, ("plan.PlanPublished.v1+4", "phases", 0, "commitment")),
        (e.TaxRate, ("plan.PlanPublished.v1+4", "phases", 0, "tax_rates", 0)),
        (e.FinanceTerms, ("wallet.CreditsGranted.v1+6", "finance")),
        (e.BundledItem, ("wallet.CreditsGranted.v1+5", "finance", "bundle", 0)),
        (e.BilledAmount, ("contract.InvoiceIssued.v1", "amounts", 0)),
        (a.Cycle, ("contract.ContractSigned.v1", "cycle")),
        (a.ContractPhase, ("contract.ContractSigned.v1", "phases", 0)),
        (e.Recurrence, ("wallet.CreditsGranted.v1+4", "recurrence")),
        (e.RollOver, ("wallet.CreditsGranted.v1+1", "recurrence", "roll_over")),
        (e.LotTerms, ("wallet.CreditsRolledOver.v1+1", "lot")),
        (e.TransferSlice, ("wallet.CreditsTransferredOut.v1+1", "slices", 0)),
        (e.SaleTerms, ("wallet.TopUpRequested.v1+1", "finance")),
        (e.BundledItemTerms, ("wallet.TopUpRequested.v1+1", "finance", "bundle", 0)),
        (e.SaleTerms, ("wallet.WalletUpdated.v1+1", "rules", "auto_top_up", "finance")),
        (e.Return, ("wallet.DebitReversed.v1", "returned", 0)),
        (e.WalletRules, ("wallet.WalletUpdated.v1", "rules")),
        (e.SpendCap, ("wallet.WalletUpdated.v1", "rules", "spend_cap")),
        (e.AlertRules, ("wallet.WalletUpdated.v1", "rules", "alerts")),
        (e.FastRise, ("wallet.WalletUpdated.v1", "rules", "alerts", "fast_rise")),
    ],
)
def test_the_example_holds_every_member_of_its_parts(part: type[Record], path: tuple[str, ...]) -> None:
    stored = json.loads(GOLDEN[path[0]])["event"]
    for step in path[1:]:
        stored = stored[step]

    assert list(stored) == list(part.__struct_fields__)


def test_members_with_their_default_are_left_out_and_come_back() -> None:
    bare = e.Fact(e.CreditsDebited(1, (), "default/1"), RECORDED, RECORDED, GENESIS_HASH)

    stored = encode_fact(bare)

    assert json.loads(stored).keys() == {"event", "record_time", "effective_time", "previous_hash"}
    assert json.loads(stored)["event"] == {"amount_units": 1, "draws": [], "burn_down_order": "default/1"}
    assert decode_fact("wallet.CreditsDebited.v1", stored) == bare


def test_the_hash_of_a_phase_with_linear_prices_is_frozen() -> None:
    phase = EXAMPLES["rate_card.RateCardPhasePublished.v1"]
    assert isinstance(phase, a.RateCardPhasePublished)

    assert (
        hash_phase("rateCards/llm", CREDIT, phase)
        == "c92320a260f00de3ce4033952c9d385ff01947dbbdf0e34fb52407f8c414f2ce"
    )


def test_the_hash_of_a_stored_event_is_frozen() -> None:
    topic = "wallet.CreditsExpired.v1"

    head = hash_event("wallets/acme", 3, topic, GOLDEN[topic].encode())

    assert head == "a4bf2ca3c3957139b0842fc306d963d7407b1d811032279ced03cf3540a1de2f"


@pytest.mark.parametrize(
    ("stream", "version", "topic", "state"),
    [
        ("wallets/b", 1, "t", b"x"),
        ("wallets/a", 2, "t", b"x"),
        ("wallets/a", 1, "u", b"x"),
        ("wallets/a", 1, "t", b"y"),
    ],
)
def test_a_hash_depends_on_all_that_is_stored(stream: str, version: int, topic: str, state: bytes) -> None:
    assert hash_event(stream, version, topic, state) != hash_event("wallets/a", 1, "t", b"x")


def test_a_topic_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(UnknownTopicError):
        decode_fact("wallet.CreditsDebited.v2", GOLDEN["wallet.CreditsDebited.v1"].encode())


def test_topics_are_written_out_and_never_derived_from_class_paths() -> None:
    tree = ast.parse(inspect.getsource(topics))
    (table,) = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == "TOPICS"
    ]

    assert isinstance(table, ast.Dict)
    written = [key.value for key in table.keys if isinstance(key, ast.Constant)]
    assert written == list(TOPICS)
    for topic, event_type in TOPICS.items():
        assert re.fullmatch(r"[a-z_]+\.[A-Za-z]+\.v[1-9][0-9]*", topic)
        assert event_type.__module__ not in topic


def test_every_event_has_exactly_one_topic() -> None:
    assert len(TOPIC_OF) == len(TOPICS)
    assert set(TOPIC_OF) == set(e.Event.__args__)
