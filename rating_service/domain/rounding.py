"""Rounding of money: the one place where an exact amount becomes one that can be paid.

A sum is rounded once, half up to the currency's minor unit, and its parts are then cut so that they add up to
it (largest remainder): each part is rounded down, and what is missing goes, one minor unit each, to the parts
that lost most, the earlier of equals first. Half up means away from zero, so that a credit note mirrors its
invoice.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import Final

NANOS_PER_MAJOR: Final = 10**9

_MINOR_DIGITS: Final = {
    code: digits
    for digits, codes in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF XXX",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }.items()
    for code in codes.split()
}
_MINOR_DIGITS_DEFAULT: Final = 2


def minor_digits(currency_code: str) -> int:
    """Return how many decimals a currency is paid in. Source: ISO 4217, list one."""
    return _MINOR_DIGITS.get(currency_code, _MINOR_DIGITS_DEFAULT)


def minor_unit_nanos(currency_code: str) -> int:
    """Return the smallest payable amount of a currency, in nanos."""
    return int(10 ** (9 - minor_digits(currency_code)))


def round_half_up(amount: Fraction, *, step: int) -> int:
    """Return the multiple of `step` nearest to the amount; halves go away from zero."""
    if amount < 0:
        return -round_half_up(-amount, step=step)
    return floor(amount / step + Fraction(1, 2)) * step


def round_parts(parts: Sequence[Fraction], *, step: int) -> tuple[int, ...]:
    """Return multiples of `step` near the parts that add up to their exact sum, rounded half up.

    Each is less than one step away from its part.
    """
    return _cut(parts, total=round_half_up(sum(parts, Fraction(0)), step=step), step=step)


def round_growth(parts: Sequence[Fraction], *, total: int, step: int) -> tuple[int, ...]:
    """Return multiples of `step` near the parts that add up to `total`, itself such a multiple.

    For what a sum has grown by since it was rounded before: the total may be a step or two off the sum of the parts,
    and so may each of them. A part of nothing stays nothing, unless all are. Raises ValueError for no parts.
    """
    if not parts:
        raise ValueError("a total needs parts")
    moving = [place for place, part in enumerate(parts) if part] or list(range(len(parts)))
    floors = [floor(parts[place] / step) * step for place in moving]
    missing = (total - sum(floors)) // step
    each, rest = divmod(missing, len(moving))
    by_loss = sorted(range(len(moving)), key=lambda at: floors[at] - parts[moving[at]])
    favoured = frozenset(by_loss[:rest])
    found = [0] * len(parts)
    for at, place in enumerate(moving):
        found[place] = floors[at] + step * (each + (at in favoured))
    return tuple(found)


def split_by_weight(total: int, weights: Sequence[int], *, step: int) -> tuple[int, ...]:
    """Return multiples of `step` in proportion to the weights that add up to `total`, itself such a multiple.

    Raises ValueError if the weights do not add up to more than zero.
    """
    weight = sum(weights)
    if weight <= 0:
        raise ValueError("weights must add up to more than zero")
    return _cut([Fraction(total * each, weight) for each in weights], total=total, step=step)


def _cut(parts: Sequence[Fraction], *, total: int, step: int) -> tuple[int, ...]:
    floors = [floor(part / step) * step for part in parts]
    missing = (total - sum(floors)) // step
    by_loss = sorted(range(len(parts)), key=lambda place: floors[place] - parts[place])
    favoured = frozenset(by_loss[:missing])
    return tuple(each + step * (place in favoured) for place, each in enumerate(floors))
