"""Cycles begin at calendar instants of the contract's zone."""

from datetime import UTC, datetime, timedelta

import pytest

from rating_service.domain.agreements.agreement import Cycle, CycleInterval
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from tests.unit.rating.builders import at

MICROSECOND = timedelta(microseconds=1)


def cycle(interval: str, anchor: str, *, count: int = 1, zone: str = "UTC") -> Cycle:
    return Cycle(CycleInterval(interval), at(anchor), count, zone)


def bounds(start: str, end: str) -> CycleBounds:
    return CycleBounds(at(start), at(end))


def starts(of: Cycle, first: str, count: int) -> list[str]:
    """Return the first instants of consecutive cycles, UTC."""
    found, instant = [], at(first)
    for _ in range(count):
        each = cycle_at(of, instant)
        found.append(each.start_time.strftime("%m-%d %H:%M"))
        instant = each.end_time
    return found


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-01-14T23:59:59.999999", bounds("2025-12-15T00:00", "2026-01-15T00:00")),
        ("2026-01-15T00:00", bounds("2026-01-15T00:00", "2026-02-15T00:00")),
        ("2026-02-14T23:59:59.999999", bounds("2026-01-15T00:00", "2026-02-15T00:00")),
        ("2026-02-15T00:00", bounds("2026-02-15T00:00", "2026-03-15T00:00")),
    ],
)
def test_a_cycle_holds_its_first_instant_and_not_its_last(instant: str, expected: CycleBounds) -> None:
    assert cycle_at(cycle("MONTH", "2026-01-15T00:00"), at(instant)) == expected


def test_a_day_that_a_month_lacks_becomes_its_last_and_comes_back() -> None:
    found = starts(cycle("MONTH", "2026-01-31T00:00"), "2026-01-31T00:00", 5)

    assert found == ["01-31 00:00", "02-28 00:00", "03-31 00:00", "04-30 00:00", "05-31 00:00"]


def test_before_the_anchor_the_cycles_go_on() -> None:
    found = starts(cycle("MONTH", "2024-03-31T12:00"), "2024-02-01T00:00", 3)

    assert found == ["01-31 12:00", "02-29 12:00", "03-31 12:00"]


def test_a_leap_day_becomes_the_28th_in_other_years() -> None:
    assert cycle_at(cycle("YEAR", "2024-02-29T00:00"), at("2025-06-01T00:00")) == bounds(
        "2025-02-28T00:00", "2026-02-28T00:00"
    )
    assert cycle_at(cycle("YEAR", "2024-02-29T00:00"), at("2028-02-29T00:00")) == bounds(
        "2028-02-29T00:00", "2029-02-28T00:00"
    )


@pytest.mark.parametrize(
    ("interval", "count", "expected"),
    [
        ("DAY", 10, bounds("2026-01-11T06:00", "2026-01-21T06:00")),
        ("WEEK", 2, bounds("2026-01-15T06:00", "2026-01-29T06:00")),
        ("MONTH", 3, bounds("2026-01-01T06:00", "2026-04-01T06:00")),
        ("YEAR", 2, bounds("2026-01-01T06:00", "2028-01-01T06:00")),
    ],
)
def test_a_cycle_may_be_several_intervals_long(interval: str, count: int, expected: CycleBounds) -> None:
    assert cycle_at(cycle(interval, "2026-01-01T06:00", count=count), at("2026-01-16T00:00")) == expected


def test_the_zones_calendar_counts() -> None:
    berlin = cycle("MONTH", "2025-12-31T23:00", zone="Europe/Berlin")

    assert starts(berlin, "2026-02-28T23:00", 3) == ["02-28 23:00", "03-31 22:00", "04-30 22:00"]


def test_a_day_with_a_clock_change_is_one_cycle() -> None:
    berlin = cycle("DAY", "2026-03-01T23:00", zone="Europe/Berlin")

    found = cycle_at(berlin, at("2026-03-29T12:00"))

    assert found.end_time - found.start_time == timedelta(hours=23)


def test_a_local_time_that_is_skipped_is_read_with_the_offset_before() -> None:
    new_york = cycle("DAY", "2026-03-01T07:30", zone="America/New_York")

    assert starts(new_york, "2026-03-07T07:30", 3) == ["03-07 07:30", "03-08 07:30", "03-09 06:30"]


@pytest.mark.parametrize("anchor", ["2026-11-01T05:30", "2026-11-01T06:30"])
def test_a_cycle_begins_at_the_anchor_even_in_an_hour_that_comes_twice(anchor: str) -> None:
    new_york = cycle("DAY", anchor, zone="America/New_York")

    assert cycle_at(new_york, at(anchor)).start_time == at(anchor)
    assert cycle_at(new_york, at(anchor) - MICROSECOND).end_time == at(anchor)


def test_a_day_that_a_zone_left_out_belongs_to_no_cycle_twice() -> None:
    apia = cycle("DAY", "2011-12-01T10:00", zone="Pacific/Apia")
    skipped = datetime(2011, 12, 30, 10, tzinfo=UTC)

    before, after = cycle_at(apia, skipped - MICROSECOND), cycle_at(apia, skipped)

    assert before.end_time == after.start_time == skipped
