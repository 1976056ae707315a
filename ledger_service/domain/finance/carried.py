"""What is booked in the functional currency and cleared in another: unbilled overage, bills ahead, credit owed.

What comes is carried at its own rate; what goes takes its part of what is carried, so that nothing is left where
nothing is left to clear. Beside the amount that its account holds, each is known before rounding: so a difference
between rates is told from the nanos that rounding leaves.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from ledger_service.domain.finance.exchange import converted
from ledger_service.domain.finance.methods import round_half_up

ATTO: Final = 10**18
"""Parts of a nano in which amounts before rounding are kept: rates have at most 18 decimals."""


class BookMove(NamedTuple):
    """By how much a carried amount moved, in the functional currency: rounded, and in 10^-18 nanos."""

    nanos: int
    exact: int


class Carried(msgspec.Struct, frozen=True):
    """An amount to be cleared, and what its account holds for it; both have the same sign."""

    nanos: int = 0
    book_nanos: int = 0
    exact: int = 0
    """`book_nanos` before rounding, in 10^-18 nanos."""


def moved(carried: Carried, nanos: int, rate: Fraction | None) -> tuple[Carried, BookMove]:
    """Return what is carried after so much more, and by how much it moved.

    What goes the other way takes its part of what is there; the rest comes at the rate. Without one, it comes at the
    average of what is there.
    """
    there = carried.nanos
    if nanos * there >= 0:
        return _come(carried, nanos, rate if rate is not None else average(carried))
    going = -there if abs(nanos) > abs(there) else nanos
    rest = nanos - going
    after, gone = _go(carried, going)
    if not rest:
        return after, gone
    after, come = _come(after, rest, rate if rate is not None else average(carried))
    return after, BookMove(gone.nanos + come.nanos, gone.exact + come.exact)


def average(carried: Carried) -> Fraction:
    """Return the average rate of what is carried."""
    return Fraction(carried.exact, ATTO * carried.nanos) if carried.nanos else Fraction(0)


def exchange_difference(nanos: int, rate: Fraction, exact: int) -> int:
    """Return what an amount is worth at a rate beyond what it was carried at, rounded half up to a nano."""
    return round_half_up(nanos * rate - Fraction(exact, ATTO))


def _come(carried: Carried, nanos: int, rate: Fraction) -> tuple[Carried, BookMove]:
    come = BookMove(converted(nanos, rate), round_half_up(nanos * rate * ATTO))
    return Carried(carried.nanos + nanos, carried.book_nanos + come.nanos, carried.exact + come.exact), come


def _go(carried: Carried, nanos: int) -> tuple[Carried, BookMove]:
    part = Fraction(-nanos, carried.nanos)
    gone = BookMove(-round_half_up(carried.book_nanos * part), -round_half_up(carried.exact * part))
    return Carried(carried.nanos + nanos, carried.book_nanos + gone.nanos, carried.exact + gone.exact), gone
