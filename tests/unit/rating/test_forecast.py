"""Projections: exact, by weekday, and honest about how much is known."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest

from rating_service.domain.reports.forecast import CycleDays, Forecast, exhaust_day, forecast, percent_text

MAY = CycleDays(date(2026, 5, 1), date(2026, 6, 1))
APRIL = CycleDays(date(2026, 4, 1), date(2026, 5, 1))
MARCH = CycleDays(date(2026, 3, 1), date(2026, 4, 1))
FEBRUARY = CycleDays(date(2026, 2, 1), date(2026, 3, 1))
BEGINNING = date(2026, 1, 1)
DAY = timedelta(days=1)


def used(units_of_weekday: tuple[int, ...], until: date) -> dict[date, int]:
    """Return days of the same weeks again and again."""
    days = [BEGINNING + number * DAY for number in range((until - BEGINNING).days)]
    return {day: units_of_weekday[day.weekday()] for day in days}


def project(
    days: dict[date, int], today: date, *, first_day: date = BEGINNING, past: tuple[CycleDays, ...] = ()
) -> Forecast:
    found = forecast(days, first_day=first_day, cycle=MAY, today=today, past=past)
    assert found is not None
    return found


def test_what_repeats_every_week_is_projected_exactly_and_was() -> None:
    weekly = (10, 20, 30, 40, 50, 1, 0)
    today = date(2026, 5, 13)
    found = project(used(weekly, today), today, past=(APRIL, MARCH, FEBRUARY))

    assert found.projected_units == sum(used(weekly, MAY.to_day)[MAY.from_day + n * DAY] for n in range(31))
    assert (found.tested_cycles, found.mean_error) == (3, Fraction(0))
    assert found.interval == (int(found.projected_units), int(found.projected_units))


def test_a_mean_stays_a_fraction() -> None:
    days = {MAY.from_day - number * DAY: 1 for number in (7, 14, 21)}
    found = project(days, MAY.from_day)

    assert found.projected_units == Fraction(3, 4) * 5


def test_today_counts_as_its_mean_or_as_what_it_has_seen_if_that_is_more() -> None:
    today = date(2026, 5, 13)
    days = used((7,) * 7, today)

    assert project({**days, today: 3}, today).projected_units == 31 * 7
    assert project({**days, today: 9}, today).projected_units == 31 * 7 + 2


@pytest.mark.parametrize(("days_of_history", "is_projected"), [(6, False), (7, True)])
def test_a_week_is_the_least_history(days_of_history: int, is_projected: bool) -> None:
    first_day = MAY.from_day
    found = forecast({}, first_day=first_day, cycle=MAY, today=first_day + days_of_history * DAY, past=())

    assert (found is not None) is is_projected


def test_only_the_last_four_weeks_count() -> None:
    today = date(2026, 5, 13)
    days = {today - 29 * DAY: 1_000_000, today - 28 * DAY: 28}
    found = project(days, today)

    assert (found.history_days, found.projected_units) == (28, Fraction(28, 4) * 3)


@pytest.mark.parametrize(
    ("past", "has_interval"), [((APRIL, MARCH), False), ((APRIL, MARCH, FEBRUARY), True)]
)
def test_a_range_needs_three_past_cycles(past: tuple[CycleDays, ...], has_interval: bool) -> None:
    found = project(used((5,) * 7, date(2026, 5, 13)), date(2026, 5, 13), past=past)

    assert (found.interval is not None) is has_interval


def test_a_cycle_that_doubled_after_the_day_of_asking_was_half_missed() -> None:
    today = date(2026, 5, 11)
    days = dict.fromkeys(used((0,) * 7, today), 10)
    april_day = APRIL.from_day + 10 * DAY
    days |= {april_day + number * DAY: 20 for number in range(20)}
    found = project(days, today, past=(APRIL,))

    assert found.errors == (Fraction(500 - 300, 500),)
    assert found.ratios == (Fraction(500, 300),)
    assert percent_text(found.errors[0]) == "40.0"


def test_a_past_cycle_is_asked_with_what_was_known_then() -> None:
    today = date(2026, 5, 11)
    days = used((10,) * 7, today)
    before = project(days, today, past=(APRIL,)).errors
    later = {**days, date(2026, 5, 5): 10**9}

    assert project(later, today, past=(APRIL,)).errors == before


def test_an_empty_past_says_nothing_of_the_error() -> None:
    found = project({}, date(2026, 5, 11), past=(APRIL,))

    assert (found.tested_cycles, found.mean_error, found.ratios) == (1, None, ())


@pytest.mark.parametrize(("available_units", "day"), [(29, 2), (30, 3), (31, 3), (10_000, None)])
def test_credit_is_used_up_on_the_first_day_that_needs_more(available_units: int, day: int | None) -> None:
    today = date(2026, 5, 11)
    found = exhaust_day(
        used((10,) * 7, today), first_day=BEGINNING, today=today, available_units=available_units
    )

    assert found == (None if day is None else today + day * DAY)


@pytest.mark.parametrize(
    ("share", "text"), [(Fraction(1, 8), "12.5"), (Fraction(9995, 100_000), "10.0"), (Fraction(0), "0.0")]
)
def test_a_share_is_told_with_one_decimal(share: Fraction, text: str) -> None:
    assert percent_text(share) == text
