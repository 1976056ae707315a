"""Decimal text of the case files to whole units and nanos, and back: exactly or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Final, NamedTuple

from tests.acceptance.cases.verdicts import Unsupported

UNITS_MAX: Final = 2**63 - 1
"""Largest amount on the wire: int64."""
SCALE_DEFAULT: Final = 6
SCALE_MAX: Final = 12
"""Most decimal digits that an asset may have."""
NANO_DIGITS: Final = 9
WIDE: Final = Context(prec=120, traps=[InvalidOperation, DivisionByZero, Overflow])
"""Enough digits for any product or sum of figures in a case."""


class Quantity(NamedTuple):
    """A quantity as a whole number of parts, of which `unit_size` make one."""

    parts: int
    unit_size: int


def decimals_of(amount: Decimal) -> int:
    """Return how many decimals a number needs."""
    exponent = WIDE.create_decimal(amount).normalize(WIDE).as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def scale_for(amounts: Iterable[Decimal]) -> int:
    """Return the scale of an asset that holds all amounts exactly: the usual one if it will do.

    Raises Unsupported if there is none.
    """
    listed = list(amounts)
    needed = max(map(decimals_of, listed), default=0)
    for scale in (max(needed, SCALE_DEFAULT), needed):
        if scale <= SCALE_MAX and all(_fits(amount, scale) for amount in listed):
            return scale
    raise Unsupported(f"no scale up to {SCALE_MAX} holds all amounts of the case")


def _fits(amount: Decimal, scale: int) -> bool:
    return abs(amount.scaleb(scale, WIDE)) <= UNITS_MAX


def to_units(amount: Decimal, scale: int) -> int:
    """Return an amount in units of an asset. Raises Unsupported if it does not fit exactly."""
    if decimals_of(amount) > scale or not _fits(amount, scale):
        raise Unsupported(f"amount {amount} does not fit int64 at scale {scale}")
    return int(amount.scaleb(scale, WIDE))


def from_units(units: int, scale: int) -> Decimal:
    """Return units of an asset as an amount of whole assets."""
    return Decimal(units).scaleb(-scale, WIDE)


def to_nanos(amount: Decimal) -> int:
    """Return an amount of money in nanos. Raises Unsupported if it does not fit exactly."""
    return to_units(amount, NANO_DIGITS)


def from_nanos(nanos: int) -> Decimal:
    """Return nanos as an amount of money."""
    return from_units(nanos, NANO_DIGITS)


def quantity_of(amount: Decimal) -> Quantity:
    """Return a quantity in whole parts: 10.5 is 105 parts of which 10 make one. Raises Unsupported."""
    decimals = decimals_of(amount)
    return Quantity(to_units(amount, decimals), 10**decimals)


def price_text(price: Decimal) -> str:
    """Return a price as plain decimal text."""
    return f"{price.normalize(WIDE):f}"


def check_precision(precision: Decimal) -> Decimal:
    """Return a precision that is a power of ten. Raises Unsupported for any other."""
    if precision <= 0 or precision.normalize().as_tuple().digits != (1,):
        raise Unsupported(f"precision {precision}")
    return precision.normalize()


def round_half_up(amount: Decimal, precision: Decimal) -> Decimal:
    """Return an amount rounded to a multiple of a power of ten, halves away from zero."""
    return amount.quantize(precision, ROUND_HALF_UP, WIDE)
