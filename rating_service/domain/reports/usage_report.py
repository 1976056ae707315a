"""What a report on usage is made of: sums of debits by day, and by what the debits were for.

A debit counts in the day of its effective time, whenever it was recorded, so late usage lands in its own day. What
was taken back is taken off that day: units at once, the request with its quantities, charge and costs when all of
the debit is taken back (see `reversals`). The number of names with sums of their own is bounded for each wallet
and day; the rest is counted under OTHER, so a report costs what its days and groups cost, however many debits
there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from rating_service.domain.agreements.agreement import Record

OTHER: Final = "(other)"
"""The name under which everything beyond NAMES_A_DAY_MAX is counted."""
MINUTE: Final = timedelta(minutes=1)
SECOND: Final = timedelta(seconds=1)
REPORT_DAYS_MAX: Final = 400
"""Days in one report: a year and a month to compare it with."""


class UsageGroup(Enum):
    """What usage can be grouped and filtered by."""

    DAY = "DAY"
    FEATURE = "FEATURE"
    MODEL = "MODEL"
    API_KEY = "API_KEY"
    USER = "USER"
    RATE_CARD_PHASE = "RATE_CARD_PHASE"
    DIMENSION = "DIMENSION"


NAMES_A_DAY_MAX: Final[Mapping[UsageGroup, int]] = MappingProxyType(
    {UsageGroup.FEATURE: 50, UsageGroup.MODEL: 100, UsageGroup.API_KEY: 200, UsageGroup.USER: 200}
)
"""Names with sums of their own in a wallet's day (UTC): the first ones in the order of the log.

Dimensions and rate card phases need no bound: rate cards have few.
"""


class UsageSums(Record, frozen=True):
    """What some usage adds up to, net of reversals. Amounts are exact.

    A request counts once, or once for each of its dimensions where those are told apart; then `amount_units` and
    `overage_units` are 0, because whole units are debited for a charge and not for its lines. `provider_costs`
    is by currency.
    """

    requests: int = 0
    quantity: int = 0
    amount_units: int = 0
    overage_units: int = 0
    exact_units: Fraction = Fraction(0)
    provider_costs: dict[str, Fraction] = msgspec.field(default_factory=dict)


class DaySpan(Record, frozen=True):
    """The instants [from_time, to_time) that lie in a day of some zone's calendar."""

    from_time: datetime
    to_time: datetime
    local_day: date


@lru_cache(maxsize=4_096)
def day_spans(zone: str, day: date) -> tuple[DaySpan, ...]:
    """Return the parts into which a zone's midnights cut a UTC day, in order.

    A zone may skip a day, or see one again after its clock was set back across midnight. So the local date is read
    minute by minute, and a change is found to the second, which is the finest that a zone's rules know.
    """
    known = ZoneInfo(zone)
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    spans: list[DaySpan] = []
    while start < end:
        until = _change_after(known, start, end)
        spans.append(DaySpan(start, until, _local(known, start)))
        start = until
    return tuple(spans)


def local_day(zone: str, instant: datetime) -> date:
    """Return the date that a zone's calendar shows at an instant."""
    return _local(ZoneInfo(zone), instant)


def _local(zone: ZoneInfo, instant: datetime) -> date:
    return instant.astimezone(zone).date()


def _change_after(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """Return the first instant after `start` with another local date, `end` if there is none before it."""
    before = _local(zone, start)
    while start < end:
        following = min(start + MINUTE, end)
        if _local(zone, following) != before:
            return next(each for each in _seconds(start, following) if _local(zone, each) != before)
        start = following
    return end


def _seconds(after: datetime, to: datetime) -> Iterator[datetime]:
    while after < to:
        after += SECOND
        yield after
