"""Which rates of a phase could match the same usage: none may be as specific as another one that it could meet.

More properties are more specific, then fewer wildcards, then more literal characters. Characters are compared
property by property: a long name of a model says nothing against a short one of a region, so rates that name
other properties, or of which each has more in some property, are equally specific. Comparing all rates in
pairs would take minutes for a long list, so rates are first told apart by the literal values of the property
that separates them best; what is left is compared in pairs, of which there is a most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import Final

from ledger_service.domain.events import Rate
from ledger_service.domain.refusals import FieldTooLong, RatesAmbiguous

PAIRS_MAX: Final = 500_000
"""Most pairs that are compared for one dimension: about a second."""
GROUP_MAX: Final = 32
"""Rates that are compared in pairs without looking for what tells them apart."""

_Pair = tuple[Rate, Rate]


def check_unambiguous(rates: Sequence[Rate]) -> None:
    """Refuse rates of one dimension of which two are equally specific and may meet.

    Raises RatesAmbiguous, and FieldTooLong where wildcards leave more than PAIRS_MAX pairs to compare.
    """
    by_specificity: dict[tuple[int, int], list[Rate]] = {}
    for rate in rates:
        by_specificity.setdefault(specificity(rate.match)[:2], []).append(rate)
    pairs = 0
    for equals in by_specificity.values():
        for one, other in _pairs_to_compare(equals, frozenset()):
            pairs += 1
            if pairs > PAIRS_MAX:
                raise FieldTooLong(
                    f"phase.rates has too many rates for {one.dimension} whose wildcards have to be compared",
                    field="phase.rates",
                )
            if equally_specific(one.match, other.match) and may_both_match(one.match, other.match):
                raise RatesAmbiguous(
                    f"two rates for {one.dimension} are equally specific and may price the same usage: "
                    f"{_text(one.match)}, and {_text(other.match)}",
                    field="phase.rates",
                )


def specificity(match: dict[str, str]) -> tuple[int, int, int]:
    """Return how specific a match is, larger is more: properties, minus wildcards, literal characters."""
    wildcards = sum(pattern.count("*") for pattern in match.values())
    return (len(match), -wildcards, sum(map(len, match.values())) - wildcards)


def equally_specific(one: dict[str, str], other: dict[str, str]) -> bool:
    """Tell whether neither match is more specific."""
    if specificity(one)[:2] != specificity(other)[:2]:
        return False
    if one.keys() != other.keys():
        return True
    more = [_literals(one[name]) - _literals(other[name]) for name in one]
    return all(each == 0 for each in more) or (min(more) < 0 < max(more))


def _literals(pattern: str) -> int:
    return len(pattern) - pattern.count("*")


def _text(match: dict[str, str]) -> str:
    return " and ".join(f"{name}={pattern}" for name, pattern in sorted(match.items())) or "no condition"


def _pairs_to_compare(rates: Sequence[Rate], told: frozenset[str]) -> Iterator[_Pair]:
    """Yield every pair but those that two different literal values of one property keep apart."""
    name = _best_property(rates, told) if len(rates) > GROUP_MAX else None
    if name is None:
        yield from combinations(rates, 2)
        return
    by_value: dict[str, list[Rate]] = {}
    others: list[Rate] = []
    for rate in rates:
        value = rate.match.get(name, "*")
        (others if "*" in value else by_value.setdefault(value, [])).append(rate)
    for group in by_value.values():
        yield from _pairs_to_compare(group, told | {name})
        yield from product(group, others)
    yield from _pairs_to_compare(others, told | {name})


def _best_property(rates: Sequence[Rate], told: frozenset[str]) -> str | None:
    """Return the property that has a literal value in most rates, or None if none is left to look at."""
    literal = Counter(
        name for rate in rates for name, value in rate.match.items() if "*" not in value and name not in told
    )
    return max(literal, key=lambda name: (literal[name], name), default=None)


def may_both_match(one: dict[str, str], other: dict[str, str]) -> bool:
    """Say whether some properties satisfy both matches."""
    return all(patterns_overlap(one[key], other[key]) for key in one.keys() & other.keys())


def patterns_overlap(one: str, other: str) -> bool:
    """Say whether some text matches both patterns, in which '*' stands for any run of characters."""
    if "*" not in one and "*" not in other:
        return one == other
    if not _ends_agree(one, other):
        return False
    # reachable[j]: the part of `one` read so far can match the same text as other[:j].
    reachable = [all(char == "*" for char in other[:j]) for j in range(len(other) + 1)]
    for char in one:
        row = [reachable[0] and char == "*"]
        for j, other_char in enumerate(other, start=1):
            if "*" in (char, other_char):
                row.append(reachable[j] or row[j - 1] or (reachable[j - 1] and char == other_char))
            else:
                row.append(reachable[j - 1] and char == other_char)
        reachable = row
    return reachable[-1]


def _ends_agree(one: str, other: str) -> bool:
    # Tells most patterns apart at once; half a million pairs may have to be compared.
    heads = one.partition("*")[0], other.partition("*")[0]
    tails = one.rpartition("*")[2], other.rpartition("*")[2]
    head_length, tail_length = min(map(len, heads)), min(map(len, tails))
    return (
        heads[0][:head_length] == heads[1][:head_length]
        and tails[0][len(tails[0]) - tail_length :] == tails[1][len(tails[1]) - tail_length :]
    )
