"""Proration: the part of a cycle's fee that falls on a part of the cycle.

Laws, which the property tests state:
- A share is the exact ratio of microseconds of two half-open spans, between 0 and 1; nothing is rounded here.
- The shares of adjacent spans add up to the share of both together, so cutting a span anywhere changes nothing.
- A change of fee gives back what of the old fee is unused, never more than was charged for it, and charges the
  new fee for the same rest: two amounts, so that each can be shown.

Whoever bills by days passes a ratio of days instead. `money_due` is the one rounding: once, half up.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from rating_service.domain.rounding import round_half_up

_MICROSECOND: Final = timedelta(microseconds=1)


class FeeChange(NamedTuple):
    """What a change of fee costs, exact: a credit, at most 0, and a charge."""

    credit: Fraction
    charge: Fraction

    @property
    def amount(self) -> Fraction:
        """Both together."""
        return self.credit + self.charge


def share_of_time(
    from_time: datetime, to_time: datetime, *, whole_from: datetime, whole_to: datetime
) -> Fraction:
    """Return which part of [whole_from, whole_to) lies in [from_time, to_time), exact to the microsecond.

    Raises ValueError if the whole is empty.
    """
    if whole_to <= whole_from:
        raise ValueError("nothing has a share of an empty span")
    part = min(to_time, whole_to) - max(from_time, whole_from)
    if part <= timedelta(0):
        return Fraction(0)
    return Fraction(part // _MICROSECOND, (whole_to - whole_from) // _MICROSECOND)


def share_of_days(days: int, days_in_period: int) -> Fraction:
    """Return the ratio of days, for who bills by days. Raises ValueError unless 0 <= days <= days_in_period."""
    if not 0 <= days <= days_in_period or not days_in_period:
        raise ValueError(f"{days} of {days_in_period} days is no share of a period")
    return Fraction(days, days_in_period)


def change_of_fee(
    old: Fraction, new: Fraction, *, rest: Fraction, charged: Fraction | None = None
) -> FeeChange:
    """Return what it costs to change from one fee of a cycle to another when `rest` of it is left, 0 to 1.

    `charged` is what was charged for the old fee, the whole of it by default: no more is given back.
    """
    unused = min(old * rest, old if charged is None else charged)
    return FeeChange(credit=-max(unused, Fraction(0)), charge=new * rest)


def money_due(exact: Fraction, *, step: int) -> int:
    """Return an exact amount as money: the nearest multiple of `step`, halves away from zero."""
    return round_half_up(exact, step=step)
