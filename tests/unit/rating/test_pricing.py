"""Usage becomes an exact charge, or is refused by name."""

import pytest

from rating_service.domain.agreements.agreement import BeyondLastTier
from rating_service.domain.prices import pricing
from rating_service.domain.prices.pricing import compile_phase, price
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import ChargeTerms, Usage
from tests.unit.rating.builders import (
    JANUARY,
    card_phase,
    context_window,
    lines_of,
    pricer,
    rate,
    usage,
)

TEXT_GEN = (
    rate("input_tokens", "0.003", per=1000, model="text-gen-v3"),
    rate("output_tokens", "0.012", per=1000, model="text-gen-v3"),
)
V3 = {"model": "text-gen-v3"}


@pytest.mark.parametrize(
    ("context", "inputs", "outputs", "factor", "lines", "amount"),
    [
        (412, 412, 1083, "1", ("0.001236", "0.012996"), "0.014232"),
        (8192, 8000, 192, "1", ("0.024", "0.002304"), "0.026304"),
        (8193, 8000, 193, "1.8", ("0.0432", "0.0041688"), "0.0473688"),
        (32768, 30000, 2768, "1.8", ("0.162", "0.0597888"), "0.2217888"),
        (32769, 30000, 2769, "3.2", ("0.288", "0.1063296"), "0.3943296"),
        (131072, 0, 1, "3.2", ("0", "0.0000384"), "0.0000384"),
        (0, 0, 0, "1", ("0", "0"), "0"),
    ],
)
def test_the_context_window_scales_every_line_and_a_tier_holds_its_upper_end(
    context: int, inputs: int, outputs: int, factor: str, lines: tuple[str, str], amount: str
) -> None:
    priced = price(
        pricer(*TEXT_GEN, multipliers=[context_window()]),
        usage({**V3, "context_tokens": str(context)}, input_tokens=inputs, output_tokens=outputs),
    )

    assert lines == tuple(lines_of(priced).values())
    assert {factor} == {line.multiplier for line in priced.lines}
    assert amount == priced.exact_units


@pytest.mark.parametrize(
    ("prices", "quantities", "lines", "amount"),
    [
        (("5", "0", "25"), (1000, 0, 500), ("0.005", "0", "0.0125"), "0.0175"),
        (("2.5", "1.25", "10"), (2000, 8000, 500), ("0.005", "0.01", "0.005"), "0.02"),
        (("0.15", "0", "0.6"), (1, 0, 1), ("0.00000015", "0", "0.0000006"), "0.00000075"),
        (("15", "1.5", "75"), (1000, 0, 500), ("0.015", "0", "0.0375"), "0.0525"),
    ],
    ids=["opus", "gpt-4o mostly cached", "one token each", "opus before its price cut"],
)
def test_published_token_prices_are_exact(
    prices: tuple[str, ...], quantities: tuple[int, ...], lines: tuple[str, ...], amount: str
) -> None:
    names = ("input_tokens", "cached_tokens", "output_tokens")
    card = pricer(*(rate(name, each, per=1_000_000) for name, each in zip(names, prices, strict=True)))

    priced = price(card, usage(None, **dict(zip(names, quantities, strict=True))))

    assert lines == tuple(lines_of(priced).values())
    assert amount == priced.exact_units


def test_exact_units_are_at_the_scale_of_the_asset() -> None:
    card = pricer(rate("tokens", "0.15", per=1_000_000), scale=6)

    assert price(card, usage(tokens=1)).exact_units == "0.15"
    assert price(card, usage(tokens=1_000_000)).exact_units == "150000"


def test_lines_stand_in_the_order_of_the_card() -> None:
    priced = price(pricer(rate("b", "1"), rate("a", "1"), rate("c", "1")), usage(a=1, c=1, b=1))

    assert [line.dimension for line in priced.lines] == ["b", "a", "c"]


def test_a_line_shows_its_arithmetic() -> None:
    card = pricer(rate("tokens", "0.0030", per=1000), multipliers=[context_window()])

    (line,) = price(card, usage({"context_tokens": "9000"}, tokens=500)).lines

    assert (
        line.dimension,
        line.quantity,
        line.unit_size,
        line.unit_price,
        line.multiplier,
        line.exact_units,
        line.model,
    ) == ("tokens", 500, 1000, "0.003", "1.8", "0.0027", "unit")


def test_a_charge_says_by_what_it_was_priced() -> None:
    terms = ChargeTerms("contracts/acme", "trial")
    priced = price(pricer(rate("tokens", "1")), usage({"team": "search"}, tokens=1), terms)

    assert (
        priced.contract,
        priced.contract_phase,
        priced.rate_card_phase,
        priced.phase_hash,
        priced.properties,
    ) == ("contracts/acme", "trial", "rateCards/llm/phases/1", "hash-1", {"team": "search"})


def test_the_most_specific_rate_prices_each_dimension_on_its_own() -> None:
    card = pricer(
        rate("tokens", "1"),
        rate("tokens", "2", model="gpt-*"),
        rate("tokens", "3", model="gpt-4o"),
        rate("tokens", "4", model="gpt-*", region="eu"),
        rate("images", "9"),
    )

    def tokens(**properties: str) -> str:
        return lines_of(price(card, usage(properties, tokens=1, images=1)))["tokens"]

    assert [
        tokens(model="claude"),
        tokens(model="gpt-5"),
        tokens(model="gpt-4o"),
        tokens(model="gpt-4o", region="eu"),
    ] == ["1", "2", "3", "4"]


def test_a_context_counted_as_a_quantity_decides_the_tier_without_a_line() -> None:
    card = pricer(rate("tokens", "1"), multipliers=[context_window()])

    priced = price(card, usage(tokens=10, context_tokens=8193))

    assert lines_of(priced) == {"tokens": "18"}
    assert priced.properties == {"context_tokens": "8193"}


def test_a_property_goes_before_a_quantity_of_the_same_name() -> None:
    card = pricer(rate("tokens", "1"), multipliers=[context_window()])

    priced = price(card, usage({"context_tokens": "1"}, tokens=10, context_tokens=8193))

    assert priced.exact_units == "10"
    assert priced.properties == {"context_tokens": "1"}


def test_a_priced_dimension_may_decide_the_tier_too() -> None:
    windowed = context_window()
    card = pricer(rate("context_tokens", "1"), multipliers=[windowed])

    assert lines_of(price(card, usage(context_tokens=10_000))) == {"context_tokens": "18000"}


def test_a_multiplier_scales_only_the_dimensions_that_it_names() -> None:
    card = pricer(
        rate("input", "1"), rate("output", "1"), multipliers=[context_window(dimensions=("input",))]
    )

    priced = price(card, usage({"context_tokens": "9000"}, input=10, output=10))

    assert lines_of(priced) == {"input": "18", "output": "10"}


def test_a_multiplier_that_scales_nothing_of_the_usage_asks_for_nothing() -> None:
    card = pricer(
        rate("input", "1"), rate("images", "1"), multipliers=[context_window(dimensions=("input",))]
    )

    assert lines_of(price(card, usage(images=2))) == {"images": "2"}


def test_several_multipliers_multiply() -> None:
    card = pricer(rate("tokens", "1"), multipliers=[context_window(), context_window()])

    (line,) = price(card, usage({"context_tokens": "9000"}, tokens=1)).lines

    assert (line.multiplier, line.exact_units) == ("3.24", "3.24")


def test_beyond_the_last_tier_the_last_may_apply() -> None:
    card = pricer(rate("tokens", "1"), multipliers=[context_window(beyond=BeyondLastTier.LAST_APPLIES)])

    assert price(card, usage({"context_tokens": "131073"}, tokens=1)).exact_units == "3.2"


CARD = pricer(
    rate("tokens", "1", model="gpt-4o"),
    rate("images", "1"),
    multipliers=[context_window(dimensions=("tokens",))],
)
OK = {"model": "gpt-4o", "context_tokens": "1"}


@pytest.mark.parametrize(
    ("given", "reason", "metadata"),
    [
        (usage(OK), Reason.NO_QUANTITIES, {}),
        (usage(OK, context_tokens=5), Reason.NO_QUANTITIES, {}),
        (usage(OK, tokens=-1), Reason.NEGATIVE_QUANTITY, {"dimension": "tokens"}),
        (usage(OK, tokens=-1, widgets=1), Reason.NEGATIVE_QUANTITY, {"dimension": "tokens"}),
        (usage(OK, tokens=1, widgets=1), Reason.UNKNOWN_DIMENSION, {"dimension": "widgets"}),
        (usage(OK, widgets=1), Reason.UNKNOWN_DIMENSION, {"dimension": "widgets"}),
        (usage({"model": "gpt-4o"}, tokens=1), Reason.MISSING_PROPERTY, {"property": "context_tokens"}),
        (
            usage(OK | {"context_tokens": "8k"}, tokens=1),
            Reason.INVALID_PROPERTY,
            {"property": "context_tokens", "value": "8k"},
        ),
        (
            usage(OK | {"context_tokens": "-1"}, tokens=1),
            Reason.INVALID_PROPERTY,
            {"property": "context_tokens", "value": "-1"},
        ),
        (
            usage(OK | {"context_tokens": "131073"}, tokens=1),
            Reason.BEYOND_LAST_TIER,
            {"property": "context_tokens", "value": "131073", "up_to": "131072"},
        ),
        (
            usage({"context_tokens": "1"}, tokens=1),
            Reason.MISSING_PROPERTY,
            {"property": "model", "dimension": "tokens"},
        ),
        (
            usage(OK | {"model": "gpt-5"}, tokens=1, images=1),
            Reason.NO_RATE_FOR_USAGE,
            {"dimension": "tokens", "property": "model", "value": "gpt-5"},
        ),
    ],
)
def test_usage_that_cannot_be_priced_is_refused_by_name(
    given: Usage, reason: Reason, metadata: dict[str, str]
) -> None:
    with pytest.raises(Refusal) as refused:
        price(CARD, given)

    assert (reason, metadata) == (refused.value.reason, refused.value.metadata)


def test_the_refusal_names_the_property_that_keeps_the_closest_rate_away() -> None:
    card = pricer(rate("t", "1", model="a", region="eu"), rate("t", "1", model="b", region="us"))

    with pytest.raises(Refusal) as refused:
        price(card, usage({"model": "b", "region": "mars"}, t=1))

    assert refused.value.metadata == {"dimension": "t", "property": "region", "value": "mars"}


@pytest.mark.parametrize(("quantity", "scale"), [(2**63 - 1, 0), ((2**63 - 1) // 10**6, 6)])
def test_an_amount_up_to_the_largest_int64_is_priced(quantity: int, scale: int) -> None:
    assert (
        str(quantity * 10**scale) == price(pricer(rate("t", "1"), scale=scale), usage(t=quantity)).exact_units
    )


@pytest.mark.parametrize(("quantity", "scale"), [(2**63, 0), ((2**63 - 1) // 10**6 + 1, 6)])
def test_an_amount_above_the_largest_int64_is_refused(quantity: int, scale: int) -> None:
    with pytest.raises(Refusal) as refused:
        price(pricer(rate("t", "1"), scale=scale), usage(t=quantity))

    assert refused.value.reason == Reason.AMOUNT_OUT_OF_RANGE


def test_only_whole_units_count_towards_the_range() -> None:
    card = pricer(rate("whole", "1"), rate("part", "0.5"))

    assert price(card, usage(whole=2**63 - 1, part=1)).exact_units == "9223372036854775807.5"


def test_a_unit_size_with_endless_decimals_is_not_compiled() -> None:
    with pytest.raises(ValueError, match="no finite decimal text"):
        compile_phase(card_phase(rate("t", "1", per=3)), scale=6)


def test_the_cache_of_price_lists_stays_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "PRICE_LISTS_MAX", 3)
    card = pricer(rate("t", "1", model="*"))

    amounts = [price(card, usage({"model": f"m{n % 7}"}, t=n)).exact_units for n in range(50)]

    assert [str(n) for n in range(50)] == amounts
    assert len(card.price_lists) == 3


def test_values_of_properties_on_which_no_rate_matches_share_a_price_list() -> None:
    card = pricer(rate("t", "1", model="*"))

    for request in range(10):
        price(card, Usage(JANUARY, {"t": 1}, {"model": "a", "request": str(request)}))

    assert len(card.price_lists) == 1
