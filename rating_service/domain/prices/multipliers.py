"""Multipliers: factors by the tier in which a number of the usage falls.

The number is the property of that name, as text, or else the quantity of that name: a context window may be
told as a property, or counted like any dimension. Or it is the sum of several quantities, as the card says; one
that the usage lacks counts 0. A tier's upper end belongs to it: 8192 is in the tier up to
8192. A multiplier asks for its number only when the usage has a dimension that it scales.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from rating_service.domain.agreements.agreement import BeyondLastTier, Multiplier, Record
from rating_service.domain.exact import parse_exact
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import Usage

NOT_SCALED: Final = -1
"""Tier of a multiplier that scales nothing of the usage."""
_DIGITS_MAX: Final = 19
"""Most digits of a number: those of the largest int64."""


class Ladder(Record, frozen=True):
    """A multiplier with the upper ends of its tiers, made ready for searching."""

    multiplier: Multiplier
    up_to: tuple[int, ...]


def ladder_of(multiplier: Multiplier) -> Ladder:
    """Return a multiplier made ready for searching."""
    return Ladder(multiplier, tuple(tier.up_to for tier in multiplier.tiers))


def tier_of(ladder: Ladder, usage: Usage) -> int:
    """Return the index of the tier that applies, or NOT_SCALED.

    Refuses MISSING_PROPERTY, INVALID_PROPERTY, BEYOND_LAST_TIER.
    """
    multiplier = ladder.multiplier
    number = _number_of(multiplier, usage)
    if number is None:
        return NOT_SCALED
    tier = bisect_left(ladder.up_to, number)
    if tier < len(ladder.up_to):
        return tier
    if multiplier.beyond_last_tier is BeyondLastTier.LAST_APPLIES:
        return len(ladder.up_to) - 1
    raise Refusal(
        Reason.BEYOND_LAST_TIER,
        f"{multiplier.property} {number} lies beyond the last tier, {ladder.up_to[-1]}",
        property=multiplier.property,
        value=str(number),
        up_to=str(ladder.up_to[-1]),
    )


def factor_of(multiplier: Multiplier, tier: int, dimension: str) -> Fraction:
    """Return the factor for one dimension in a tier."""
    if tier == NOT_SCALED or (multiplier.dimensions and dimension not in multiplier.dimensions):
        return Fraction(1)
    return parse_exact(multiplier.tiers[tier].factor)


def sum_of(names: Sequence[str], usage: Usage) -> int:
    """Return the sum of some quantities of a usage. One without a price may be told as a property.

    Refuses INVALID_PROPERTY.
    """
    quantities = usage.quantities
    return sum(quantities[name] if name in quantities else _told(name, usage) or 0 for name in names)


def _told(name: str, usage: Usage) -> int | None:
    """Return a number that is told as property, or else as quantity."""
    text = usage.properties.get(name)
    if text is not None:
        return _whole_number(name, text)
    return usage.quantities.get(name)


def _number_of(multiplier: Multiplier, usage: Usage) -> int | None:
    """Return the number that decides the tier, or None if nothing of the usage is scaled."""
    if multiplier.dimensions and usage.quantities.keys().isdisjoint(multiplier.dimensions):
        return None
    if multiplier.sum_of:
        return sum_of(multiplier.sum_of, usage)
    number = _told(multiplier.property, usage)
    if number is not None:
        return number
    raise Refusal(
        Reason.MISSING_PROPERTY,
        f"{multiplier.property} decides a multiplier and is given neither as property nor as quantity",
        property=multiplier.property,
    )


def _whole_number(name: str, text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX:
        return int(text)
    raise Refusal(
        Reason.INVALID_PROPERTY,
        f"{name} must be a whole number of at most {_DIGITS_MAX} digits, not {text!r}",
        property=name,
        value=text,
    )
