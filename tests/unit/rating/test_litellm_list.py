"""Price lists are read exactly; what has no place is counted, and what is no list is refused with its place."""

import gzip
from fractions import Fraction

import pytest

from rating_service.cli.cards.litellm_list import ListedModel, ListRefused, read_list
from tests.unit.rating.price_lists import LIST


def model(name: str, content: bytes = LIST) -> ListedModel:
    """Return one model of a list."""
    return next(each for each in read_list(content, file="list.json").models if each.name == name)


def costs(name: str, content: bytes = LIST) -> dict[tuple[str, str, int], tuple[int, Fraction]]:
    """Return unit size and cost by dimension, service tier and threshold."""
    return {
        (each.dimension, each.service_tier, each.above): (each.unit_size, each.cost)
        for each in model(name, content).costs
    }


def listed(entry: str) -> bytes:
    """Return a list of one model, m."""
    return b'{"m": {' + entry.encode() + b"}}"


def test_plain_and_gzipped_lists_are_the_same_and_the_sample_is_no_model() -> None:
    plain, packed = read_list(LIST, file="a"), read_list(gzip.compress(LIST), file="b")

    assert plain == packed
    assert [each.name for each in plain.models] == ["draws", "free", "long", "short", "steps", "thinks"]
    assert (model("draws").provider, model("draws").mode) == ("bolt", "image_generation")


def test_a_price_per_token_becomes_the_exact_price_of_a_million() -> None:
    assert costs("short") == {
        ("input_tokens", "", 0): (1_000_000, Fraction("0.15")),
        ("output_tokens", "", 0): (1_000_000, Fraction("0.6")),
        ("cached_input_tokens", "", 0): (1_000_000, Fraction("0.075")),
    }
    assert costs("draws") == {("output_images", "", 0): (1, Fraction("0.04"))}


@pytest.mark.parametrize(
    "number", ["1.00000000000000000000000000000000000001e-1", "123456789012345678901234567890", "3E-40"]
)
def test_no_digit_of_a_number_is_lost(number: str) -> None:
    found = costs("m", listed(f'"input_cost_per_image": {number}'))

    assert found == {("input_images", "", 0): (1, Fraction(number))}


def test_a_search_has_a_price_where_searches_of_every_size_cost_the_same() -> None:
    sizes = (
        '"search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.01}'
    )

    assert costs("m", listed(sizes)) == {("web_search_requests", "", 0): (1, Fraction("0.01"))}


def test_thresholds_and_service_tiers_are_read_from_the_keys() -> None:
    assert costs("long") == {
        ("input_tokens", "", 0): (1_000_000, Fraction("0.075")),
        ("input_tokens", "", 128_000): (1_000_000, Fraction("0.15")),
        ("input_tokens", "batch", 0): (1_000_000, Fraction("0.0375")),
        ("input_tokens", "priority", 0): (1_000_000, Fraction("0.1")),
        ("input_tokens", "priority", 128_000): (1_000_000, Fraction("0.3")),
        ("output_tokens", "", 0): (1_000_000, Fraction("0.3")),
        ("output_tokens", "", 128_000): (1_000_000, Fraction("0.6")),
        ("cache_write_tokens_5m", "", 0): (1_000_000, Fraction(1)),
        ("cache_write_tokens_1h", "", 0): (1_000_000, Fraction(2)),
    }


def test_reasoning_costs_what_the_list_says_or_else_what_output_costs() -> None:
    assert costs("thinks")["reasoning_tokens", "", 0] == (1_000_000, Fraction("2.5"))
    assert costs("steps")["reasoning_tokens", "", 0] == (1_000_000, Fraction(5))
    assert costs("steps")["reasoning_tokens", "", 32_000] == (1_000_000, Fraction(15))
    assert ("reasoning_tokens", "", 0) not in costs("short")


def test_what_has_no_place_is_counted_by_key_with_the_reason() -> None:
    skipped = read_list(LIST, file="list.json").skipped

    assert skipped == {
        ("search_context_cost_per_query", "no dimension for it"): 1,
        ("input_cost_per_token_priority_above_128k_tokens", "no dimension for it"): 1,
    }


@pytest.mark.parametrize(
    ("entry", "skipped"),
    [
        ('"input_dbu_cost_per_token": 1e-6', ("input_dbu_cost_per_token", "no dimension for it")),
        (
            '"cache_read_input_token_cost": 1e-6, "input_cost_per_token_cache_hit": 1e-6',
            ("input_cost_per_token_cache_hit", "another key says it"),
        ),
        ('"tiered_pricing": [{"input_cost_per_query": 5}]', ("tiered_pricing", "its ranges do not adjoin")),
        (
            '"tiered_pricing": [{"range": [0, 5], "x_cost": 1}, {"range": [6, 9], "x_cost": 1}]',
            ("tiered_pricing", "its ranges do not adjoin"),
        ),
        ('"tiered_pricing": [{"range": [0, 5], "x_cost": 1}]', ("x_cost", "no dimension for it")),
    ],
)
def test_a_key_is_never_dropped_without_being_counted(entry: str, skipped: tuple[str, str]) -> None:
    assert read_list(listed(entry), file="list.json").skipped == {skipped: 1}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[]", "list.json: must be an object of models"),
        (b"{", "list.json: not JSON"),
        (b"\x1f\x8bnot gzip", "list.json: not JSON"),
        (b'{"m": 1}', "list.json: m: must be an object"),
        (listed('"input_cost_per_token": -1e-9'), "list.json: m: input_cost_per_token: -1E-9 is no amount"),
        (listed('"input_cost_per_token": NaN'), "list.json: m: input_cost_per_token: NaN is no amount"),
        (listed('"input_cost_per_token": "1"'), "list.json: m: input_cost_per_token: '1' is no number"),
        (listed('"input_cost_per_token": true'), "list.json: m: input_cost_per_token: True is no number"),
        (listed('"input_cost_per_token": 1e-41'), "has too many digits"),
        (listed('"input_cost_per_token": 1e40'), "has too many digits"),
    ],
)
def test_what_is_no_price_list_is_refused_with_its_place(content: bytes, told: str) -> None:
    with pytest.raises(ListRefused) as refused:
        read_list(content, file="list.json")

    assert told in str(refused.value)
