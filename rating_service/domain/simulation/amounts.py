"""Exact amounts as integers of 10^-40 units: adding millions of them costs integer sums and rounds nothing.

Decimal text has at most 40 decimals, so each text is one such integer. Where a usage was taken back in part, what
is left of an amount is rounded half up to NET_DECIMALS decimals of a unit, once, before anything is added up: so
every sum of every kind is a sum of the same numbers.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from rating_service.domain.exact import scaled_text
from rating_service.domain.rounding import round_half_up

EXACT_DECIMALS: Final = 40
NET_DECIMALS: Final = 12
PERCENT_DECIMALS: Final = 2

POWERS: Final[tuple[int, ...]] = tuple(
    10 ** (EXACT_DECIMALS - decimals) for decimals in range(EXACT_DECIMALS + 1)
)
_UNIT: Final = 10**EXACT_DECIMALS
_NET_STEP: Final = 10 ** (EXACT_DECIMALS - NET_DECIMALS)


class TooExactError(ValueError):
    """An amount has more decimals than can be added up."""


def read_amount(text: str) -> int:
    """Return decimal text as an integer of 10^-40. Raises TooExactError."""
    whole, _, fraction = text.partition(".")
    if not fraction:
        return int(whole) * _UNIT
    if len(fraction) > EXACT_DECIMALS:
        raise TooExactError(text)
    return int(whole + fraction) * POWERS[len(fraction)]


def amount_text(amount: int) -> str:
    """Return decimal text."""
    return scaled_text(amount, EXACT_DECIMALS)


def whole_units(amount: int) -> int:
    """Return the whole units of an amount, rounded down as the wallet debits them."""
    return amount // _UNIT


def net_amount(amount: int, *, left_units: int, debited_units: int) -> int:
    """Return what is left of an amount when so many of the debited units are left."""
    return round_half_up(Fraction(amount * left_units, debited_units), step=_NET_STEP)


def percent_text(difference: int | Fraction, base: int | Fraction) -> str:
    """Return a difference in per cent of its base, half up; empty if there is no base."""
    if not base:
        return ""
    hundredths = round_half_up(
        Fraction(difference) * 10**PERCENT_DECIMALS * 100 / abs(Fraction(base)), step=1
    )
    return scaled_text(hundredths, PERCENT_DECIMALS)
