"""When things happen in the demo. Intervals are half-open, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

MONTH_DEFAULT: Final = datetime(2025, 10, 1, tzinfo=UTC)
"""The month that the generator plays: 31 days, beginning on a Wednesday."""
PREPARATION: Final = timedelta(days=1)
"""How long before the month prices and plans are published."""
GRACE: Final = timedelta(hours=24)
"""What the rating service waits for late usage before it issues an invoice."""

RESTORED: Final = timedelta(days=7)
"""How long before the month's end the price cut ends, as is said only afterwards."""


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The instants of a run; `cycle_starts` are the months played and, last, the first instant after them."""

    cycle_starts: tuple[datetime, ...]
    packs_time: datetime
    announce_time: datetime
    """When the price cut is published."""
    cut_time: datetime
    """From when it applies."""
    restore_time: datetime
    """In the last month, later than the cut: from when the first prices apply again, as is said only afterwards."""
    promotion_expire_time: datetime
    pack_expire_time: datetime

    @property
    def start(self) -> datetime:
        """Return the first instant of the first month."""
        return self.cycle_starts[0]

    @property
    def end(self) -> datetime:
        """Return the first instant after the last month."""
        return self.cycle_starts[-1]

    @property
    def next_end(self) -> datetime:
        """Return the first instant after the month that follows those played."""
        return next_month(self.end)

    @property
    def next_cut_time(self) -> datetime:
        """Return the middle of the month that follows, from when the cut prices apply again."""
        return self.end + timedelta(days=14)


def timeline_of_month(start: datetime) -> Timeline:
    """Return the timeline of a made-up month: a price cut in the middle, announced a week before."""
    end = next_month(start)
    cut_time = start + (end - start) // 2
    cut_time = cut_time.replace(hour=0, minute=0, second=0, microsecond=0)
    return Timeline(
        cycle_starts=(start, end),
        packs_time=start + timedelta(days=2, hours=12),
        announce_time=cut_time - timedelta(days=7),
        cut_time=cut_time,
        restore_time=end - RESTORED,
        promotion_expire_time=start + timedelta(days=14),
        pack_expire_time=start + timedelta(days=23),
    )


def timeline_of_trace(first: datetime, last: datetime) -> Timeline:
    """Return the timeline of a trace: its months, with the cut at the instant that halves its time span.

    The promotion ends at the same instant, so that some of it is used and some expires.
    """
    starts = [month_of(first)]
    while starts[-1] <= last:
        starts.append(next_month(starts[-1]))
    cut_time = first + (last - first) // 2
    return Timeline(
        cycle_starts=tuple(starts),
        packs_time=starts[0],
        announce_time=first + (cut_time - first) // 2,
        cut_time=cut_time,
        restore_time=max(cut_time + (last - cut_time) // 2, cut_time + timedelta(microseconds=1), starts[-2]),
        promotion_expire_time=max(cut_time, starts[0] + timedelta(seconds=1)),
        pack_expire_time=starts[0] + timedelta(days=23),
    )


def month_of(instant: datetime) -> datetime:
    """Return the first instant of a month."""
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(start: datetime) -> datetime:
    """Return the first instant of the month after one that begins at `start`."""
    return month_of(start + timedelta(days=31))
