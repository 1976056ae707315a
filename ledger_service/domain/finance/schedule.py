"""Recognition over time: a price for [from_time, to_time), even by the second, on the days (UTC) of the span.

What is earned by the end of a day is price x seconds until then / all seconds, rounded half up, and a day earns the
difference to the day before; so the days add up to the price, and no rounding error is ever carried along.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

SPAN_DAYS_MAX: Final = 3_660
"""Longest span that is recognised over time: ten years, a row of the journal a day."""
DAY: Final = timedelta(days=1)
MICROSECOND: Final = timedelta(microseconds=1)


def earned_by_day(nanos: int, from_time: datetime, to_time: datetime) -> Iterator[tuple[date, int]]:
    """Yield the days of the span and what each earns."""
    whole = (to_time - from_time) // MICROSECOND
    earned = 0
    day = from_time.astimezone(UTC).date()
    while earned < nanos or (nanos < 0 and earned > nanos):
        end = min(datetime.combine(day + DAY, time(), UTC), to_time)
        elapsed = (end - from_time) // MICROSECOND
        until = (2 * nanos * elapsed + whole) // (2 * whole)
        yield day, until - earned
        earned = until
        day += DAY
