"""Where a cycle is heading: what was used, and for each day to come the mean of that weekday in the last four weeks.

The mean is over the whole days of the HISTORY_DAYS before the present one, not before the contract began; with
less than a week of them nothing is projected. The present day counts as its mean too, or as what it has seen if
that is more. How wrong the method is is measured by the method itself: asked on the same day of each past cycle,
knowing only what was known then. Numbers are exact until a figure leaves; each rounding is named there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Final, NamedTuple

from rating_service.domain.agreements.agreement import Record
from rating_service.domain.rounding import round_half_up

HISTORY_DAYS: Final = 28
"""Four of each weekday."""
HISTORY_DAYS_MIN: Final = 7
"""One of each weekday."""
PAST_CYCLES_MAX: Final = 12
INTERVAL_CYCLES_MIN: Final = 3
"""Past cycles below which a range would say more than is known."""
EXHAUST_DAYS_MAX: Final = 400
DAY: Final = timedelta(days=1)
METHOD: Final = (
    "Units used so far, and for each day to come the mean of that weekday in the 28 days before today;"
    " the range is that of actual to projected in past cycles, projected alike on the same day of the cycle."
)

UnitsByDay = Mapping[date, int]
"""Units debited by day. A day that is not there had none."""


class CycleDays(NamedTuple):
    """The days [from_day, to_day) of a cycle."""

    from_day: date
    to_day: date


class Forecast(Record, frozen=True):
    """A projection of a cycle, exact. `ratios` are actual to projected of past cycles, `errors` their distance."""

    history_days: int
    used_units: int
    projected_units: Fraction
    ratios: tuple[Fraction, ...]
    errors: tuple[Fraction, ...]
    tested_cycles: int

    @property
    def mean_error(self) -> Fraction | None:
        """Return the mean absolute error as a share of the actual, None without a cycle that had usage."""
        return sum(self.errors, Fraction(0)) / len(self.errors) if self.errors else None

    @property
    def interval(self) -> tuple[int, int] | None:
        """Return the range in which past cycles would have ended, rounded outwards; None with too few of them."""
        if len(self.ratios) < INTERVAL_CYCLES_MIN:
            return None
        ranked = sorted(self.ratios)
        low: int = floor(self.projected_units * ranked[0])
        high: int = ceil(self.projected_units * ranked[-1])
        return max(low, self.used_units), max(high, self.used_units)


class _Means(NamedTuple):
    """The mean of each weekday, Monday first, and how many days are behind them."""

    by_weekday: tuple[Fraction, ...]
    day_count: int


def forecast(
    used: UnitsByDay, *, first_day: date, cycle: CycleDays, today: date, past: Sequence[CycleDays]
) -> Forecast | None:
    """Return the projection of a cycle that holds today; None with less than a week of history.

    `first_day` is the first day that could have usage; `past` are cycles that are over, of any order.
    """
    means = _means(used, first_day, today)
    if means is None:
        return None
    offset = today - cycle.from_day
    tested = [_tested(used, first_day, each, min(each.from_day + offset, each.to_day - DAY)) for each in past]
    pairs = [pair for pair in tested if pair is not None]
    return Forecast(
        history_days=means.day_count,
        used_units=_actual(used, cycle.from_day, today + DAY),
        projected_units=_projected(used, cycle, today, means, seen_today=used.get(today, 0)),
        ratios=tuple(Fraction(actual) / projected for actual, projected in pairs if projected > 0),
        errors=tuple(abs(projected - actual) / actual for actual, projected in pairs if actual > 0),
        tested_cycles=len(pairs),
    )


def exhaust_day(used: UnitsByDay, *, first_day: date, today: date, available_units: int) -> date | None:
    """Return the first day on which the projection needs more than is available; None if none is near.

    The present day needs what its mean has beyond what it has seen.
    """
    means = _means(used, first_day, today)
    if means is None:
        return None
    mean = means.by_weekday[today.weekday()]
    left = available_units + min(Fraction(used.get(today, 0)), mean)
    for each in _days(today, today + EXHAUST_DAYS_MAX * DAY):
        left -= means.by_weekday[each.weekday()]
        if left < 0:
            return each
    return None


def percent_text(share: Fraction) -> str:
    """Return a share as a percentage with one decimal, rounded half up."""
    tenths = round_half_up(share * 1_000, step=1)
    return f"{tenths // 10}.{tenths % 10}"


def _means(used: UnitsByDay, first_day: date, today: date) -> _Means | None:
    """Return the means of the whole days before today."""
    days = list(_days(max(first_day, today - HISTORY_DAYS * DAY), today))
    if len(days) < HISTORY_DAYS_MIN:
        return None
    sums, counts = [0] * 7, [0] * 7
    for each in days:
        sums[each.weekday()] += used.get(each, 0)
        counts[each.weekday()] += 1
    return _Means(tuple(map(Fraction, sums, counts)), len(days))


def _projected(
    used: UnitsByDay, cycle: CycleDays, today: date, means: _Means, *, seen_today: int
) -> Fraction:
    to_come = sum(
        (means.by_weekday[each.weekday()] for each in _days(today + DAY, cycle.to_day)), Fraction(0)
    )
    present = max(Fraction(seen_today), means.by_weekday[today.weekday()])
    return _actual(used, cycle.from_day, today) + present + to_come


def _tested(used: UnitsByDay, first_day: date, cycle: CycleDays, then: date) -> tuple[int, Fraction] | None:
    """Return what a past cycle came to and what was projected on a day of it, of which nothing is known."""
    means = _means(used, first_day, then)
    if means is None:
        return None
    projected = _projected(used, cycle, then, means, seen_today=0)
    return _actual(used, cycle.from_day, cycle.to_day), projected


def _actual(used: UnitsByDay, from_day: date, to_day: date) -> int:
    return sum(used.get(each, 0) for each in _days(from_day, to_day))


def _days(from_day: date, to_day: date) -> Iterator[date]:
    while from_day < to_day:
        yield from_day
        from_day += DAY
