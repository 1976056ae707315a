"""Calendar terms: month ends, leap years, zones and daylight saving."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from ledger_service.domain.calendar import (
    FIRST_INSTANT,
    LAST_INSTANT,
    add_period,
    check_zone,
    period_at,
)
from ledger_service.domain.refusals import FieldMalformed, TimeMalformed

DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
BERLIN, NEW_YORK, TOKYO = "Europe/Berlin", "America/New_York", "Asia/Tokyo"


def utc(text: str) -> datetime:
    """Return the instant behind ISO text in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "period", "zone", "end"),
    [
        pytest.param("2026-01-31T10:00", "P1M", "UTC", "2026-02-28T10:00", id="a day February lacks"),
        pytest.param("2024-01-31T10:00", "P1M", "UTC", "2024-02-29T10:00", id="a leap February"),
        pytest.param("2026-01-28T10:00", "P1M", "UTC", "2026-02-28T10:00", id="a day February has"),
        pytest.param("2026-02-28T10:00", "P1M", "UTC", "2026-03-28T10:00", id="a month end is no anchor"),
        pytest.param("2026-03-31T10:00", "P1M", "UTC", "2026-04-30T10:00", id="a day April lacks"),
        pytest.param("2026-12-15T10:00", "P1M", "UTC", "2027-01-15T10:00", id="over the year"),
        pytest.param("2026-11-30T10:00", "P13M", "UTC", "2027-12-30T10:00", id="more than a year of months"),
        pytest.param("2026-12-31T10:00", "P14M", "UTC", "2028-02-29T10:00", id="into a leap February"),
        pytest.param("2024-02-29T10:00", "P1Y", "UTC", "2025-02-28T10:00", id="a year after a leap day"),
        pytest.param("2024-02-29T10:00", "P4Y", "UTC", "2028-02-29T10:00", id="from leap day to leap day"),
        pytest.param("2026-02-20T10:00", "P10D", "UTC", "2026-03-02T10:00", id="days over a month end"),
        pytest.param("2026-01-31T23:30", "P1M", TOKYO, "2026-02-28T23:30", id="already February in Tokyo"),
        pytest.param("2026-01-30T23:30", "P1M", TOKYO, "2026-02-27T23:30", id="month end in Tokyo only"),
        pytest.param(
            "2026-02-28T23:00", "P1M", BERLIN, "2026-03-31T22:00", id="midnight over a clock change"
        ),
        pytest.param("2026-03-28T11:00", "P1D", BERLIN, "2026-03-29T10:00", id="a day of 23 hours"),
        pytest.param("2026-10-24T10:00", "P1D", BERLIN, "2026-10-25T11:00", id="a day of 25 hours"),
        pytest.param("2026-03-28T01:30", "P1D", BERLIN, "2026-03-29T01:30", id="a wall time that is skipped"),
        pytest.param("2026-10-24T00:30", "P1D", BERLIN, "2026-10-25T00:30", id="the first of two wall times"),
        pytest.param("2026-10-25T01:30", "P1D", BERLIN, "2026-10-26T01:30", id="after the second of the two"),
        pytest.param(
            "2026-03-07T17:00", "P1M", NEW_YORK, "2026-04-07T16:00", id="daylight saving in America"
        ),
    ],
)
def test_a_period_is_added_in_the_calendar_of_the_zone(start: str, period: str, zone: str, end: str) -> None:
    assert add_period(utc(start), period, zone) == utc(end)


def test_microseconds_survive() -> None:
    start = utc("2026-01-31T10:00:00.000001")

    assert add_period(start, "P1M", "UTC") == utc("2026-02-28T10:00:00.000001")


@pytest.mark.parametrize("zone", ["UTC", BERLIN, NEW_YORK, TOKYO])
@pytest.mark.parametrize("period", ["P1D", "P1M", "P9999Y"])
def test_a_period_that_leaves_the_calendar_is_refused(period: str, zone: str) -> None:
    last_instant = datetime.max.replace(tzinfo=UTC)

    with pytest.raises(TimeMalformed):
        add_period(last_instant, period, zone)


def test_the_first_instant_of_the_calendar_is_refused_where_no_local_time_exists() -> None:
    with pytest.raises(TimeMalformed):
        add_period(datetime.min.replace(tzinfo=UTC), "P1D", NEW_YORK)


def test_the_last_instant_of_the_calendar_can_be_reached() -> None:
    last_instant = datetime.max.replace(tzinfo=UTC)

    assert add_period(last_instant - timedelta(days=1), "P1D", "UTC") == last_instant


@pytest.mark.parametrize("zone", ["UTC", BERLIN, "Asia/Kathmandu", "Etc/GMT+12"])
def test_a_zone_of_the_iana_database_is_accepted(zone: str) -> None:
    check_zone(zone, field="zone")


@pytest.mark.parametrize("zone", ["", "Berlin", "/etc/localtime", "../UTC", "Europe", "a" * 300, "\x00"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(FieldMalformed) as refused:
        check_zone(zone, field="zone")

    assert refused.value.field == "zone"


@pytest.mark.parametrize(
    ("instant", "anchor", "period", "zone", "start", "end"),
    [
        (
            "2026-03-31T21:59:59.999999",
            "2026-01-01T00:00",
            "P1M",
            "UTC",
            "2026-03-01T00:00",
            "2026-04-01T00:00",
        ),
        ("2026-04-01T00:00", "2026-01-01T00:00", "P1M", "UTC", "2026-04-01T00:00", "2026-05-01T00:00"),
        # An anchor that lies ahead counts backwards.
        ("2026-03-05T00:00", "2031-01-01T00:00", "P1M", "UTC", "2026-03-01T00:00", "2026-04-01T00:00"),
        # The 31st comes back after a February.
        ("2026-03-01T00:00", "2025-12-31T00:00", "P1M", "UTC", "2026-02-28T00:00", "2026-03-31T00:00"),
        # Days of 23 and of 25 hours.
        (
            "2026-03-29T12:00",
            "2026-01-01T00:00",
            "P1D",
            "Europe/Berlin",
            "2026-03-29T00:00",
            "2026-03-29T23:00",
        ),
        (
            "2026-03-28T23:00",
            "2025-12-31T23:00",
            "P1D",
            "Europe/Berlin",
            "2026-03-28T23:00",
            "2026-03-29T22:00",
        ),
        (
            "2026-10-25T22:59",
            "2025-12-31T23:00",
            "P1D",
            "Europe/Berlin",
            "2026-10-24T22:00",
            "2026-10-25T23:00",
        ),
        ("2026-03-05T01:00", "2026-03-05T00:30", "PT1H", "UTC", "2026-03-05T00:30", "2026-03-05T01:30"),
        ("2026-03-05T00:29", "2026-03-05T00:30", "PT1H", "UTC", "2026-03-04T23:30", "2026-03-05T00:30"),
    ],
)
def test_the_period_of_an_instant_begins_at_or_before_it_and_ends_after_it(
    instant: str, anchor: str, period: str, zone: str, start: str, end: str
) -> None:
    found = period_at(utc(instant), utc(anchor), period, zone)

    assert found == (utc(start), utc(end))


def test_periods_that_leave_the_calendar_end_with_it() -> None:
    now = utc("2026-03-01T00:00")

    assert period_at(now, now, "P9999Y", "UTC") == (now, LAST_INSTANT)
    assert period_at(now - DAY, now, "P9999Y", "UTC") == (FIRST_INSTANT, now)
    with pytest.raises(TimeMalformed):
        period_at(now, FIRST_INSTANT, "P1D", "America/New_York")


def test_a_day_that_a_zone_left_out_is_an_empty_period() -> None:
    # Apia went from 29 to 31 December 2011.
    skipped = utc("2011-12-30T10:00")

    assert period_at(skipped, utc("2011-12-01T10:00"), "P1D", "Pacific/Apia") == (skipped, skipped + DAY)
    assert period_at(skipped - MICROSECOND, utc("2011-12-01T10:00"), "P1D", "Pacific/Apia") == (
        skipped - DAY,
        skipped,
    )


@pytest.mark.parametrize("period", ["PT7H", "P1D", "P10D", "P3W", "P1M", "P5M", "P1Y", "P3Y"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"])
def test_the_period_of_an_instant_is_the_one_that_counting_finds(period: str, zone: str) -> None:
    anchor = utc("2008-01-31T11:30")
    bounds = [add_period(anchor, period, zone, times=number) for number in range(-40, 41)]

    for start, end in pairwise(bounds):
        if start == end:
            continue
        for instant in (start, start + (end - start) / 3, end - MICROSECOND):
            assert period_at(instant, anchor, period, zone) == (start, end)


def test_a_local_time_that_comes_twice_is_the_second_if_the_first_instant_was() -> None:
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

    assert add_period(second, "P1D", "Europe/Berlin", times=0) == second
    assert add_period(second, "P1D", "Europe/Berlin") == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
