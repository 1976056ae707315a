"""Plans and contracts: terms become instants, and a wallet learns its policies."""

from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import pytest

from ledger_service.domain.agreement.contract import CYCLE_COUNT_MAX
from ledger_service.domain.agreement.entitlement import ALERTS_MAX, FEATURES_MAX, SLOW_DOWN_DELAY_MS_MAX
from ledger_service.domain.agreement.plan import PHASES_MAX
from ledger_service.domain.commands import UpdateWallet
from ledger_service.domain.events import ContractSigned, Cycle, PlanPhase, PlanPublished, WalletPolicyChanged
from ledger_service.domain.refusals import (
    AmountOutOfRange,
    AssetMismatch,
    ContractExists,
    CustomerMismatch,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
    InsufficientCredit,
    NumberOutOfRange,
    OverageLimitExceeded,
    PlanNotFound,
    RateCardNotFound,
    Refusal,
    TimeMalformed,
    WalletNotFound,
)
from ledger_service.domain.values import UNITS_MAX, Asset, CycleInterval, Money, ShortfallMode, UnitPrice
from ledger_service.domain.wallet.state import policy_at
from tests.builders import (
    CONTRACT,
    MICROSECOND,
    NOW,
    WALLET,
    Book,
    after,
    agreed,
    book,
    create_rate_card,
    cycle,
    debit,
    events_of,
    open_wallet,
    plan_phase,
    publish_plan,
    sign_contract,
)

HARD, SOFT = ShortfallMode.HARD, ShortfallMode.SOFT
TOKEN = Asset("TOKEN", 0)


def signed(ledger: Book, **changes: object) -> ContractSigned:
    """Return what signing records."""
    event = ledger.answer(msgspec.structs.replace(sign_contract(), **changes)).event
    assert isinstance(event, ContractSigned)
    return event


def test_plan_versions_are_numbered_in_order() -> None:
    ledger = agreed()

    event = ledger.answer(publish_plan()).event

    assert isinstance(event, PlanPublished)
    assert event.plan_version == 2


def test_phases_follow_each_other_from_the_start_and_the_last_has_no_end() -> None:
    ledger = agreed(plan_phase("trial", duration="P14D"), plan_phase("intro", duration="P1M"), plan_phase())

    phases = signed(ledger, start_time=after(days=1)).phases

    assert [(phase.terms.key, phase.from_time, phase.to_time) for phase in phases] == [
        ("trial", after(days=1), after(days=15)),
        ("intro", after(days=15), after(days=46)),
        ("standard", after(days=46), None),
    ]


def test_a_last_phase_with_a_duration_has_an_end() -> None:
    (phase,) = signed(agreed(plan_phase(duration="P1D"))).phases

    assert phase.to_time == after(days=1)


def test_consecutive_months_count_from_where_the_first_began() -> None:
    ledger = agreed(*(plan_phase(f"m{number}", duration="P1M") for number in range(3)), plan_phase())

    phases = signed(ledger, start_time=datetime(2026, 1, 31, tzinfo=UTC)).phases

    assert [phase.from_time.date().isoformat() for phase in phases] == [
        "2026-01-31",
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
    ]
    assert all(earlier.to_time == later.from_time for earlier, later in pairwise(phases))


def test_months_after_days_count_from_where_the_days_ended() -> None:
    durations = ("P30D", "P1M", "P1Y", "P1D", "P1M")
    ledger = agreed(*(plan_phase(f"p{at}", duration=period) for at, period in enumerate(durations)))

    phases = signed(ledger, start_time=datetime(2026, 1, 1, tzinfo=UTC)).phases

    assert [str(phase.to_time)[:10] for phase in phases] == [
        "2026-01-31",
        "2026-02-28",
        "2027-02-28",
        "2027-03-01",
        "2027-04-01",
    ]


def test_phases_follow_the_calendar_of_the_contracts_zone() -> None:
    ledger = agreed(plan_phase("intro", duration="P1M"), plan_phase())
    first_of_march_in_berlin = datetime(2026, 2, 28, 23, tzinfo=UTC)

    signed_there = signed(ledger, start_time=first_of_march_in_berlin, cycle=cycle(zone="Europe/Berlin"))

    assert signed_there.phases[0].to_time == datetime(2026, 3, 31, 22, tzinfo=UTC)


def test_the_wallet_gets_the_policy_of_each_phase_from_its_instant() -> None:
    ledger = agreed(plan_phase("trial", duration="P14D", mode=HARD), plan_phase(mode=SOFT))

    recorded = ledger.run(sign_contract(start_time=after(days=1)))

    assert events_of(recorded)[1:] == [
        WalletPolicyChanged(CONTRACT, "trial", HARD),
        WalletPolicyChanged(CONTRACT, "standard", SOFT),
    ]
    assert [each.fact.effective_time for each in recorded[1:]] == [after(days=1), after(days=15)]


def test_a_phase_carries_its_overage_limit_to_the_wallet() -> None:
    ledger = agreed(
        plan_phase("trial", duration="P14D", mode=SOFT, overage_limit_units=5),
        plan_phase(mode=SOFT),
        mode=SOFT,
    )
    ledger.run(sign_contract())

    assert ledger.debit(debit(5)).overage_units == 5
    with pytest.raises(OverageLimitExceeded):
        ledger.debit(debit(1))
    assert ledger.debit(debit(1), after(days=14)).overage_units == 1


def test_where_the_last_phase_ends_the_wallets_own_policy_applies_again() -> None:
    ledger = book(
        create_rate_card(),
        publish_plan(plan_phase("trial", duration="P14D", mode=HARD)),
        open_wallet(mode=SOFT, overage_limit_units=9),
    )

    recorded = ledger.run(sign_contract(start_time=after(days=1)))

    assert events_of(recorded)[1:] == [
        WalletPolicyChanged(CONTRACT, "trial", HARD),
        WalletPolicyChanged("", "", SOFT, 9, ended_contract=CONTRACT),
    ]
    assert recorded[-1].fact.effective_time == after(days=15)
    last = policy_at(ledger.wallet(), after(days=15, microseconds=-1))
    own = policy_at(ledger.wallet(), after(days=15))
    assert (last.contract, last.shortfall_mode) == (CONTRACT, HARD)
    assert (own.contract, own.shortfall_mode, own.overage_limit_units) == ("", SOFT, 9)


@pytest.mark.parametrize(
    ("instant", "contract_phase", "mode"),
    [
        (after(days=-900), "", SOFT),
        (after(days=1, microseconds=-1), "", SOFT),
        (after(days=1), "trial", HARD),
        (after(days=15, microseconds=-1), "trial", HARD),
        (after(days=15), "standard", SOFT),
        (after(days=9_000), "standard", SOFT),
    ],
)
def test_a_policy_holds_from_its_instant_until_the_next(
    instant: datetime, contract_phase: str, mode: ShortfallMode
) -> None:
    ledger = agreed(plan_phase("trial", duration="P14D", mode=HARD), plan_phase(mode=SOFT), mode=SOFT)
    ledger.run(sign_contract(start_time=after(days=1)))

    policy = policy_at(ledger.wallet(), instant)

    assert (policy.contract_phase, policy.shortfall_mode) == (contract_phase, mode)


def test_a_contract_that_began_before_its_wallet_counts_from_its_own_start() -> None:
    ledger = agreed(plan_phase(mode=SOFT))
    ledger.run(sign_contract(start_time=after(days=-30)))

    assert policy_at(ledger.wallet(), after(days=-31)).shortfall_mode is HARD
    assert policy_at(ledger.wallet(), after(days=-30)).shortfall_mode is SOFT
    assert policy_at(ledger.wallet(), after()).shortfall_mode is SOFT


@pytest.mark.parametrize("microseconds", [-1, 0])
def test_a_debit_follows_the_policy_at_its_effective_time_and_not_at_its_record_time(
    microseconds: int,
) -> None:
    ledger = agreed(plan_phase("trial", duration="P1D", mode=HARD), plan_phase(mode=SOFT))
    ledger.run(sign_contract())
    command = debit(1, effective_time=after(days=1, microseconds=microseconds))

    if microseconds < 0:
        with pytest.raises(InsufficientCredit):
            ledger.run(command, after(days=2))
    else:
        assert ledger.debit(command, after(days=2)).overage_units == 1


def test_a_contract_without_a_plan_version_takes_the_newest() -> None:
    ledger = agreed(plan_phase("old"))
    ledger.run(publish_plan(plan_phase("new")))

    assert signed(ledger).plan_version == 2
    assert signed(ledger_with_two_versions(), plan_version=1).phases[0].terms.key == "old"


def ledger_with_two_versions() -> Book:
    """Return a book whose plan has two versions."""
    ledger = agreed(plan_phase("old"))
    ledger.run(publish_plan(plan_phase("new")))
    return ledger


@pytest.mark.parametrize(("plan_version", "field"), [(3, "plan_version"), (-1, "plan_version")])
def test_a_plan_version_that_does_not_exist_is_refused(plan_version: int, field: str) -> None:
    with pytest.raises(PlanNotFound) as refused:
        signed(ledger_with_two_versions(), plan_version=plan_version)

    assert refused.value.field == f"contract.{field}"


def test_a_plan_that_does_not_exist_is_refused() -> None:
    with pytest.raises(PlanNotFound) as refused:
        signed(agreed(), plan="plans/none")

    assert refused.value.field == "contract.plan"


def test_the_wallet_must_belong_to_the_customer() -> None:
    with pytest.raises(CustomerMismatch) as refused:
        signed(agreed(), customer="customers/other")

    assert refused.value.field == "contract.customer"


@pytest.mark.parametrize("asset", [TOKEN, Asset("CREDIT", 5)])
def test_the_wallet_must_count_what_the_plan_counts(asset: Asset) -> None:
    ledger = agreed()
    ledger.run(open_wallet(wallet="wallets/other", asset=asset))

    with pytest.raises(AssetMismatch) as refused:
        signed(ledger, wallet="wallets/other")

    assert refused.value.field == "contract.wallet"


def test_a_contract_is_signed_once() -> None:
    ledger = agreed()
    ledger.run(sign_contract())

    with pytest.raises(ContractExists) as refused:
        ledger.run(sign_contract())

    assert refused.value.field == "contract_id"


def test_a_wallet_takes_one_contract() -> None:
    ledger = agreed()
    ledger.run(sign_contract())

    with pytest.raises(ContractExists) as refused:
        ledger.run(sign_contract(contract="contracts/second"))

    assert refused.value.field == "contract.wallet"


def test_a_contract_needs_a_wallet() -> None:
    with pytest.raises(WalletNotFound) as refused:
        signed(agreed(), wallet="wallets/none")

    assert refused.value.field == "contract.wallet"


@pytest.mark.parametrize(
    ("bad_cycle", "refusal", "field"),
    [
        (cycle(count=0), NumberOutOfRange, "contract.cycle.count"),
        (cycle(count=CYCLE_COUNT_MAX + 1), NumberOutOfRange, "contract.cycle.count"),
        (cycle(zone="Europe/Nowhere"), FieldMalformed, "contract.cycle.zone"),
        (cycle(zone=""), FieldMalformed, "contract.cycle.zone"),
        (cycle(zone="../etc/passwd"), FieldMalformed, "contract.cycle.zone"),
    ],
)
def test_a_cycle_beyond_its_boundary_is_refused_by_name(
    bad_cycle: Cycle, refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        signed(agreed(), cycle=bad_cycle)

    assert refused.value.field == field


@pytest.mark.parametrize("count", [1, CYCLE_COUNT_MAX])
def test_a_cycle_may_reach_its_boundary(count: int) -> None:
    assert signed(agreed(), cycle=cycle(count=count)).cycle == Cycle(CycleInterval.MONTH, after(), count)


def test_a_phase_beyond_the_last_year_of_the_calendar_is_refused() -> None:
    ledger = agreed(plan_phase("long", duration="P9999Y"), plan_phase())

    with pytest.raises(TimeMalformed):
        signed(ledger)


def test_every_phase_but_the_last_needs_a_duration() -> None:
    with pytest.raises(FieldRequired) as refused:
        agreed(plan_phase("a", duration="P1D"), plan_phase("b"), plan_phase("c"))

    assert refused.value.field == "plan.phases[1].duration"


def many_phases(count: int) -> tuple[PlanPhase, ...]:
    """Return so many phases of a day."""
    return tuple(plan_phase(f"phase-{index}", duration="P1D") for index in range(count))


def test_a_plan_may_have_the_most_phases_and_no_more() -> None:
    assert agreed(*many_phases(PHASES_MAX)).states != {}

    with pytest.raises(FieldTooLong) as refused:
        agreed(*many_phases(PHASES_MAX + 1))
    assert refused.value.field == "plan.phases"


def test_a_plan_needs_a_phase() -> None:
    with pytest.raises(FieldRequired) as refused:
        book(msgspec.structs.replace(publish_plan(), phases=()))

    assert refused.value.field == "plan.phases"


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"key": ""}, FieldMalformed, "key"),
        ({"key": "A"}, FieldMalformed, "key"),
        ({"key": "a" * 65}, FieldMalformed, "key"),
        ({"rate_card": ""}, FieldRequired, "rate_card"),
        ({"rate_card": "llm"}, FieldMalformed, "rate_card"),
        ({"rate_card": "rateCards/none"}, RateCardNotFound, "rate_card"),
        ({"duration": "P0D"}, FieldMalformed, "duration"),
        ({"duration": "P10000D"}, FieldMalformed, "duration"),
        ({"duration": "PT1M"}, FieldMalformed, "duration"),
        ({"duration": "P1M2D"}, FieldMalformed, "duration"),
        ({"duration": "1D"}, FieldMalformed, "duration"),
        ({"base_fee": Money("EUR", -1)}, AmountOutOfRange, "base_fee.nanos"),
        ({"included_units": -1}, NumberOutOfRange, "included_units"),
        ({"included_units": UNITS_MAX + 1}, NumberOutOfRange, "included_units"),
        ({"overage_limit_units": -1}, NumberOutOfRange, "overage_limit_units"),
        ({"overage_limit_units": UNITS_MAX + 1}, NumberOutOfRange, "overage_limit_units"),
        ({"overage_price": UnitPrice("EUR", "-1")}, FieldMalformed, "overage_price.price"),
        ({"features": ("a b",)}, FieldMalformed, "features"),
        ({"features": ("a", "a")}, FieldMalformed, "features"),
        ({"features": tuple(f"f{at}" for at in range(FEATURES_MAX + 1))}, FieldTooLong, "features"),
        ({"requests_per_minute": -1}, NumberOutOfRange, "requests_per_minute"),
        ({"tokens_per_minute": UNITS_MAX + 1}, NumberOutOfRange, "tokens_per_minute"),
        ({"alert_percents": (0,)}, NumberOutOfRange, "alert_percents"),
        ({"alert_percents": (101,)}, NumberOutOfRange, "alert_percents"),
        ({"alert_percents": (50, 50)}, FieldMalformed, "alert_percents"),
        ({"alert_percents": tuple(range(1, ALERTS_MAX + 2))}, FieldTooLong, "alert_percents"),
        ({"spend_cap_units": -1}, NumberOutOfRange, "spend_cap_units"),
        ({"spend_cap_units": 1, "spend_cap_period": "P0D"}, FieldMalformed, "spend_cap_period"),
        ({"spend_cap_period": "P1D"}, FieldNotAllowed, "spend_cap_period"),
        ({"key_requests_per_minute": -1}, NumberOutOfRange, "key_requests_per_minute"),
        ({"key_tokens_per_minute": UNITS_MAX + 1}, NumberOutOfRange, "key_tokens_per_minute"),
        ({"slow_down_from_percent": 100}, NumberOutOfRange, "slow_down_from_percent"),
        ({"slow_down_from_percent": 80}, NumberOutOfRange, "slow_down_max_delay_ms"),
        ({"slow_down_max_delay_ms": 1}, NumberOutOfRange, "slow_down_max_delay_ms"),
        (
            {"slow_down_from_percent": 80, "slow_down_max_delay_ms": SLOW_DOWN_DELAY_MS_MAX + 1},
            NumberOutOfRange,
            "slow_down_max_delay_ms",
        ),
        ({"upgrade_hint": "a" * 201}, FieldTooLong, "upgrade_hint"),
    ],
)
def test_a_plan_phases_field_beyond_its_boundary_is_refused_by_name(
    changes: dict[str, object], refusal: type[Refusal], field: str
) -> None:
    ledger = book(create_rate_card())

    with pytest.raises(refusal) as refused:
        ledger.run(publish_plan(plan_phase("first", duration="P1D"), phase_with(changes)))

    assert refused.value.field == f"plan.phases[1].{field}"


def phase_with(changes: dict[str, object]) -> PlanPhase:
    """Return a phase with other fields."""
    return msgspec.structs.replace(plan_phase(), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "a" * 64},
        {"duration": "P9999D"},
        {"base_fee": Money("EUR", UNITS_MAX)},
        {"included_units": UNITS_MAX},
        {"overage_limit_units": UNITS_MAX},
        {"overage_price": UnitPrice("EUR", "0")},
        {"features": tuple(f"f{at}" for at in range(FEATURES_MAX))},
        {"requests_per_minute": UNITS_MAX, "tokens_per_minute": UNITS_MAX},
        {"alert_percents": tuple(range(101 - ALERTS_MAX, 101))},
        {"alert_percents": (1,)},
        {"spend_cap_units": 1, "spend_cap_period": "PT1H"},
        {"spend_cap_units": UNITS_MAX},
        {"key_requests_per_minute": UNITS_MAX, "key_tokens_per_minute": UNITS_MAX},
        {"slow_down_from_percent": 99, "slow_down_max_delay_ms": SLOW_DOWN_DELAY_MS_MAX},
        {"slow_down_from_percent": 1, "slow_down_max_delay_ms": 1},
        {"upgrade_hint": "a" * 200},
    ],
)
def test_a_plan_phases_field_may_reach_its_boundary(changes: dict[str, object]) -> None:
    ledger = book(create_rate_card())

    assert ledger.run(publish_plan(phase_with(changes))) != []


def test_a_plan_names_each_key_once() -> None:
    with pytest.raises(FieldMalformed) as refused:
        agreed(plan_phase("a", duration="P1D"), plan_phase("a"))

    assert refused.value.field == "plan.phases"


def test_a_plan_counts_what_its_rate_cards_price() -> None:
    ledger = book(create_rate_card(), create_rate_card(rate_card="rateCards/tokens", asset=TOKEN))
    mixed = (plan_phase("a", duration="P1D"), plan_phase("b", rate_card="rateCards/tokens"))

    with pytest.raises(AssetMismatch) as refused:
        ledger.run(publish_plan(*mixed))

    assert refused.value.field == "plan.asset"


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"asset": Asset("x", 0)}, FieldMalformed, "plan.asset.code"),
        ({"display_name": "x" * 201}, FieldTooLong, "plan.display_name"),
    ],
)
def test_a_plans_field_beyond_its_boundary_is_refused_by_name(
    changes: dict[str, object], refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        book(create_rate_card(), msgspec.structs.replace(publish_plan(), **changes))

    assert refused.value.field == field


def test_the_end_of_a_contract_brings_back_what_the_wallet_was_told_last() -> None:
    ledger = agreed(plan_phase(duration="P1M", mode=ShortfallMode.HARD))
    told = UpdateWallet(
        WALLET, ("overage_limit_units", "shortfall_mode"), ShortfallMode.ADVANCE, overage_limit_units=7
    )
    ledger.run(told)

    ledger.run(sign_contract())

    end = NOW.replace(month=NOW.month + 1)
    within, after_it = policy_at(ledger.wallet(), end - MICROSECOND), policy_at(ledger.wallet(), end)
    assert (within.shortfall_mode, within.contract) == (ShortfallMode.HARD, CONTRACT)
    assert (after_it.shortfall_mode, after_it.overage_limit_units, after_it.contract) == (
        ShortfallMode.ADVANCE,
        7,
        "",
    )
