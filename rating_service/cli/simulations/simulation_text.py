"""Simulated amounts as people read them, in tables and in reports alike."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Final

from credits.ledger.v1 import money_pb2

SHOWN_DECIMALS: Final = 6
"""Decimals of an amount that are shown; JSON has all."""
_PRECISION: Final = 120


def whole(units_text: str, asset: money_pb2.Asset) -> str:
    """Return units in whole assets, cut to SHOWN_DECIMALS: 1,250.5."""
    return number(units_text, scale=asset.scale)


def number(text: str, *, scale: int = 0) -> str:
    """Return decimal text, divided by 10^scale, with separators and at most SHOWN_DECIMALS decimals."""
    if not text:
        return ""
    with localcontext(prec=_PRECISION):
        value = Decimal(text).scaleb(-scale)
        shown = f"{value:,.{SHOWN_DECIMALS}f}"
    digits, _, fraction = shown.partition(".")
    fraction = fraction.rstrip("0")
    return f"{digits}.{fraction}" if fraction else digits


def signed(text: str) -> str:
    """Return a number that says which way it goes: +3, -3, 0."""
    return text if not text or text.startswith("-") or text in {"0", ""} else f"+{text}"


def percent(text: str) -> str:
    """Return a difference in per cent, "new" where there is nothing to compare with."""
    return f"{signed(text)} %" if text else "new"


def direction(text: str) -> int:
    """Return -1, 0 or 1 for a difference below, at or above 0."""
    value = Decimal(text or "0")
    return (value > 0) - (value < 0)
