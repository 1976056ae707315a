"""The model `unit`: a price per unit_size, linear.

amount = quantity / unit_size x unit_price x factor. A unit size is a product of twos and fives, so the amount
of one is a finite decimal, and a charge is a product of integers.
"""

from __future__ import annotations

from fractions import Fraction

from rating_service.domain.agreement import Record
from rating_service.domain.exact import parse_exact


class UnitModel(Record, frozen=True):
    """A price of one `unit_size`, in whole assets."""

    unit_price: str
    unit_size: int


def units_of_one(model: UnitModel, *, factor: Fraction, scale: int) -> Fraction:
    """Return the exact units of the asset that a quantity of one costs."""
    return parse_exact(model.unit_price) * factor * Fraction(10**scale, model.unit_size)
