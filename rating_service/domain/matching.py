"""Matching: which rate of a dimension a usage falls under.

A rate names properties and patterns; it matches a usage that has each of them with a fitting value. Of those
that match the most specific wins: more properties first, then fewer wildcards, then more literal characters.
Publication refuses ties; should a card hold one all the same, the earlier rate wins, always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rating_service.domain.agreement import Rate

WILDCARD = "*"


def by_specificity(rates: Sequence[Rate]) -> tuple[Rate, ...]:
    """Return rates with the most specific first; equals keep their order."""
    return tuple(sorted(rates, key=specificity, reverse=True))


def specificity(rate: Rate) -> tuple[int, int, int]:
    """Return what makes a rate more specific than another, the weightiest first; larger is more specific."""
    wildcards = sum(pattern.count(WILDCARD) for pattern in rate.match.values())
    characters = sum(len(pattern) for pattern in rate.match.values())
    return len(rate.match), -wildcards, characters - wildcards


def first_match(rates: Sequence[Rate], properties: Mapping[str, str]) -> Rate | None:
    """Return the first rate that matches, or None."""
    return next((rate for rate in rates if matches(rate.match, properties)), None)


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
