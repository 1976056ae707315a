"""Recurring grants: credit issued anew every period, and what rolls over at a period's end.

Period n of a series covers [boundary n-1, boundary n), counted in the calendar of its zone from the first grant's
effective time, or from an anchor of its own, so month ends and daylight saving never drift. With an anchor the
first grant may begin within its period. Nothing here needs a job: settling a
wallet issues what fell due, each with its exact instant.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Final

import msgspec

from ledger_service.domain.calendar import add_period
from ledger_service.domain.events import CreditsGranted, Recurrence
from ledger_service.domain.exact import EXACT, exact
from ledger_service.domain.refusals import TimeMalformed
from ledger_service.domain.values import UNITS_MAX
from ledger_service.domain.wallet.burn_down import NEVER, Lot

HUNDRED: Final = Decimal(100)


class Series(msgspec.Struct, frozen=True):
    """A recurring grant that has another period to come: what is issued at `next_time`."""

    series_version: int
    next_time: datetime
    granted: CreditsGranted


def boundary(recurrence: Recurrence, number: int) -> datetime:
    """Return the end of a period, the first being number 1. Raises TimeMalformed beyond the year 9999."""
    times = number + (recurrence.periods_before or 0)
    return add_period(recurrence.anchor_time, recurrence.period, recurrence.zone, times=times)


def series_of(series: tuple[Series, ...], granted: CreditsGranted, version: int) -> tuple[Series, ...]:
    """Return the series after a grant: a recurring one comes again when its period ends, unless it was the last."""
    recurrence = granted.recurrence
    if recurrence is None:
        return series
    first = granted.series_version or version
    others = tuple(each for each in series if each.series_version != first)
    if recurrence.periods_left == 0 or granted.expire_time is None:
        return others
    return (*others, Series(first, granted.expire_time, granted))


def may_come(series: Series, granted_units: int) -> bool:
    """Say whether the next grant fits beside all that was granted; a series whose next does not fit has ended.

    What was granted only grows, so that a series that has ended stays so, and settling never fails on it.
    """
    return granted_units + series.granted.amount_units <= UNITS_MAX


def due_steps(recurrence: Recurrence, now: datetime, *, most: int) -> int:
    """Return how many periods and roll-overs of a first grant fall due by now, exact up to so many."""
    numbers = range(1, most + 2)
    passed = bisect_right(numbers, now, key=lambda number: _boundary_or_never(recurrence, number))
    issued = passed if recurrence.periods_left is None else min(passed, recurrence.periods_left)
    times = recurrence.roll_over.times_left if recurrence.roll_over is not None else 0
    return issued + (issued + 1) * min(times, passed)


def _boundary_or_never(recurrence: Recurrence, number: int) -> datetime:
    try:
        return boundary(recurrence, number)
    except TimeMalformed:
        return NEVER


def next_grant(series: Series) -> CreditsGranted:
    """Return what a series issues at its next time."""
    recurrence = series.granted.recurrence
    assert recurrence is not None, "a series recurs"
    left = recurrence.periods_left
    following = msgspec.structs.replace(
        recurrence,
        number=recurrence.number + 1,
        periods_left=None if left is None else left - 1,
    )
    return msgspec.structs.replace(
        series.granted,
        expire_time=boundary(following, following.number),
        recurrence=following,
        series_version=series.series_version,
    )


def carry_units(lot: Lot) -> int:
    """Return how much of what a lot holds at its expiry rolls over.

    carry = min(cap, floor(percent x rest), rest). What holds return after the boundary is counted with what
    was there then, so that a hold changes nothing in the end.
    """
    recurrence = lot.recurrence
    roll_over = recurrence.roll_over if recurrence is not None else None
    if roll_over is None or roll_over.times_left <= 0:
        return 0
    rest = lot.rolled_units + lot.lapsed_units + lot.remaining_units
    part = EXACT.divide(EXACT.multiply(Decimal(rest), exact(roll_over.percent)), HUNDRED)
    carry = min(rest, int(part.to_integral_value(ROUND_FLOOR)))
    if roll_over.cap_units is not None:
        carry = min(carry, roll_over.cap_units)
    return max(min(carry - lot.rolled_units, lot.remaining_units), 0)


def after_roll_over(lot: Lot) -> Recurrence:
    """Return the recurrence of the lot that carries on: the next period, one roll-over fewer, never issued anew."""
    recurrence = lot.recurrence
    assert recurrence is not None, "only a recurring lot rolls over"
    assert recurrence.roll_over is not None, "only a lot with a roll-over rolls over"
    fewer = msgspec.structs.replace(recurrence.roll_over, times_left=recurrence.roll_over.times_left - 1)
    return msgspec.structs.replace(recurrence, number=recurrence.number + 1, periods_left=0, roll_over=fewer)
