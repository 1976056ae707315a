"""The independent check: integer prices from the YAML text, and what they add up to."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from deploy.demo.customers import Customer, PlanName
from deploy.demo.offer import CARD, CUT, plan_terms, prices_in, read_example
from deploy.demo.reckoning import (
    PICO_PER_UNIT,
    grown_nanos,
    grown_units,
    plain,
    reckon,
    restored,
    sum_text,
    units_text,
)
from deploy.demo.services import DemoFailed
from deploy.demo.timeline import timeline_of_month, timeline_of_trace
from deploy.demo.traffic import Usage

CUT_TIME = datetime(2025, 10, 16, tzinfo=UTC)
CUSTOMER = Customer("pro-01", PlanName.PRO, 100)
CARD_TEXT = """
phases:
  - from_time: "2026-01-01T00:00:00Z"
    rates:
      - {dimension: input_tokens, unit_size: 1_000_000, unit_price: "7.5", match: {model: small}}
      - {dimension: input_tokens, unit_size: 1_000_000, unit_price: "100", match: {model: "sm*"}}
      - {dimension: input_tokens, unit_size: 1_000_000, unit_price: "500", match: {model: "*"}}
      - {dimension: cached_input_tokens, unit_size: 1_000_000, unit_price: "1"}
      - {dimension: output_tokens, unit_price: "0.000001"}
"""


def usage(time: datetime, *, model: str = "small", tokens: tuple[int, int, int] = (1, 0, 0)) -> Usage:
    """Return a usage of the one customer."""
    return Usage("req", CUSTOMER, time, model, *tokens)


@pytest.mark.parametrize(("model", "units"), [("small", "7.5"), ("smile", "100"), ("other", "500")])
def test_the_rate_that_fits_the_model_most_closely_is_taken(model: str, units: str) -> None:
    prices = prices_in(CARD_TEXT, "phase")

    assert units_text(prices.price_of("input_tokens", model)) == units


def test_usage_at_the_instant_of_the_cut_costs_the_new_price() -> None:
    before = prices_in(CARD_TEXT, "before")
    after = prices_in(CARD_TEXT.replace('"7.5"', '"2.5"'), "after")
    usages = [usage(CUT_TIME - timedelta(microseconds=1)), usage(CUT_TIME)]

    sums = reckon(usages, before=before, after=after, cut_time=CUT_TIME)

    assert units_text(sums.pico_by_phase["before"]) == "7.5"
    assert units_text(sums.pico_by_phase["after"]) == "2.5"
    assert sums.pico_by_customer["pro-01"] == 10 * PICO_PER_UNIT


def test_each_dimension_is_priced_by_itself() -> None:
    prices = prices_in(CARD_TEXT, "phase")

    sums = reckon([usage(CUT_TIME, tokens=(3, 10, 7))], before=prices, after=prices, cut_time=CUT_TIME)

    assert units_text(sums.pico_by_phase["phase"]) == "39.5"


@pytest.mark.parametrize(
    "rate",
    [
        '{dimension: x, unit_price: "0.0000000000000000001"}',
        '{dimension: x, unit_price: "1", match: {region: eu}}',
    ],
)
def test_a_rate_that_the_reckoning_does_not_know_is_refused(rate: str) -> None:
    with pytest.raises(DemoFailed, match="cannot price"):
        prices_in(f"{CARD_TEXT}      - {rate}\n", "phase")


def test_the_examples_hold_a_cut_and_no_rise() -> None:
    before, after = (prices_in(read_example(name), name) for name in (CARD, CUT))

    pairs = [(before.price_of(each.dimension, each.model_pattern), each.pico_units) for each in after.prices]
    assert all(new <= old for old, new in pairs)
    assert any(new < old for old, new in pairs)


def test_sums_of_decimal_text_are_exact() -> None:
    assert (
        sum_text(["0.1", "0.2", "9223372036854775807.000000000000000001"])
        == "9223372036854775807.300000000000000001"
    )
    assert sum_text([]) == "0"


def test_an_amount_is_written_without_exponent_or_idle_zeros() -> None:
    assert [plain(Decimal(text)) for text in ("1E+3", "1.500", "0", "100")] == ["1000", "1.5", "0", "100"]


def test_the_cut_halves_a_traces_time_span() -> None:
    first = datetime(2023, 11, 16, 18, tzinfo=UTC)

    timeline = timeline_of_trace(first, first + timedelta(hours=1))

    assert timeline.cut_time == first + timedelta(minutes=30)
    assert timeline.announce_time == first + timedelta(minutes=15)
    assert timeline.cycle_starts == (datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))


def test_a_trace_of_one_row_at_the_first_instant_of_a_month_has_a_timeline() -> None:
    first = datetime(2024, 1, 1, tzinfo=UTC)

    timeline = timeline_of_trace(first, first)

    assert timeline.cut_time == first
    assert timeline.promotion_expire_time > timeline.start


def test_the_cut_lies_in_the_middle_of_a_made_up_month() -> None:
    timeline = timeline_of_month(datetime(2025, 2, 1, tzinfo=UTC))

    assert timeline.end == datetime(2025, 3, 1, tzinfo=UTC)
    assert timeline.cut_time == datetime(2025, 2, 15, tzinfo=UTC)
    assert timeline.start < timeline.announce_time < timeline.cut_time


def test_a_cut_that_ended_earlier_leaves_the_first_prices_before_it_and_from_its_end() -> None:
    timeline = timeline_of_month(datetime(2025, 10, 1, tzinfo=UTC))
    first = prices_in(CARD_TEXT, "first")
    cut = prices_in(CARD_TEXT.replace('"7.5"', '"2.5"'), "cut")
    tick = timedelta(microseconds=1)
    times = [timeline.cut_time - tick, timeline.cut_time, timeline.restore_time - tick, timeline.restore_time]

    sums = [restored([usage(time)], first=first, cut=cut, timeline=timeline)["pro-01"] for time in times]

    assert [units_text(each) for each in sums] == ["7.5", "2.5", "2.5", "7.5"]


def test_what_grows_is_counted_in_whole_units_and_its_money_in_cents_of_each_sum() -> None:
    half = PICO_PER_UNIT // 2

    assert grown_units(before=3 * half, after=4 * half) == 1
    assert grown_units(before=2 * half, after=3 * half) == 0
    assert grown_nanos(0, 499_999, price=Decimal("0.01")) == 0
    assert grown_nanos(0, 500_000, price=Decimal("0.01")) == 10_000_000
    assert grown_nanos(400_000, 100_000, price=Decimal("0.01")) == 10_000_000
    assert grown_nanos(500_000, 900_000, price=Decimal("0.01")) == 0


def test_the_terms_of_a_plan_are_those_of_its_file() -> None:
    assert plan_terms(PlanName.STARTER) == (5_000_000_000, Decimal("0.01"))


@pytest.mark.parametrize("seconds", [0, 1, 20, 90 * 86_400])
def test_a_cut_ends_earlier_in_the_last_month_of_a_trace_and_after_it_began(seconds: int) -> None:
    first = datetime(2023, 11, 16, 18, 17, tzinfo=UTC)
    timeline = timeline_of_trace(first, first + timedelta(seconds=seconds))

    assert timeline.cut_time < timeline.restore_time
    assert timeline.cycle_starts[-2] <= timeline.restore_time < timeline.end
