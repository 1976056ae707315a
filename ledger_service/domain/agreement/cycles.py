"""Billing cycles: half-open spans that tile time, cut at calendar instants of the contract's zone.

The boundaries are anchor + n x count intervals on the zone's calendar, each reckoned from the anchor itself. A
local time that comes twice is the first, unless the anchor is itself the second.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from ledger_service.domain.events import Cycle
from ledger_service.domain.refusals import TimeMalformed
from ledger_service.domain.values import CycleInterval

MICROSECOND: Final = timedelta(microseconds=1)
_DAYS: Final = {CycleInterval.DAY: 1, CycleInterval.WEEK: 7}
_MONTHS: Final = {CycleInterval.MONTH: 1, CycleInterval.YEAR: 12}


class CycleSpan(NamedTuple):
    """One cycle, [from_time, to_time); the cycle that begins at the anchor has number 0."""

    number: int
    from_time: datetime
    to_time: datetime


def cycle_end(cycle: Cycle, instant: datetime) -> datetime:
    """Return the end of the one cycle that holds the instant. Raises TimeMalformed beyond the year 9999."""
    return cycle_at(cycle, instant).to_time


def cycles_before(cycle: Cycle, instant: datetime) -> Fraction:
    """Return how many cycles lie between the anchor and an instant, the last in proportion to its time.

    Below zero before the anchor. Raises TimeMalformed beyond the year 9999.
    """
    span = cycle_at(cycle, instant)
    passed, whole = instant - span.from_time, span.to_time - span.from_time
    return span.number + Fraction(passed // MICROSECOND, whole // MICROSECOND)


def cycle_at(cycle: Cycle, instant: datetime) -> CycleSpan:
    """Return the one cycle that holds the instant. Raises TimeMalformed beyond the year 9999."""
    try:
        number = _estimate(cycle, instant)
        while _boundary(cycle, number) > instant:
            number -= 1
        while _boundary(cycle, number + 1) <= instant:
            number += 1
        return CycleSpan(number, _boundary(cycle, number), _boundary(cycle, number + 1))
    except (OverflowError, ValueError) as error:
        raise TimeMalformed(
            f"the cycle of {instant.isoformat()} does not lie within the years 1 to 9999"
        ) from error


def _boundary(cycle: Cycle, number: int) -> datetime:
    anchor = cycle.anchor_time.astimezone(ZoneInfo(cycle.zone))
    intervals = number * cycle.count
    if cycle.interval in _DAYS:
        local = anchor + timedelta(days=_DAYS[cycle.interval] * intervals)
    else:
        months = anchor.year * 12 + anchor.month - 1 + _MONTHS[cycle.interval] * intervals
        year, month = months // 12, months % 12 + 1
        local = anchor.replace(year=year, month=month, day=min(anchor.day, monthrange(year, month)[1]))
    return local.replace(fold=anchor.fold).astimezone(UTC)


def _estimate(cycle: Cycle, instant: datetime) -> int:
    """Return the number of a cycle at most a step or two away from the instant's."""
    zone = ZoneInfo(cycle.zone)
    anchor, local = cycle.anchor_time.astimezone(zone), instant.astimezone(zone)
    if cycle.interval in _DAYS:
        return (local.date() - anchor.date()).days // (_DAYS[cycle.interval] * cycle.count)
    months = (local.year - anchor.year) * 12 + local.month - anchor.month
    return months // (_MONTHS[cycle.interval] * cycle.count)
