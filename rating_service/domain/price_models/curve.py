"""A price by tiers, made integers: what all tiered models are computed from.

Every number is a numerator at 10^-decimals units of the asset, the factor of multipliers counted in, so that
charging takes integer products and sums alone.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from rating_service.domain.agreements.agreement import Record


class PartKind:
    """What a part of a line is. Plain text: reading the value of an enum member cost a tenth of a charge."""

    QUANTITY: Final = "QUANTITY"
    FEE: Final = "FEE"
    FREE: Final = "FREE"
    PACKAGES: Final = "PACKAGES"
    EARLIER: Final = "EARLIER"
    MINIMUM: Final = "MINIMUM"
    MAXIMUM: Final = "MAXIMUM"


class Part(Record, frozen=True):
    """One term of the sum behind a line. `tier` counts from 1; `price` is the card's own text."""

    kind: str
    numerator: int
    tier: int = 0
    quantity: int = 0
    price: str = ""


class Curve(Record, frozen=True):
    """Tiers in order. `ends` holds the inclusive upper end of each but the last, which has none.

    `package_size` is what one package holds, for the model that sells packages.
    """

    ends: tuple[int, ...]
    of_one: tuple[int, ...]
    fees: tuple[int, ...]
    price_texts: tuple[str, ...]
    fee_texts: tuple[str, ...]
    zero_free: bool = False
    package_size: int = 1


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
    total = 0
    for part in parts:
        total += part.numerator
    return total
