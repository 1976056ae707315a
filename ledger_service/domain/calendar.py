"""Calendar arithmetic: terms become instants when they are agreed. Source: ISO 8601 periods, IANA zones."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger_service.domain.refusals import FieldMalformed, TimeMalformed

FIRST_INSTANT: Final = datetime.min.replace(tzinfo=UTC)
LAST_INSTANT: Final = datetime.max.replace(tzinfo=UTC)
_PERIOD: Final = re.compile(r"P(?:([1-9][0-9]{0,3})([DWMY])|T([1-9][0-9]{0,3})H)", re.ASCII)
_MONTHS: Final = {"M": 1, "Y": 12}
_MEAN_LENGTH: Final = {
    "D": timedelta(days=1),
    "W": timedelta(weeks=1),
    "M": timedelta(days=30, seconds=37_746),
    "Y": timedelta(days=365, seconds=20_952),
}
"""Of the Gregorian calendar's 400 years."""


def check_zone(zone: str, *, field: str) -> None:
    """Refuse what is not an IANA time zone."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise FieldMalformed(f"{field} {zone[:80]!r} is not an IANA time zone", field=field) from error


def check_period(period: str, *, field: str) -> None:
    """Refuse what is not a period of hours, days, weeks, months or years."""
    if _PERIOD.fullmatch(period) is None:
        raise FieldMalformed(
            f"{field} {period[:40]!r} must be a period such as PT1H, P14D, P1W, P1M or P1Y", field=field
        )


def add_period(instant: datetime, period: str, zone: str, *, times: int = 1) -> datetime:
    """Return the instant so many periods later in the calendar of a zone; a day that the month lacks becomes its last.

    Counted from the instant itself, so that the 31st comes back after a February. Hours are absolute. A local time
    that comes twice is the first, unless the instant is itself the second.
    Raises TimeMalformed beyond the years 1 to 9999, in the zone's own calendar.
    """
    match = _PERIOD.fullmatch(period)
    assert match is not None, "the period was checked before"
    try:
        if match[3]:
            return instant + timedelta(hours=int(match[3]) * times)
        count, unit = int(match[1]) * times, match[2]
        local = instant.astimezone(ZoneInfo(zone))
        fold, local = local.fold, local.replace(tzinfo=None)
        months = count * _MONTHS.get(unit, 0)
        days = {"D": count, "W": 7 * count}.get(unit, 0)
        moved = _later_month(local, months) if months else local + timedelta(days=days)
        return moved.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise TimeMalformed(
            f"{period} after {instant.isoformat()} lies outside the years 1 to 9999"
        ) from error


def add_periods(instant: datetime, periods: Sequence[str], zone: str) -> list[datetime]:
    """Return the end of each of consecutive periods, the first of which begins at the instant.

    Months and years that follow each other are counted together from where the first of them began, so that the
    31st comes back after a February. Raises TimeMalformed like add_period.
    """
    ends: list[datetime] = []
    anchor, months = instant, 0
    for period in periods:
        added = _months_of(period)
        if added == 0:
            anchor, months = add_period(ends[-1] if ends else instant, period, zone), 0
            ends.append(anchor)
            continue
        months += added
        ends.append(add_period(anchor, "P1M", zone, times=months))
    return ends


def period_at(instant: datetime, anchor_time: datetime, period: str, zone: str) -> tuple[datetime, datetime]:
    """Return the period [from, to) that holds an instant; periods are counted from the anchor, both ways.

    The first guess, by the period's mean length, is at most a few periods off and is put right with the calendar
    itself. A boundary beyond the years 1 to 9999 becomes the first or last instant that there is. Raises
    TimeMalformed if the anchor has no local time in the zone.
    """
    number = periods_before(instant, anchor_time, period, zone)
    return _boundary(anchor_time, period, zone, number), _boundary(anchor_time, period, zone, number + 1)


def periods_before(instant: datetime, anchor_time: datetime, period: str, zone: str) -> int:
    """Return how many whole periods lie between the anchor and the period that holds an instant; negative before it.

    Raises TimeMalformed if the anchor has no local time in the zone.
    """
    add_period(anchor_time, period, zone, times=0)
    number = (instant - anchor_time) // _mean_length(period)
    while _boundary(anchor_time, period, zone, number) > instant:
        number -= 1
    while _boundary(anchor_time, period, zone, number + 1) <= instant:
        number += 1
    return number


def _mean_length(period: str) -> timedelta:
    match = _PERIOD.fullmatch(period)
    assert match is not None, "the period was checked before"
    if match[3]:
        return timedelta(hours=int(match[3]))
    return int(match[1]) * _MEAN_LENGTH[match[2]]


def _boundary(anchor_time: datetime, period: str, zone: str, number: int) -> datetime:
    try:
        return add_period(anchor_time, period, zone, times=number)
    except TimeMalformed:
        return LAST_INSTANT if number > 0 else FIRST_INSTANT


def next_day(instant: datetime, zone: str) -> datetime:
    """Return the first instant of the next local day of a zone."""
    local = instant.astimezone(ZoneInfo(zone))
    return _first_instant(local.year, local.month, local.day, zone, timedelta(days=1))


def next_month(instant: datetime, zone: str) -> datetime:
    """Return the first instant of the next local month of a zone."""
    local = instant.astimezone(ZoneInfo(zone))
    days = calendar.monthrange(local.year, local.month)[1]
    return _first_instant(local.year, local.month, 1, zone, timedelta(days=days))


def _first_instant(year: int, month: int, day: int, zone: str, later: timedelta) -> datetime:
    # A midnight that a change of the clocks skips is read with the offset before it: that is the change itself.
    midnight = datetime(year, month, day) + later  # noqa: DTZ001
    return midnight.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _months_of(period: str) -> int:
    match = _PERIOD.fullmatch(period)
    assert match is not None, "the period was checked before"
    return int(match[1]) * _MONTHS[match[2]] if match[2] in _MONTHS else 0


def _later_month(local: datetime, months: int) -> datetime:
    index = local.year * 12 + local.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return local.replace(year=year, month=month, day=min(local.day, calendar.monthrange(year, month)[1]))
