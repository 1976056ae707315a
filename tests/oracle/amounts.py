"""Exact amounts of the oracles, and how a case file spells them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

Object = dict[str, Any]
"""A JSON object of a case."""


def half_up(amount: Fraction, precision: Fraction) -> Fraction:
    """Return an amount rounded to a multiple of the precision, halves away from zero."""
    steps = (2 * abs(amount) / precision + 1) // 2 * precision
    return steps if amount >= 0 else -steps


def text(amount: Fraction, places: int = 6) -> str:
    """Return an amount as decimal text, rounded half up to so many places."""
    scaled = int(half_up(amount, Fraction(1, 10**places)) * 10**places)
    plain = f"{Decimal(scaled).scaleb(-places):f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
