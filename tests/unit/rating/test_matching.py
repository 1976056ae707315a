"""The most specific rate wins."""

from random import Random

import pytest

from rating_service.domain.agreements.agreement import Rate
from rating_service.domain.prices.matching import by_specificity, find_rate, fits, index_of, matches
from tests.unit.rating.builders import rate


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-*", "gpt-4o"),
        ("gpt-*", "gpt-"),
        ("*-mini", "gpt-4o-mini"),
        ("*", ""),
        ("a*b*c", "a1b2c"),
        ("a*b*c", "abc"),
        ("*4o*", "gpt-4o-mini"),
        ("**", "x"),
        ("a*ba*a", "abaa"),
    ],
)
def test_a_star_stands_for_any_characters(pattern: str, value: str) -> None:
    assert fits(pattern, value)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o", "GPT-4o"),
        ("gpt-*", "xgpt-4o"),
        ("*-mini", "mini"),
        ("ab*ba", "aba"),
        ("a*b*c", "a1c"),
        ("a*ba*a", "aba"),
        ("gpt.4o", "gpt-4o"),
        ("", "x"),
    ],
)
def test_all_other_characters_stand_for_themselves(pattern: str, value: str) -> None:
    assert not fits(pattern, value)


def test_a_hostile_pattern_takes_linear_time() -> None:
    assert not fits("*a" * 100 + "b*", "a" * 10_000)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (rate("t", "1", model="*", region="*"), rate("t", "1", model="gpt-4o")),
        (rate("t", "1", model="gpt-4o"), rate("t", "1", model="gpt-4o*")),
        (rate("t", "1", model="gpt-4*"), rate("t", "1", model="gpt-*")),
        (rate("t", "1", model="*"), rate("t", "1")),
    ],
    ids=["more properties", "fewer wildcards", "more literal characters", "a wildcard over none"],
)
def test_the_more_specific_rate_comes_first(better: Rate, worse: Rate) -> None:
    assert (better, worse) == by_specificity([worse, better]) == by_specificity([better, worse])


def test_a_property_that_the_usage_lacks_does_not_match_a_wildcard() -> None:
    assert find_rate(index_of([rate("t", "1", model="*")]), {}) is None


def test_a_property_that_no_rate_names_is_no_matter() -> None:
    plain = rate("t", "1")

    assert find_rate(index_of([plain]), {"team": "search"}) is plain


@pytest.mark.parametrize("seed", range(30))
def test_the_index_finds_what_a_search_through_all_rates_finds(seed: int) -> None:
    random = Random(seed)
    models = [f"m{number}" for number in range(12)]
    patterns = [*models, "m*", "*1", "*", "m1*"]
    rates = []
    for number in range(40):
        names = random.sample(["model", "tier", "region"], random.randrange(4))
        rates.append(Rate("t", str(number), match={name: random.choice(patterns) for name in names}))
    index = index_of(rates)

    for _ in range(200):
        names = random.sample(["model", "tier", "region"], random.randrange(4))
        properties = {name: random.choice([*models, "other"]) for name in names}
        expected = next((each for each in by_specificity(rates) if matches(each.match, properties)), None)
        assert find_rate(index, properties) is expected


def test_a_search_looks_at_no_model_that_is_not_asked_for() -> None:
    rates = [rate("t", "1", model=f"m{number}", tier=tier) for number in range(5_000) for tier in ("a", "b*")]

    index = index_of([*rates, rate("t", "2")])

    assert index.property == "model"
    assert {len(named) for named in index.by_value.values()} == {2}
    assert len(index.others) == 1
