"""How much of a paid lot's consideration is revenue: exact cumulative shares.

A paid grant with consideration C for N units adds C to contract liability on the day it becomes effective.
Once R of its units are used or expired, C x R / N of it is revenue, rounded half up; an event posts the
difference between the share after it and the share before it. So no rounding error is ever carried along, and
a lot of which nothing is left has posted exactly C. What draws post is usage, what expiry posts is breakage
(remote method, ASC 606-10-55-48). Promotional and included grants carry no consideration and no lot here.

A debit or an expiry may be effective before its lot is (late usage); its day is then the lot's first day, so
that contract liability is never negative.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec


class PaidLot(msgspec.Struct, frozen=True, gc=False):
    """One paid lot and what it has recognised so far."""

    currency_code: str
    consideration_nanos: int
    amount_units: int
    effective_day: date
    expire_time: datetime | None = None
    drawn_units: int = 0
    expired_units: int = 0
    recognised_usage_nanos: int = 0
    recognised_breakage_nanos: int = 0

    @property
    def used_up(self) -> bool:
        """Return whether nothing is left in the lot."""
        return self.drawn_units + self.expired_units == self.amount_units

    @property
    def deferred_nanos(self) -> int:
        """Return the contract liability that the lot still carries."""
        return self.consideration_nanos - self.recognised_usage_nanos - self.recognised_breakage_nanos


class Movement(msgspec.Struct, gc=False):
    """Units that left one lot with effective times on one day, one event after the other.

    Mutable: the fold adds the next event to it when kind and day are the same.
    """

    day: date
    drawn_units: int = 0
    expired_units: int = 0


class DayKey(msgspec.Struct, frozen=True, order=True):
    """One day (UTC) in one currency."""

    currency_code: str
    day: date


class DaySums(msgspec.Struct, frozen=True, gc=False):
    """What was posted on one day in one currency, in nanos."""

    billings_nanos: int = 0
    recognised_usage_nanos: int = 0
    recognised_breakage_nanos: int = 0

    def __add__(self, other: DaySums) -> DaySums:
        """Return the sum of both, figure by figure."""
        return DaySums(
            self.billings_nanos + other.billings_nanos,
            self.recognised_usage_nanos + other.recognised_usage_nanos,
            self.recognised_breakage_nanos + other.recognised_breakage_nanos,
        )


class Posting(msgspec.Struct, frozen=True, gc=False):
    """A lot after a movement, and what the movement posted."""

    lot: PaidLot
    key: DayKey
    sums: DaySums


def recognised_nanos(*, consideration_nanos: int, amount_units: int, gone_units: int) -> int:
    """Return consideration x gone / amount, rounded half up."""
    return (2 * consideration_nanos * gone_units + amount_units) // (2 * amount_units)


def post_movement(lot: PaidLot, movement: Movement) -> Posting:
    """Recognise what a movement used or broke; draws come first within one movement."""
    before = lot.recognised_usage_nanos + lot.recognised_breakage_nanos
    gone_before = lot.drawn_units + lot.expired_units
    drawn = _share(lot, gone_before + movement.drawn_units)
    after = _share(lot, gone_before + movement.drawn_units + movement.expired_units)
    posted_lot = msgspec.structs.replace(
        lot,
        drawn_units=lot.drawn_units + movement.drawn_units,
        expired_units=lot.expired_units + movement.expired_units,
        recognised_usage_nanos=lot.recognised_usage_nanos + drawn - before,
        recognised_breakage_nanos=lot.recognised_breakage_nanos + after - drawn,
    )
    key = DayKey(lot.currency_code, max(movement.day, lot.effective_day))
    return Posting(posted_lot, key, DaySums(0, drawn - before, after - drawn))


def _share(lot: PaidLot, gone_units: int) -> int:
    return recognised_nanos(
        consideration_nanos=lot.consideration_nanos, amount_units=lot.amount_units, gone_units=gone_units
    )
