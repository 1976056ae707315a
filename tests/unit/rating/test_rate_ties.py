"""Rates that no rule puts in order are found before they are sent."""

from collections.abc import Mapping
from itertools import combinations
from random import Random

import pytest

from rating_service.cli.cards.rate_ties import ties
from rating_service.domain.prices.matching import fits

TEXTS = ["a", "b", "ab", "ba", "aa", "aab", "aba", "bab", "abab", ""]
"""Enough that any two of the patterns below that overlap meet in one of them."""
PATTERNS = ["a", "ab", "a*", "*b", "*", "ba*", "*a"]


@pytest.mark.parametrize(
    ("one", "other", "is_tie"),
    [
        ({"model": "x"}, {"model": "x"}, True),
        ({"model": "gpt-4o"}, {"region": "eu"}, True),
        ({"model": "gpt-4o", "region": "*"}, {"model": "*", "region": "eu"}, True),
        ({}, {}, True),
        ({"model": "x"}, {"model": "y"}, False),
        ({"model": "gpt-*"}, {"model": "gpt-4*"}, False),
        ({"model": "*"}, {"region": "eu"}, False),
        ({"model": "x"}, {"model": "x", "region": "eu"}, False),
        ({"model": "x", "region": "eu"}, {"model": "y", "tier": "batch"}, False),
    ],
)
def test_two_rates_tie_if_neither_is_more_specific_and_both_may_fit(
    one: Mapping[str, str], other: Mapping[str, str], is_tie: bool
) -> None:
    assert list(ties([one, other])) == ([(0, 1)] if is_tie else [])


def meet(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Tell whether two matches tie: the rule, word for word, over every short text."""
    stars = [sum(value.count("*") for value in each.values()) for each in (one, other)]
    letters = [{name: len(value.replace("*", "")) for name, value in each.items()} for each in (one, other)]
    common = one.keys() & other.keys()
    more = {letters[0][name] > letters[1][name] for name in common if letters[0][name] != letters[1][name]}
    return (
        (len(one), stars[0]) == (len(other), stars[1])
        and (one.keys() != other.keys() or len(more) != 1)
        and all(any(fits(one[name], text) and fits(other[name], text) for text in TEXTS) for name in common)
    )


@pytest.mark.parametrize("seed", range(20))
def test_all_ties_of_a_list_are_found_and_no_others(seed: int) -> None:
    random = Random(seed)
    names = ["model", "tier", "region"]
    rates = [
        {name: random.choice(PATTERNS) for name in random.sample(names, random.choice([1, 2]))}
        for _ in range(25)
    ]

    expected = [
        (one, other) for one, other in combinations(range(len(rates)), 2) if meet(rates[one], rates[other])
    ]
    assert sorted(ties(rates)) == expected
