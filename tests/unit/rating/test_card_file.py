"""Rate cards and plans are files; what is wrong with one is told by line and field."""

from pathlib import Path

import pytest

import rating_service
from credits.ledger.v1 import agreement_pb2, billing_terms_pb2, wallet_pb2
from rating_service.cli.cards.card_file import read_plan, read_rate_card
from rating_service.cli.yaml_source import FileRefused

EXAMPLES = Path(rating_service.__file__).with_name("examples")
CARD = """\
rate_card: llm
asset: {code: CREDIT, scale: 6}
phases:
  - from_time: 2026-01-01T00:00:00.5Z
    rates:
      - dimension: tokens
        unit_size: 1_000
        unit_price: "0.003"
        match: {model: gpt-*}
    multipliers:
      - property: context_tokens
        tiers:
          - {up_to: 8192, factor: "1.0"}
          - {up_to: 32768, factor: "1.8"}
"""
PLAN = """\
plan: starter
asset: {code: CREDIT, scale: 6}
phases:
  - key: trial
    duration: P14D
    rate_card: rateCards/llm
    shortfall_mode: HARD
  - key: evergreen
    rate_card: rateCards/llm
    base_fee: {currency: USD, amount: "29.5"}
    included: "5000.25"
    shortfall_mode: SOFT
    overage_limit: "200.5"
    overage_price: {currency: USD, price: "0.01"}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(FileRefused) as refused:
        read_rate_card(text, file="card.yaml")
    return [str(problem) for problem in refused.value.problems]


def test_a_rate_card_file_says_what_is_to_be_published() -> None:
    found = read_rate_card(CARD, file="card.yaml")

    (phase,) = found.phases
    (rate,) = phase.rates
    (multiplier,) = phase.multipliers
    assert (found.rate_card_id, found.rate_card.asset.code, found.rate_card.asset.scale) == (
        "llm",
        "CREDIT",
        6,
    )
    assert phase.from_time.ToJsonString() == "2026-01-01T00:00:00.500Z"
    assert (rate.dimension, rate.unit_size, rate.unit.unit_price) == ("tokens", 1000, "0.003")
    assert dict(rate.match) == {"model": "gpt-*"}
    assert [(tier.up_to, tier.factor) for tier in multiplier.tiers] == [(8192, "1.0"), (32768, "1.8")]
    assert multiplier.beyond_last_tier == agreement_pb2.BEYOND_LAST_TIER_REFUSE


def test_a_plan_file_says_what_is_to_be_published() -> None:
    found = read_plan(PLAN, file="plan.yaml")

    trial, evergreen = found.plan.phases
    assert (found.plan_id, trial.key, trial.duration) == ("starter", "trial", "P14D")
    assert not trial.HasField("base_fee")
    assert not trial.HasField("overage_price")
    assert trial.shortfall_mode == wallet_pb2.SHORTFALL_MODE_HARD
    assert (evergreen.base_fee.currency_code, evergreen.base_fee.nanos) == ("USD", 29_500_000_000)
    assert evergreen.included_units == 5_000_250_000
    assert (trial.overage_limit_units, evergreen.overage_limit_units) == (0, 200_500_000)
    assert evergreen.overage_price.price == "0.01"


def test_a_plan_file_says_what_its_customers_may_do() -> None:
    entitled = """\
    features: [chat, code]
    requests_per_minute: 60
    tokens_per_minute: 90000
    alert_percents: [50, 100]
    spend_cap: "10.5"
    spend_cap_period: P1D
    key_requests_per_minute: 6
    key_tokens_per_minute: 9000
    slow_down_from_percent: 80
    slow_down_max_delay_ms: 2000
    upgrade_hint: plans/team
    additional_cards:
      - {rate_card: rateCards/images, features: [draw, paint]}
      - {rate_card: rateCards/flux, features: [draw], match: {model: flux-*}}
"""
    found = read_plan(PLAN + entitled, file="plan.yaml")

    trial, evergreen = found.plan.phases
    assert (list(trial.features), trial.requests_per_minute, trial.spend_cap_units) == ([], 0, 0)
    assert list(evergreen.features) == ["chat", "code"]
    assert (evergreen.requests_per_minute, evergreen.tokens_per_minute) == (60, 90_000)
    assert list(evergreen.alert_percents) == [50, 100]
    assert (evergreen.spend_cap_units, evergreen.spend_cap_period) == (10_500_000, "P1D")
    assert (evergreen.key_requests_per_minute, evergreen.key_tokens_per_minute) == (6, 9_000)
    assert (evergreen.slow_down_from_percent, evergreen.slow_down_max_delay_ms) == (80, 2_000)
    assert evergreen.upgrade_hint == "plans/team"
    images, flux = evergreen.additional_cards
    assert (images.rate_card, list(images.features), dict(images.match)) == (
        "rateCards/images",
        ["draw", "paint"],
        {},
    )
    assert (flux.rate_card, dict(flux.match)) == ("rateCards/flux", {"model": "flux-*"})
    for bad in (
        "    additional_cards: [{rate_card: rateCards/images}]\n",
        "    additional_cards: [{rate_card: images, features: [draw]}]\n",
        '    spend_cap: "0.0000001"\n',
        "    alert_percents: [101]\n",
        "    features: [a b]\n",
    ):
        with pytest.raises(FileRefused):
            read_plan(PLAN + bad, file="plan.yaml")


def test_a_plan_file_says_what_is_billed() -> None:
    billed = """\
    included_roll_over: {percent: "50", cap: "100.5", times: 2}
    seat_fee: {currency: USD, amount: "10"}
    seats: 3
    fee_timing: ADVANCE
    minimum_spend: {currency: USD, amount: "5"}
    maximum_spend: {currency: USD, amount: "500"}
    commitment: {currency: USD, amount: "12000", period: P1Y, overage_factor: "1.25", prepaid: true}
    invoice_threshold: {currency: USD, amount: "100"}
    tax_rates:
      - {name: VAT, percent: "19", jurisdiction: DE}
"""
    trial, evergreen = read_plan(PLAN + billed, file="plan.yaml").plan.phases

    assert not trial.HasField("commitment")
    assert not trial.HasField("included_roll_over")
    moves = evergreen.included_roll_over
    assert (moves.percent, moves.cap_units, moves.times) == ("50", 100_500_000, 2)
    assert (evergreen.seats, evergreen.seat_fee.nanos) == (3, 10_000_000_000)
    assert (evergreen.minimum_spend.nanos, evergreen.maximum_spend.nanos) == (5 * 10**9, 500 * 10**9)
    assert (trial.fee_timing, evergreen.fee_timing) == (
        billing_terms_pb2.FEE_TIMING_ARREARS,
        billing_terms_pb2.FEE_TIMING_ADVANCE,
    )
    commitment = evergreen.commitment
    assert (commitment.amount.nanos, commitment.period) == (12_000 * 10**9, "P1Y")
    assert (commitment.overage_factor, commitment.prepaid) == ("1.25", True)
    assert evergreen.invoice_threshold.nanos == 100 * 10**9
    (tax,) = evergreen.tax_rates
    assert (tax.name, tax.percent, tax.jurisdiction) == ("VAT", "19", "DE")
    for bad in (
        '    included_roll_over: {percent: "50", cap: "0.0000001"}\n',
        "    seats: -1\n",
        "    fee_timing: LATER\n",
        '    commitment: {currency: USD, amount: "1", period: P30D}\n',
        '    tax_rates: [{name: VAT, percent: "19.5.5"}]\n',
    ):
        with pytest.raises(FileRefused):
            read_plan(PLAN + bad, file="plan.yaml")


@pytest.mark.parametrize(
    ("name", "phases", "rates"),
    [
        ("llm_card", 1, 12),
        ("llm_card_price_cut", 1, 12),
        ("context_window_card", 1, 2),
        ("llm_full_card", 1, 23),
        ("outcome_card", 1, 3),
        ("tiered_card", 1, 4),
    ],
)
def test_the_example_cards_can_be_published(name: str, phases: int, rates: int) -> None:
    found = read_rate_card((EXAMPLES / f"{name}.yaml").read_text("utf-8"), file=name)

    assert (len(found.phases), len(found.phases[0].rates)) == (phases, rates)


@pytest.mark.parametrize(
    ("name", "fee", "included", "overage"),
    [
        ("sandbox", 0, 100, ""),
        ("starter", 29, 5_000, "0.01"),
        ("pro", 299, 100_000, "0.005"),
        ("scale", 12_000, 6_000_000, "0.003"),
        ("enterprise", 0, 0, "0.002"),
    ],
)
def test_the_example_plans_can_be_published(name: str, fee: int, included: int, overage: str) -> None:
    found = read_plan((EXAMPLES / f"plan_{name}.yaml").read_text("utf-8"), file=name)

    (phase,) = found.plan.phases
    assert (phase.base_fee.nanos, phase.included_units) == (fee * 10**9, included * 10**6)
    assert phase.overage_price.price == overage
    assert (phase.shortfall_mode == wallet_pb2.SHORTFALL_MODE_SOFT) == (name != "sandbox")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            '"0.003"',
            "0.003",
            "card.yaml:8: phases[0].rates[0].unit_price: 0.003 is a YAML float, which is inexact: "
            'write it as a quoted decimal, "0.003"',
        ),
        (
            '"0.003"',
            "1e-3",
            "card.yaml:8: phases[0].rates[0].unit_price: '1e-3' will not do. "
            "Decimal text in whole assets, quoted, not negative, at most 18 decimals.",
        ),
        (
            '"0.003"',
            "3",
            'card.yaml:8: phases[0].rates[0].unit_price: 3 is not text: write it in quotes, "3"',
        ),
        (
            "        match:",
            '        unit_price: "1"\n        match:',
            "card.yaml:9: phases[0].rates[0].unit_price: given twice; the first is on line 8",
        ),
        ("match:", "matches:", "card.yaml:9: phases[0].rates[0].matches: unknown key"),
        (
            "{model: gpt-*}",
            "{model: no}",
            "card.yaml:9: phases[0].rates[0].match.model: no may be read in two ways: "
            'write it in quotes, "no"',
        ),
        (
            "1_000",
            "3_000",
            "card.yaml:7: phases[0].rates[0].unit_size: 3000 is not a product of twos and fives",
        ),
        (
            "32768",
            "8192",
            "card.yaml:12: phases[0].multipliers[0].tiers: up_to must ascend from tier to tier",
        ),
        (
            "2026-01-01T",
            "2026-02-30T",
            "card.yaml:4: phases[0].from_time: 2026-02-30T00:00:00.5Z is no instant of the calendar",
        ),
        (
            'unit_price: "0.003"',
            'multiplier: "1.2"',
            "card.yaml:6: phases[0].rates[0]: needs a provider_cost: the price is a multiple of it",
        ),
        ("rate_card: llm\n", "", "card.yaml:1: file: 'rate_card' is a required property"),
        (CARD, "", "card.yaml:1: file: None is not of type 'object'"),
        (CARD, "a: [", "card.yaml:1: file: not YAML: expected the node content, but found '<stream end>'"),
    ],
)
def test_a_problem_is_told_by_file_line_and_field(old: str, new: str, expected: str) -> None:
    assert old in CARD

    assert problems(CARD.replace(old, new)) == [expected]


def test_a_rate_that_ties_with_another_is_told_and_so_is_a_phase_out_of_order() -> None:
    other = "      - {dimension: tokens, unit_price: '1', match: {region: eu*}}\n"
    later = "  - {from_time: '2025-01-01T00:00:00Z', rates: [{dimension: x, unit_price: '1'}]}\n"
    text = CARD.replace("    rates:\n", f"    rates:\n{other}") + later

    assert problems(text) == [
        "card.yaml:7: phases[0].rates[1]: is as specific as rates[0] and may price the same usage of tokens",
        "card.yaml:16: phases[1].from_time: must lie after that of the phase before it",
    ]


def test_all_problems_are_told_at_once_in_the_order_of_the_lines() -> None:
    text = CARD.replace("asset: {code: CREDIT, scale: 6}", "asset: {code: credit, scale: 13}").replace(
        "match:", "matches:"
    )

    assert [problem.split(":")[1:3] for problem in problems(text)] == [
        ["2", " asset.code"],
        ["2", " asset.scale"],
        ["9", " phases[0].rates[0].matches"],
    ]


@pytest.mark.parametrize(
    "trick", ["&a {x: 1}\nb: *a", "{<<: {x: 1}}", "{[1]: 2}", "!!python/name:os.system", "010"]
)
def test_yaml_that_two_readers_may_take_differently_is_refused(trick: str) -> None:
    assert problems(f"a: {trick}") != []


@pytest.mark.parametrize("depth", [5_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    assert problems("[" * depth) == ["card.yaml:1: file: not YAML: an unreadable character or nesting"]


def test_what_no_phase_of_a_plan_can_say_is_told_by_its_line() -> None:
    text = PLAN.replace("    duration: P14D\n", "").replace(
        "    base_fee: {currency: USD,",
        "    minimum_spend: {currency: EUR, amount: '9'}\n"
        "    maximum_spend: {currency: USD, amount: '8'}\n    base_fee: {currency: USD,",
    )
    with pytest.raises(FileRefused) as refused:
        read_plan(text, file="plan.yaml")

    assert [str(problem) for problem in refused.value.problems] == [
        "plan.yaml:4: phases[0]: duration is needed: only the last phase may be without end",
        "plan.yaml:9: phases[1].minimum_spend.currency: base_fee is in USD: a phase has one currency",
        "plan.yaml:10: phases[1].maximum_spend.amount: lies below minimum_spend",
    ]


def test_included_credit_finer_than_one_unit_is_refused() -> None:
    with pytest.raises(FileRefused, match=r"plan.yaml:11: phases\[1\].included: not a whole number of units"):
        read_plan(PLAN.replace("5000.25", "0.0000001"), file="plan.yaml")
