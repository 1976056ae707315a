"""Billing cycles: half-open spans that tile time, cut at calendar instants of the contract's zone.

The boundaries are anchor + n x count intervals on the zone's calendar, each reckoned from the anchor itself,
so that a contract anchored on the 31st is cut on the last day of a shorter month and on the 31st again after
it. A local time that a clock change skips is read with the offset before the change (PEP 495, fold 0); one
that comes twice is the first, unless the anchor is itself the second.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from rating_service.domain.agreements.agreement import Cycle, CycleInterval, Record


class CycleBounds(Record, frozen=True):
    """One billing cycle, [start_time, end_time), UTC."""

    start_time: datetime
    end_time: datetime


def cycle_at(cycle: Cycle, instant: datetime) -> CycleBounds:
    """Return the one cycle that holds the instant."""
    number = _estimate(cycle, instant)
    while boundary(cycle, number) > instant:
        number -= 1
    while boundary(cycle, number + 1) <= instant:
        number += 1
    return CycleBounds(boundary(cycle, number), boundary(cycle, number + 1))


def boundary(cycle: Cycle, number: int) -> datetime:
    """Return the instant at which cycle `number` begins; 0 begins at the anchor."""
    anchor = cycle.anchor_time.astimezone(ZoneInfo(cycle.zone))
    local = _shifted(anchor, cycle.interval, number * cycle.count)
    return local.replace(fold=anchor.fold).astimezone(UTC)


def _estimate(cycle: Cycle, instant: datetime) -> int:
    """Return the number of a cycle at most a step or two away from the instant's."""
    zone = ZoneInfo(cycle.zone)
    anchor, local = cycle.anchor_time.astimezone(zone), instant.astimezone(zone)
    months = (local.year - anchor.year) * 12 + local.month - anchor.month
    days = (local.date() - anchor.date()).days
    match cycle.interval:
        case CycleInterval.DAY:
            return days // cycle.count
        case CycleInterval.WEEK:
            return days // (7 * cycle.count)
        case CycleInterval.MONTH:
            return months // cycle.count
        case CycleInterval.YEAR:
            return months // (12 * cycle.count)


def _shifted(anchor: datetime, interval: CycleInterval, intervals: int) -> datetime:
    """Return the same local time so many intervals later."""
    match interval:
        case CycleInterval.DAY:
            return anchor + timedelta(days=intervals)
        case CycleInterval.WEEK:
            return anchor + timedelta(weeks=intervals)
        case CycleInterval.MONTH:
            return _months_later(anchor, intervals)
        case CycleInterval.YEAR:
            return _months_later(anchor, 12 * intervals)


def _months_later(anchor: datetime, months: int) -> datetime:
    year, month0 = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    day = min(anchor.day, monthrange(year, month0 + 1)[1])
    return anchor.replace(year=year, month=month0 + 1, day=day)
