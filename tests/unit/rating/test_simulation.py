"""The parts of a simulation: bills, movers, percentages, candidates' phases, problems of cards, and traffic."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import msgspec
import pytest

from rating_service.application.refusals import RequestRefused
from rating_service.application.simulating.traffic_check import check_traffic
from rating_service.application.simulating.traffic_model import (
    Distribution,
    Kind,
    Quantile,
    Request,
    Segment,
    TrafficModel,
    contracts_of,
    drawn,
    requests_of,
)
from rating_service.domain.agreements.agreement import (
    Contract,
    ContractPhase,
    Money,
    PlanPhase,
    Rate,
    RateCard,
    ShortfallMode,
    UnitPrice,
)
from rating_service.domain.agreements.price_terms import GraduatedModel, MultiplierModel, PriceTier
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.simulation.amounts import percent_text, read_amount
from rating_service.domain.simulation.bills import Span, bills_of
from rating_service.domain.simulation.candidate import Candidate, CandidatePricer, CycleMemo
from rating_service.domain.simulation.card_check import first_problem
from rating_service.domain.simulation.movers import Change, movers_of
from rating_service.domain.simulation.plan_bill import plan_bill
from tests.unit.rating.builders import CREDIT, FEBRUARY, JANUARY, MONTHLY, at, card_phase, rate, usage

USD = "USD"
TERMS = PlanPhase(
    "main",
    "rateCards/llm",
    ShortfallMode.SOFT,
    base_fee=Money(USD, 20 * 10**9),
    included_units=5_000_000,
    overage_price=UnitPrice(USD, "2"),
)


def contract(terms: PlanPhase = TERMS) -> Contract:
    phases = (ContractPhase(JANUARY, terms),)
    return Contract("contracts/a", "customers/a", "wallets/a", "plans/p", 1, CREDIT, JANUARY, MONTHLY, phases)


def bill(used_units: int, share: Fraction = Fraction(1), **changes: object) -> Money | None:
    terms = msgspec.structs.replace(TERMS, **changes)
    return plan_bill(terms, CREDIT, used_units=used_units, share=share)


def test_a_bill_is_the_fee_and_what_lies_beyond_the_included_units() -> None:
    assert bill(5_000_000) == Money(USD, 20 * 10**9)
    assert bill(5_500_000) == Money(USD, 21 * 10**9)
    # 2,500 units beyond are half a cent, which goes up; 2,499 are less than half of one.
    assert bill(5_002_500) == Money(USD, 20_010_000_000)
    assert bill(5_002_499) == Money(USD, 20 * 10**9)


def test_a_bill_holds_seats_and_stays_between_least_and_most() -> None:
    assert bill(0, seat_fee=Money(USD, 3 * 10**9), seats=4) == Money(USD, 32 * 10**9)
    assert bill(0, minimum_spend=Money(USD, 25 * 10**9)) == Money(USD, 25 * 10**9)
    assert bill(10**9, maximum_spend=Money(USD, 25 * 10**9)) == Money(USD, 25 * 10**9)
    assert bill(0, base_fee=None, overage_price=None) is None


def test_a_part_of_a_cycle_counts_in_proportion() -> None:
    half = bill(3_000_000, Fraction(1, 2))
    bills = bills_of(contract(), Span(JANUARY, at("2026-03-01") - timedelta(days=14)), [], {})

    # Half the fee, and half a million units beyond half of the included ones.
    assert half == Money(USD, 11 * 10**9)
    assert bills.now == Money(USD, 30 * 10**9)


def test_a_plan_in_two_currencies_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        bill(0, overage_price=UnitPrice("EUR", "2"))

    assert caught.value.reason is Reason.MIXED_CURRENCIES


@pytest.mark.parametrize(
    ("difference", "base", "text"),
    [(1, 3, "33.33"), (2, 3, "66.67"), (-1, 8, "-12.5"), (5, 0, ""), (0, 5, "0"), (1, -4, "25")],
)
def test_percentages_have_two_decimals_half_up(difference: int, base: int, text: str) -> None:
    assert percent_text(difference, base) == text


def test_a_contract_moves_above_the_threshold_and_from_nothing() -> None:
    changes = [
        Change(contract(), now, simulated, 0) for now, simulated in ((100, 120), (100, 121), (0, 1), (9, 9))
    ]
    found = movers_of(changes, threshold_percent=Fraction(20), movers_max=2)

    assert (found.dearer_count, found.cheaper_count, found.moved_count) == (3, 0, 2)
    assert [(mover.difference, mover.is_moved) for mover in found.losers] == [("21", True), ("20", False)]


def test_the_first_phase_of_a_candidate_holds_before_it_begins() -> None:
    phases = (
        card_phase(rate("tokens", "1"), start=FEBRUARY),
        card_phase(rate("tokens", "2"), number=2, start=at("2026-03-01")),
    )
    pricer = CandidatePricer(Candidate("c", CREDIT, (RateCard("rateCards/c", CREDIT, phases),)), CycleMemo())
    instants = (JANUARY, at("2026-02-28T23:59"), at("2026-03-01"))
    found = [
        pricer.price(contract(), msgspec.structs.replace(usage(tokens=1), effective_time=instant)).amounts
        for instant in instants
    ]

    assert found == [[("tokens", read_amount(f"{price}000000"))] for price in (1, 1, 2)]


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (rate("", "1"), "rates[0].dimension"),
        (rate("a", "-1"), "rates[0].unit.unit_price"),
        (rate("a", "1", per=0), "rates[0].unit_size"),
        (rate("a", "1", per=3), "rates"),
        (Rate("a", "", price_model=GraduatedModel((PriceTier("1", up_to=5),))), "rates[0].tiers[0].up_to"),
        (
            Rate("a", "", price_model=GraduatedModel((PriceTier("1", up_to=0), PriceTier("1")))),
            "rates[0].tiers[0].up_to",
        ),
        (Rate("a", "", price_model=MultiplierModel("2")), "rates[0].provider_cost"),
        (Rate("a", "1", provider_cost="1"), "rates[0].provider_cost"),
        (Rate("a", "1", usage_minimum="2", usage_maximum="1"), "rates[0].usage_maximum"),
        (Rate("a", "1", free_units=-1), "rates[0].free_units"),
    ],
)
def test_what_is_wrong_with_a_phase_is_named(broken: Rate, field: str) -> None:
    problem = first_problem(card_phase(broken), scale=6)

    assert problem is not None
    assert problem.field == field


def test_two_rates_of_one_match_are_a_problem_and_a_sound_phase_has_none() -> None:
    twice = first_problem(card_phase(rate("a", "1", model="m"), rate("a", "2", model="m")), scale=6)

    assert twice is not None
    assert twice.field == "rates[1].match"
    assert first_problem(card_phase(rate("a", "1", model="m"), rate("a", "2")), scale=6) is None


QUANTILES = (Quantile(0, 10), Quantile(500_000, 110), Quantile(1_000_000, 1_110))
SEGMENT = Segment("s", 2, "2.5", quantities=(Distribution("tokens", QUANTILES),))


def requests(segment: Segment = SEGMENT, *, seed: int = 1, days: int = 60) -> list[Request]:
    model = TrafficModel(seed, (segment,))
    until = JANUARY + timedelta(days=days)
    check_traffic(model, JANUARY, until)
    return list(requests_of(model, contracts_of(model, CREDIT, JANUARY), JANUARY, until))


def test_quantities_lie_evenly_between_quantiles() -> None:
    found = [
        drawn(Distribution("t", QUANTILES), place) for place in (0, 1, 250_000, 500_000, 750_000, 999_999)
    ]

    assert found == [10, 10, 60, 110, 610, 1_109]


def test_requests_follow_rate_growth_and_week_exactly() -> None:
    grown = requests(msgspec.structs.replace(SEGMENT, growth_percent="100"))
    mondays = requests(msgspec.structs.replace(SEGMENT, weekday_weights=(1, 0, 0, 0, 0, 0, 0)), days=70)

    # Two customers, 2.5 a day: 75 in 30 days each, then 150; what is left over is drawn once.
    assert abs(len(grown) - 450) <= 2
    assert {each.usage.effective_time.weekday() for each in mondays} == {0}
    assert abs(len(mondays) - 350) <= 2


def test_the_same_seed_gives_the_same_requests_and_another_one_others() -> None:
    kinds = msgspec.structs.replace(SEGMENT, mix=(Kind(3, {"model": "a"}, "chat"), Kind(1, {"model": "b"})))

    assert requests(kinds) == requests(kinds)
    assert requests(kinds) != requests(kinds, seed=2)
    share = sum(each.usage.feature == "chat" for each in requests(kinds, days=400)) / len(
        requests(kinds, days=400)
    )
    assert 0.7 < share < 0.8


def test_adding_a_customer_changes_nothing_for_the_others() -> None:
    few = requests()
    more = requests(msgspec.structs.replace(SEGMENT, customers=3))

    assert [each for each in more if each.contract.name != "contracts/s-3"] == few


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key": "a b"}, "synthetic.segments[0].key"),
        ({"customers": 0}, "synthetic.segments[0].customers"),
        ({"requests_per_day": "0"}, "synthetic.segments[0].requests_per_day"),
        ({"growth_percent": "-100"}, "synthetic.segments[0].growth_percent"),
        ({"quantities": ()}, "synthetic.segments[0].quantities"),
        (
            {"quantities": (Distribution("t", (Quantile(0, 5), Quantile(1_000_000, 4))),)},
            "synthetic.segments[0].quantities[0].quantiles[1]",
        ),
        ({"hour_weights": (0,) * 24}, "synthetic.segments[0].hour_weights"),
        ({"customers": 100_000, "requests_per_day": "1000"}, "synthetic"),
    ],
)
def test_a_traffic_model_that_will_not_do_is_refused_by_its_field(
    changes: dict[str, object], field: str
) -> None:
    with pytest.raises(RequestRefused) as caught:
        requests(msgspec.structs.replace(SEGMENT, **changes))

    assert caught.value.field == field
