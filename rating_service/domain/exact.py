"""Exact numbers and their text.

Prices, factors and amounts are decimal text: an optional sign, digits, and a fraction without trailing zeros;
no exponent. In between they are fractions of integers, so nothing is rounded unless `money` is asked to. A
decimal that does not end has no such text; unit sizes of twos and fives only keep it from arising.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_DECIMAL_TEXT: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?", re.ASCII)


def parse_exact(text: str) -> Fraction:
    """Return the number behind decimal text. Raises ValueError for anything else."""
    if _DECIMAL_TEXT.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not decimal text")
    # Fraction parses text as well, with an expression of its own that costs four times as much.
    whole, _, decimals = text.partition(".")
    return Fraction(int(whole + decimals), 10 ** len(decimals)) if decimals else Fraction(int(whole))


def exact_text(number: Fraction) -> str:
    """Return a number as decimal text. Raises ValueError if its decimals do not end."""
    decimals = decimals_of(number)
    return scaled_text(number.numerator * 10**decimals // number.denominator, decimals)


def scaled_text(numerator: int, decimals: int) -> str:
    """Return numerator x 10^-decimals as decimal text."""
    if decimals == 0:
        return str(numerator)
    if numerator < 0:
        return "-" + scaled_text(-numerator, decimals)
    whole, rest = divmod(numerator, 10**decimals)
    if rest == 0:
        return str(whole)
    return f"{whole}.{str(rest).zfill(decimals).rstrip('0')}"


def decimals_of(number: Fraction) -> int:
    """Return how many decimals a number needs. Raises ValueError if they do not end."""
    rest, twos = _strip(number.denominator, 2)
    rest, fives = _strip(rest, 5)
    if rest != 1:
        raise ValueError(f"{number} has no finite decimal text")
    return max(twos, fives)


def _strip(number: int, factor: int) -> tuple[int, int]:
    count = 0
    while number % factor == 0:
        number //= factor
        count += 1
    return number, count
