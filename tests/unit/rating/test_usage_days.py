"""Days of a zone: exact where clocks change, and where a zone skipped a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from rating_service.domain.reports.usage_report import day_spans


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_utc_day_is_cut_at_the_zones_midnight() -> None:
    spans = day_spans("Europe/Berlin", date(2026, 1, 5))

    assert [(span.from_time, span.to_time, span.local_day.day) for span in spans] == [
        (utc("2026-01-05"), utc("2026-01-05T23:00"), 5),
        (utc("2026-01-05T23:00"), utc("2026-01-06"), 6),
    ]


def test_a_day_that_a_zone_skipped_is_nobodys() -> None:
    spans = [*day_spans("Pacific/Apia", date(2011, 12, 30)), *day_spans("Pacific/Apia", date(2011, 12, 31))]

    assert date(2011, 12, 30) not in {span.local_day for span in spans}


def test_a_clock_set_back_across_midnight_brings_a_day_back() -> None:
    spans = day_spans("America/St_Johns", date(2009, 11, 1))

    assert [(span.from_time, span.local_day.isoformat()) for span in spans] == [
        (utc("2009-11-01"), "2009-10-31"),
        (utc("2009-11-01T02:30"), "2009-11-01"),
        (utc("2009-11-01T02:31"), "2009-10-31"),
        (utc("2009-11-01T03:30"), "2009-11-01"),
    ]


@pytest.mark.parametrize(
    "zone", ["UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "Australia/Lord_Howe", "America/New_York"]
)
@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 4, 4), date(2026, 11, 1)])
def test_spans_tile_the_day_and_say_what_the_zone_says(zone: str, day: date) -> None:
    spans = day_spans(zone, day)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)

    assert [spans[0].from_time, spans[-1].to_time] == [start, start + timedelta(days=1)]
    assert all(one.to_time == other.from_time for one, other in pairwise(spans))
    for span in spans:
        for instant in (span.from_time, span.to_time - timedelta(microseconds=1)):
            assert instant.astimezone(ZoneInfo(zone)).date() == span.local_day
