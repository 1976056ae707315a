"""A price by tiers, made integers: what all tiered models are computed from.

Every number is a numerator at 10^-decimals units of the asset, the factor of multipliers counted in, so that
charging takes integer products and sums alone.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import Enum

from rating_service.domain.agreement import Record


class PartKind(Enum):
    """What a part of a line is."""

    QUANTITY = "QUANTITY"
    FEE = "FEE"
    FREE = "FREE"
    PACKAGES = "PACKAGES"
    EARLIER = "EARLIER"
    MINIMUM = "MINIMUM"
    MAXIMUM = "MAXIMUM"


class Part(Record, frozen=True):
    """One term of the sum behind a line. `tier` counts from 1; `price` is the card's own text."""

    kind: PartKind
    numerator: int
    tier: int = 0
    quantity: int = 0
    price: str = ""


class Curve(Record, frozen=True):
    """Tiers in order. `ends` holds the inclusive upper end of each but the last, which has none."""

    ends: tuple[int, ...]
    of_one: tuple[int, ...]
    fees: tuple[int, ...]
    price_texts: tuple[str, ...]
    fee_texts: tuple[str, ...]
    zero_free: bool = False


class Stretch(Record, frozen=True):
    """From the quantity before a usage to the one after it, what is free taken off both.

    `begun` tells whether any usage came before: a flat fee of the first tier is due with the first one, even of
    quantity 0.
    """

    before: int
    after: int
    begun: bool


def tier_of(curve: Curve, quantity: int) -> int:
    """Return the index of the tier that holds a quantity."""
    return bisect_left(curve.ends, quantity)


def owes_fee(curve: Curve, quantity: int, *, begun: bool) -> bool:
    """Tell whether a quantity owes the fee of the first tier."""
    return begun and (quantity > 0 or not curve.zero_free)


def amount_of(parts: list[Part]) -> int:
    """Return the sum of parts."""
    return sum(part.numerator for part in parts)
