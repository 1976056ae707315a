"""Which rates of one dimension are equally specific and may meet in one usage: the ledger publishes none such.

More properties are more specific, then fewer wildcards, then more literal characters, property by property. A
file is checked by the same rule before it is sent, so that the lines can be named. Rates are first told apart by
the literal values of the property that separates them best, as lists may be long.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Final

WILDCARD: Final = "*"
Match = Mapping[str, str]
_Place = tuple[int, Match]


def ties(matches: Sequence[Match]) -> Iterator[tuple[int, int]]:
    """Yield the places of each two matches of which neither is more specific and that one usage may fit."""
    groups: dict[tuple[int, int], list[_Place]] = defaultdict(list)
    for place, match in enumerate(matches):
        groups[len(match), _wildcards(match)].append((place, match))
    for group in groups.values():
        for (place, one), (other_place, other) in _pairs(group, frozenset()):
            if _letters_do_not_decide(one, other) and _may_meet(one, other):
                yield min(place, other_place), max(place, other_place)


def _pairs(places: Sequence[_Place], told: frozenset[str]) -> Iterator[tuple[_Place, _Place]]:
    """Yield every pair but those that two different literal values of one property keep apart."""
    literal = Counter(
        name
        for _, match in places
        for name, value in match.items()
        if WILDCARD not in value and name not in told
    )
    if not literal:
        yield from combinations(places, 2)
        return
    name = max(literal, key=lambda each: (literal[each], each))
    by_value: dict[str, list[_Place]] = defaultdict(list)
    others: list[_Place] = []
    for place in places:
        value = place[1].get(name, WILDCARD)
        (others if WILDCARD in value else by_value[value]).append(place)
    for group in by_value.values():
        yield from _pairs(group, told | {name})
        yield from product(group, others)
    yield from _pairs(others, told | {name})


def _letters_do_not_decide(one: Match, other: Match) -> bool:
    """Tell whether neither match has more letters in some property and fewer in none."""
    if one.keys() != other.keys():
        return True
    more = [_letters(one[name]) - _letters(other[name]) for name in one]
    return all(each == 0 for each in more) or (min(more) < 0 < max(more))


def _wildcards(match: Match) -> int:
    return sum(pattern.count(WILDCARD) for pattern in match.values())


def _letters(pattern: str) -> int:
    return len(pattern) - pattern.count(WILDCARD)


def _may_meet(one: Match, other: Match) -> bool:
    return all(_overlap(one[name], other[name]) for name in one.keys() & other.keys())


def _overlap(one: str, other: str) -> bool:
    """Tell whether some text fits both patterns."""
    if WILDCARD not in one and WILDCARD not in other:
        return one == other
    # reachable[j]: the part of `one` read so far can fit the same text as other[:j].
    reachable = [not other[:j].strip(WILDCARD) for j in range(len(other) + 1)]
    for letter in one:
        row = [reachable[0] and letter == WILDCARD]
        for j, other_letter in enumerate(other, start=1):
            if WILDCARD in (letter, other_letter):
                row.append(reachable[j] or row[j - 1] or (reachable[j - 1] and letter == other_letter))
            else:
                row.append(reachable[j - 1] and letter == other_letter)
        reachable = row
    return reachable[-1]
