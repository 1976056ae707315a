"""A card made of a price list charges cost x markup / credit rate, to the last digit."""

from fractions import Fraction

import pytest

from rating_service.cli.cards.card_file import card_of, read_rate_card
from rating_service.cli.cards.card_text import card_text
from rating_service.cli.cards.list_card import Selection, exact_number, plain_text, select
from rating_service.cli.cards.litellm_list import read_list
from rating_service.domain.exact import parse_exact
from rating_service.domain.refusals import Reason, Refusal
from tests.unit.rating.price_lists import LIST, card_of_list, charge, pricer_of, units

MARKUP = Fraction("1.2")
CENT = Fraction("0.01")


@pytest.mark.parametrize(
    ("model", "quantities", "cost"),
    [
        ("short", {"input_tokens": 1}, "0.00000015"),
        ("short", {"input_tokens": 1_234_567, "cached_input_tokens": 3, "output_tokens": 7}, "0.185189475"),
        ("draws", {"output_images": 3}, "0.12"),
        ("thinks", {"input_tokens": 5, "output_tokens": 1, "reasoning_tokens": 1}, "0.0000029"),
        ("steps", {"input_tokens": 32_000, "output_tokens": 1}, "0.032005"),
        ("steps", {"input_tokens": 32_001, "output_tokens": 1}, "0.096018"),
        ("steps", {"input_tokens": 32_001, "reasoning_tokens": 1}, "0.096018"),
    ],
)
def test_a_quote_is_cost_times_markup_by_credit_rate_to_the_last_digit(
    model: str, quantities: dict[str, int], cost: str
) -> None:
    made = card_of_list(markup=MARKUP, credit_rate=CENT, asset_code="CREDIT", asset_scale=6)

    found = charge(pricer_of(made), quantities, model=model)

    assert made.rounded == ()
    assert parse_exact(found.exact_units) == units(Fraction(cost) * MARKUP / CENT, 6)
    assert (parse_exact(found.provider_cost), found.cost_currency) == (Fraction(cost), "USD")


@pytest.mark.parametrize(
    ("prompt", "per_million"),
    [
        ({"input_tokens": 128_000}, "0.075"),
        ({"input_tokens": 128_001}, "0.15"),
        ({"input_tokens": 1, "cache_write_tokens_5m": 127_999}, "0.075"),
        ({"input_tokens": 1, "cache_write_tokens_5m": 127_000, "cache_write_tokens_1h": 1_000}, "0.15"),
    ],
)
def test_a_prompt_above_the_threshold_makes_the_whole_request_dearer(
    prompt: dict[str, int], per_million: str
) -> None:
    found = charge(pricer_of(card_of_list()), {**prompt, "output_tokens": 10}, model="long")

    lines = {line.dimension: parse_exact(line.exact_units) for line in found.lines}
    output = "0.3" if per_million == "0.075" else "0.6"
    assert lines["input_tokens"] == units(Fraction(per_million) * prompt["input_tokens"] / 10**6)
    assert lines["output_tokens"] == units(Fraction(output) * 10 / 10**6)


@pytest.mark.parametrize(
    ("tier", "tokens", "per_million"),
    [
        ("", 128_000, "0.075"),
        ("standard", 128_001, "0.15"),
        ("batch", 128_000, "0.0375"),
        # No batch price is listed for long prompts: they keep the one that is.
        ("batch", 128_001, "0.15"),
        ("priority", 128_000, "0.1"),
        ("priority", 128_001, "0.3"),
    ],
)
def test_a_service_tier_has_its_own_price_on_either_side_of_the_threshold(
    tier: str, tokens: int, per_million: str
) -> None:
    properties = {"service_tier": tier} if tier else {}

    found = charge(pricer_of(card_of_list()), {"input_tokens": tokens}, model="long", **properties)

    assert parse_exact(found.exact_units) == units(Fraction(per_million) * tokens / 10**6)


def test_a_model_that_is_not_on_the_list_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        charge(pricer_of(card_of_list()), {"input_tokens": 1}, model="unheard")

    assert refused.value.reason is Reason.NO_RATE_FOR_USAGE


def test_a_card_file_says_what_the_list_says() -> None:
    made = card_of_list(markup=MARKUP)

    from_text = read_rate_card(card_text(made.tree, heading="Made of\na list"), file="card.yaml")

    assert from_text == card_of(made.tree)
    assert (made.model_count, made.unpriced) == (5, ("free",))
    (phase,) = from_text.phases
    assert {rate.dimension for rate in phase.rates} == set(from_text.rate_card.unit_definitions)


def test_a_list_without_thresholds_makes_a_card_without_brackets() -> None:
    made = card_of_list(b'{"m": {"input_cost_per_token": 1e-6}}')

    assert "brackets" not in made.tree["phases"][0]


def test_a_division_that_does_not_end_is_rounded_half_up_and_reported() -> None:
    made = card_of_list(
        b'{"m": {"output_cost_per_image": 1}, "n": {"output_cost_per_image": 3}}',
        credit_rate=Fraction(3),
        round_decimals=4,
    )

    prices = [rate["unit_price"] for rate in made.tree["phases"][0]["rates"]]
    assert prices == ["0.3333", "1"]
    assert [(each.model, each.exact, each.price) for each in made.rounded] == [("m", "1/3", "0.3333")]


@pytest.mark.parametrize(
    ("number", "decimals", "text", "is_rounded"),
    [
        ("0", 12, "0", False),
        ("1000000", 12, "1000000", False),
        ("0.000000000000000001", 0, "0.000000000000000001", False),
        ("0.0000000000000000005", 18, "0.000000000000000001", True),
        ("0.0000000000000000004", 18, "0", True),
        ("2/3", 2, "0.67", True),
        ("1/3", 0, "0", True),
        ("7/6", 3, "1.167", True),
    ],
)
def test_a_price_has_at_most_eighteen_decimals_and_says_if_it_is_rounded(
    number: str, decimals: int, text: str, is_rounded: bool
) -> None:
    assert plain_text(Fraction(number), round_decimals=decimals) == (text, is_rounded)


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(), ["draws", "free", "long", "short", "steps", "thinks"]),
        (Selection(providers=["acme"]), ["long", "short"]),
        (Selection(models=["s*", "free"]), ["free", "short", "steps"]),
        (Selection(providers=["bolt"], modes=["chat"]), ["steps", "thinks"]),
        (Selection(models=["S*"]), []),
    ],
)
def test_models_are_chosen_by_provider_name_and_mode(selection: Selection, names: list[str]) -> None:
    found = select(read_list(LIST, file="list.json").models, selection)

    assert [each.name for each in found] == names


@pytest.mark.parametrize("text", ["", "1e3", "-1", "+1", "1/2", "1.2.3", "NaN", ".", "1_0"])
def test_a_number_that_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a decimal number|Invalid literal"):
        exact_number(text)
