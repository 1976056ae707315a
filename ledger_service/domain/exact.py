"""Exact decimal figures: charges before rounding. Inexact results raise instead of losing a digit."""

from __future__ import annotations

import re
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from typing import Final

EXACT: Final = Context(prec=120, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""120 digits hold any sum of quantity (19) x price (18 + 18 decimals) x factors with room to spare."""

_FORM: Final = re.compile(r"(0|[1-9][0-9]{0,18})(\.[0-9]{1,54})?", re.ASCII)


def exact(text: str) -> Decimal:
    """Return the figure behind decimal text that was checked before."""
    return Decimal(text)


def is_exact_text(text: str) -> bool:
    """Say whether text is a plain, not negative decimal of at most 19 digits and 54 decimals."""
    return _FORM.fullmatch(text) is not None


def fraction_text(number: Fraction) -> str:
    """Return a fraction as plain decimal text without trailing zeros. Raises Inexact if its decimals do not end."""
    quotient = EXACT.divide(Decimal(number.numerator), Decimal(number.denominator))
    return format(quotient.normalize(EXACT), "f")
