"""How much of a paid lot's consideration is revenue: exact cumulative shares.

A paid grant with consideration C for N units adds C to contract liability on the day it becomes effective.
Of D units drawn, reversals taken off, C x D / N is usage; of D units drawn and X units expired or revoked
C x (D + X) / N is usage and breakage together; both are rounded half up. They follow from the counts alone,
so no rounding error is ever carried along, and what a reversal takes back is what its debit had added. An
event posts the difference between the figures after it and before it, and once nothing is left in the lot
all that it still carries is breakage: such a lot ends at exactly zero (remote method, ASC 606-10-55-48).

Late usage that the ledger drew on an expired lot turns that much breakage into usage: the counts of what is
drawn and what expired change by the same units in opposite directions, on the day of the debit's record.

Two things leave a lot at an amount of their own. A refund is what the ledger decided, cumulatively rounded
down; what rounding leaves stays with the lot. Units that roll over take their part of what the lot still
carries to a new lot, rounded up, so that refunds of the new lot are covered; that is no revenue, and liability
does not change. An exact alias of the first lot was rejected: lots would no longer be independent, and the
order in which several of them move would have to be kept.

Units that move to another wallet take the consideration that the ledger decided, which the lot they become there
begins with; while they are on their way it belongs to no lot, and is liability all the same. A chargeback takes
the cost basis of the units it withdrew off the liability like a refund, though nothing is paid by us.

Promotional and included grants carry no consideration and no lot here. A debit or an expiry may be effective
before its lot is (late usage); its day is then the lot's first day, so that contract liability is never
negative.
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
    """Units that expired or were revoked."""
    recognised_usage_nanos: int = 0
    recognised_breakage_nanos: int = 0
    rolls_over: bool = False
    held_units: int = 0
    refunded_units: int = 0
    """Refunded or charged back."""
    rolled_units: int = 0
    """Moved on to another lot, by roll-over or by a transfer."""
    refunded_nanos: int = 0
    rolled_nanos: int = 0

    @property
    def left_units(self) -> int:
        """Return what is left in the lot, held units included."""
        gone = self.drawn_units + self.expired_units + self.refunded_units + self.rolled_units
        return self.amount_units - gone

    @property
    def used_up(self) -> bool:
        """Return whether nothing is left in the lot."""
        return self.left_units == 0

    @property
    def recognisable_nanos(self) -> int:
        """Return what of the consideration this lot recognises in the end."""
        return self.consideration_nanos - self.refunded_nanos - self.rolled_nanos

    @property
    def deferred_nanos(self) -> int:
        """Return the contract liability that the lot still carries."""
        return self.recognisable_nanos - self.recognised_usage_nanos - self.recognised_breakage_nanos


class Movement(msgspec.Struct, gc=False):
    """Units that left one lot with effective times on one day, one event after the other.

    Mutable: the fold adds the next event to it when kind and day are the same. Reversals count as drawn
    units below zero, revocations as expired units, late usage of an expired lot as drawn units and as many
    expired units below zero.
    """

    day: date
    drawn_units: int = 0
    expired_units: int = 0


class Refund(msgspec.Struct, frozen=True, gc=False):
    """Units of a lot that were paid back on a day."""

    day: date
    amount_units: int
    refund_nanos: int


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """Units that left a lot for another wallet with so much of its consideration; below zero, they came back."""

    day: date
    amount_units: int
    nanos: int


class DayKey(msgspec.Struct, frozen=True, order=True):
    """One day (UTC) in one currency."""

    currency_code: str
    day: date


class DaySums(msgspec.Struct, frozen=True, gc=False):
    """What was posted on one day in one currency, in nanos."""

    billings_nanos: int = 0
    recognised_usage_nanos: int = 0
    recognised_breakage_nanos: int = 0
    refunds_nanos: int = 0

    def __add__(self, other: DaySums) -> DaySums:
        """Return the sum of both, figure by figure."""
        return DaySums(
            self.billings_nanos + other.billings_nanos,
            self.recognised_usage_nanos + other.recognised_usage_nanos,
            self.recognised_breakage_nanos + other.recognised_breakage_nanos,
            self.refunds_nanos + other.refunds_nanos,
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
    """Recognise what a movement used, broke or gave back."""
    moved = _with_revenue(
        lot,
        drawn_units=lot.drawn_units + movement.drawn_units,
        expired_units=lot.expired_units + movement.expired_units,
    )
    return _posting(lot, moved, movement.day)


def post_refund(lot: PaidLot, refund: Refund) -> Posting:
    """Take a refund off the liability. The last units of a lot leave what rounding left as breakage."""
    refunded = msgspec.structs.replace(
        lot,
        refunded_units=lot.refunded_units + refund.amount_units,
        refunded_nanos=lot.refunded_nanos + refund.refund_nanos,
    )
    moved = _with_revenue(refunded, drawn_units=lot.drawn_units, expired_units=lot.expired_units)
    return _posting(lot, moved, refund.day, refunds_nanos=refund.refund_nanos)


def post_transfer(lot: PaidLot, transfer: Transfer) -> Posting:
    """Let units and their consideration move on. The last units of a lot leave what rounding left as breakage."""
    moved = msgspec.structs.replace(
        lot,
        rolled_units=lot.rolled_units + transfer.amount_units,
        rolled_nanos=lot.rolled_nanos + transfer.nanos,
    )
    recognised = _with_revenue(moved, drawn_units=lot.drawn_units, expired_units=lot.expired_units)
    return _posting(lot, recognised, transfer.day)


def roll_over(lot: PaidLot, units: int) -> PaidLot:
    """Return a lot after units have moved on with their part of what it carries, rounded up."""
    rolled_nanos = -(-lot.deferred_nanos * units // lot.left_units)
    return msgspec.structs.replace(
        lot, rolled_units=lot.rolled_units + units, rolled_nanos=lot.rolled_nanos + rolled_nanos
    )


def _with_revenue(lot: PaidLot, *, drawn_units: int, expired_units: int) -> PaidLot:
    """Return a lot with what its counts say is recognised."""
    most = lot.recognisable_nanos
    usage = min(_share(lot, drawn_units), most)
    gone = drawn_units + expired_units
    closed = gone + lot.refunded_units + lot.rolled_units == lot.amount_units
    both = most if closed else min(_share(lot, gone), most)
    # Positional, in the order of the fields: a lot is made for every wallet of every run.
    return PaidLot(
        lot.currency_code,
        lot.consideration_nanos,
        lot.amount_units,
        lot.effective_day,
        lot.expire_time,
        drawn_units,
        expired_units,
        usage,
        both - usage,
        lot.rolls_over,
        lot.held_units,
        lot.refunded_units,
        lot.rolled_units,
        lot.refunded_nanos,
        lot.rolled_nanos,
    )


def _posting(before: PaidLot, after: PaidLot, day: date, *, refunds_nanos: int = 0) -> Posting:
    key = DayKey(after.currency_code, max(day, after.effective_day))
    sums = DaySums(
        0,
        after.recognised_usage_nanos - before.recognised_usage_nanos,
        after.recognised_breakage_nanos - before.recognised_breakage_nanos,
        refunds_nanos,
    )
    return Posting(after, key, sums)


def _share(lot: PaidLot, gone_units: int) -> int:
    return recognised_nanos(
        consideration_nanos=lot.consideration_nanos, amount_units=lot.amount_units, gone_units=gone_units
    )
