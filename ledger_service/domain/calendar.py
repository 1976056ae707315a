"""Calendar arithmetic: terms become instants when they are agreed. Source: ISO 8601 periods, IANA zones."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger_service.domain.refusals import FieldMalformed, TimeMalformed

_PERIOD: Final = re.compile(r"P([1-9][0-9]{0,3})([DMY])", re.ASCII)


def check_zone(zone: str, *, field: str) -> None:
    """Refuse what is not an IANA time zone."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise FieldMalformed(f"{field} {zone[:80]!r} is not an IANA time zone", field=field) from error


def check_period(period: str, *, field: str) -> None:
    """Refuse what is not a period of days, months or years."""
    if _PERIOD.fullmatch(period) is None:
        raise FieldMalformed(
            f"{field} {period[:40]!r} must be a period such as P14D, P1M or P1Y", field=field
        )


def add_period(instant: datetime, period: str, zone: str) -> datetime:
    """Return the instant a period later in the calendar of a zone; a day that the month lacks becomes its last.

    Raises TimeMalformed beyond the years 1 to 9999, in the zone's own calendar.
    """
    match = _PERIOD.fullmatch(period)
    assert match is not None, "the period was checked before"
    count, unit = int(match[1]), match[2]
    try:
        local = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        months = {"D": 0, "M": count, "Y": 12 * count}[unit]
        moved = _add_months(local, months) if months else local + timedelta(days=count)
        return moved.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise TimeMalformed(
            f"{period} after {instant.isoformat()} lies outside the years 1 to 9999"
        ) from error


def _add_months(local: datetime, months: int) -> datetime:
    index = local.year * 12 + local.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return local.replace(year=year, month=month, day=min(local.day, calendar.monthrange(year, month)[1]))
