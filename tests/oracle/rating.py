"""What usage costs, by the published definitions of the price models alone. Exact fractions; no result is rounded.

- Volume: the tier of the total prices all of it. Graduated: each tier prices its own part, and the flat amount of each
  tier that is reached is due; that of the first one at nothing too.
- Package: every package begun beyond the free units. Percentage: of each event's amount, within a least and a most.
- Context window: the multiplier of the first tier that holds the context, for all dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple


class Tier(NamedTuple):
    """Units up to an inclusive end, None for all beyond."""

    up_to: Fraction | None
    price: Fraction
    flat: Fraction


def volume(tiers: Sequence[Tier], quantity: Fraction) -> Fraction:
    """Return the cost of a total at the price of the one tier that it lies in."""
    for tier in tiers:
        if tier.up_to is None or quantity <= tier.up_to:
            return quantity * tier.price + tier.flat
    raise ValueError("the last tier has no end")


def graduated(tiers: Sequence[Tier], quantity: Fraction) -> Fraction:
    """Return the cost of a total of which each tier prices its part."""
    cost, begin = Fraction(0), Fraction(0)
    for tier in tiers:
        end = quantity if tier.up_to is None else min(tier.up_to, quantity)
        if end > begin or begin == 0:
            cost += tier.flat + (end - begin) * tier.price
        begin = max(begin, end)
        if end == quantity:
            break
    return cost


def package(size: int, price: Fraction, free: int, quantity: int) -> Fraction:
    """Return the cost of the packages that are begun."""
    beyond = max(quantity - free, 0)
    return -(-beyond // size) * price


def percentage(
    percent: Fraction,
    fee: Fraction,
    amounts: Sequence[Fraction],
    *,
    least: Fraction = Fraction(0),
    most: Fraction | None = None,
) -> Fraction:
    """Return the cost of events, each a percentage of its amount and a fee."""
    costs = [max(amount * percent / 100 + fee, least) for amount in amounts]
    return sum((cost if most is None else min(cost, most) for cost in costs), Fraction(0))


def multiplier(tiers: Sequence[tuple[int, Fraction]], context: int) -> Fraction:
    """Return the factor of the first tier that holds the context."""
    return next(factor for end, factor in tiers if context <= end)


def tokens(prices: Mapping[str, Fraction], counts: Mapping[str, int]) -> dict[str, Fraction]:
    """Return the cost by dimension."""
    return {name: prices[name] * counts[name] for name in prices}


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole parts of a total in proportion to weights; what is left over goes to the largest remainders."""
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda place: (-remainders[place], place))
    for place in order[: total - sum(parts)]:
        parts[place] += 1
    return parts
