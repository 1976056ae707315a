"""Matching: which rate of a dimension a usage falls under.

A rate names properties and patterns; it matches a usage that has each of them with a fitting value. Of those
that match the most specific wins: more properties first, then fewer wildcards, then more literal characters.
Publication refuses ties; should a card hold one all the same, the earlier rate wins, always.

A card may list thousands of models, so the rates of a dimension are indexed by the property, a model mostly, that
has the most literal values: what a search costs does not grow with the models that are not asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from rating_service.domain.agreements.agreement import Rate, Record

WILDCARD = "*"


def by_specificity(rates: Sequence[Rate]) -> tuple[Rate, ...]:
    """Return rates with the most specific first; equals keep their order."""
    return tuple(sorted(rates, key=specificity, reverse=True))


def specificity(rate: Rate) -> tuple[int, int, int]:
    """Return what makes a rate more specific than another, the weightiest first; larger is more specific."""
    wildcards = sum(pattern.count(WILDCARD) for pattern in rate.match.values())
    characters = sum(len(pattern) for pattern in rate.match.values())
    return len(rate.match), -wildcards, characters - wildcards


class RateIndex(Record, frozen=True):
    """Rates of one dimension by the literal value that they ask of a property, each list by specificity.

    `others` ask nothing of it, or a pattern. Each rate has its rank: of all rates, 0 is the most specific.
    """

    property: str
    by_value: dict[str, tuple[tuple[int, Rate], ...]]
    others: tuple[tuple[int, Rate], ...]


def index_of(rates: Sequence[Rate]) -> RateIndex:
    """Return an index of the rates of one dimension."""
    values: dict[str, set[str]] = defaultdict(set)
    for rate in rates:
        for name, pattern in rate.match.items():
            if WILDCARD not in pattern:
                values[name].add(pattern)
    chosen = max(sorted(values), key=lambda name: len(values[name]), default="")
    by_value: dict[str, list[tuple[int, Rate]]] = defaultdict(list)
    others: list[tuple[int, Rate]] = []
    for rank, rate in enumerate(by_specificity(rates)):
        value = rate.match.get(chosen, WILDCARD)
        (others if WILDCARD in value else by_value[value]).append((rank, rate))
    return RateIndex(chosen, {value: tuple(group) for value, group in by_value.items()}, tuple(others))


def find_rate(index: RateIndex, properties: Mapping[str, str]) -> Rate | None:
    """Return the most specific rate that matches, or None."""
    named = index.by_value.get(properties.get(index.property, WILDCARD), ())
    best = _first_ranked(named, properties)
    other = _first_ranked(index.others, properties)
    if best is None or (other is not None and other[0] < best[0]):
        best = other
    return None if best is None else best[1]


def _first_ranked(
    ranked: tuple[tuple[int, Rate], ...], properties: Mapping[str, str]
) -> tuple[int, Rate] | None:
    return next((each for each in ranked if matches(each[1].match, properties)), None)


def matches(match: Mapping[str, str], properties: Mapping[str, str]) -> bool:
    """Tell whether a usage's properties satisfy every pattern; one that is not there satisfies none."""
    return all(name in properties and fits(pattern, properties[name]) for name, pattern in match.items())


def fits(pattern: str, value: str) -> bool:
    """Tell whether a value fits a pattern, in which each * stands for any characters, none included.

    Each literal part is taken at its first place, so the time is linear and no pattern can be made slow.
    """
    first, *middle = pattern.split(WILDCARD)
    if not middle:
        return pattern == value
    last = middle.pop()
    if len(value) < len(first) + len(last) or not (value.startswith(first) and value.endswith(last)):
        return False
    place, end = len(first), len(value) - len(last)
    for part in middle:
        found = value.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True
