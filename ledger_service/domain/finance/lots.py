"""A paid lot in the books, and what may happen to it.

Each function returns the lot after something happened, with its revenue measured anew (`methods`). Nothing is posted
here: a posting is the difference between a lot before and after (`postings`), so that however events are taken
together, the same amounts come out.

Units that move to another wallet take the consideration that the ledger decided, which the lot they become there
begins with; while they are on their way it belongs to no lot, and is liability all the same. A refund takes off what
the ledger decided, cumulatively rounded down; what rounding leaves stays with the lot. Units that roll over take
their part of what the lot still carries, rounded up, so that refunds of the new lot are covered; neither is revenue.

Units that are declared remote are breakage at once. They may be drawn still: then breakage turns into usage. An
estimate that is stated later takes the declaration back, and what of it was breakage is liability again.
"""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction

import msgspec

from ledger_service.domain.finance.methods import Measured, measure, round_half_up, share_nanos


class PaidLot(msgspec.Struct, frozen=True, gc=False):
    """A lot with consideration. Nanos are of the entity's own currency; a field names a column of journal_lots."""

    entity: str
    product: str
    pool: str
    currency_code: str
    consideration_nanos: int
    amount_units: int
    """Units that share the consideration: those granted, and those of bonuses."""
    effective_day: date
    expire_time: datetime | None = None
    purchase_version: int = 0
    """Not 0: a bonus, whose movements are those of the lot of the purchase."""
    as_recorded: bool = False
    """What time does to it is seen once it is recorded: part of it may move on, or a bonus in it lasts longer."""
    estimate_numerator: int = 0
    estimate_denominator: int = 1
    """Expected breakage as a fraction of the units, in [0, 1)."""
    drawn_units: int = 0
    expired_units: int = 0
    """Expired or revoked."""
    remote_units: int = 0
    """Declared remote while they were there."""
    held_units: int = 0
    refunded_units: int = 0
    """Refunded, charged back or clawed back."""
    rolled_units: int = 0
    """Moved on to another lot, by roll-over or by a transfer."""
    refunded_nanos: int = 0
    rolled_nanos: int = 0
    escheated_nanos: int = 0
    returned_tax_nanos: int = 0
    """Tax that was given back or moved on with units of it, in the currency that was paid."""
    usage_nanos: int = 0
    breakage_nanos: int = 0
    exchange_rate: str = ""
    """Of the currency that was paid; empty: it is the entity's own."""

    @property
    def left_units(self) -> int:
        """Return what may still be used by what the books expect, held units included."""
        gone = self.drawn_units + self.expired_units + self.refunded_units + self.rolled_units
        return max(self.amount_units - gone - self.remote_units, 0)

    @property
    def used_up(self) -> bool:
        """Return whether nothing is left in the lot."""
        return self.left_units == 0

    @property
    def recognisable_nanos(self) -> int:
        """Return what of the consideration this lot recognises in the end."""
        return self.consideration_nanos - self.refunded_nanos - self.rolled_nanos - self.escheated_nanos

    @property
    def deferred_nanos(self) -> int:
        """Return the contract liability that the lot carries by itself."""
        return self.recognisable_nanos - self.usage_nanos - self.breakage_nanos

    def in_own_currency(self, nanos: int) -> int:
        """Return an amount of what was paid in the entity's own currency, at the rate of the receipt, half up."""
        return round_half_up(nanos * Fraction(self.exchange_rate)) if self.exchange_rate else nanos


def moved(lot: PaidLot, *, drawn_units: int, expired_units: int) -> PaidLot:
    """Return a lot after so many more units were drawn and expired; below zero, they came back."""
    drawn_units += lot.drawn_units
    expired_units += lot.expired_units
    measured = _measure(lot, drawn_units, expired_units)
    # Positional, in the order of the fields: a lot is made for every wallet of every run.
    return PaidLot(
        lot.entity,
        lot.product,
        lot.pool,
        lot.currency_code,
        lot.consideration_nanos,
        lot.amount_units,
        lot.effective_day,
        lot.expire_time,
        lot.purchase_version,
        lot.as_recorded,
        lot.estimate_numerator,
        lot.estimate_denominator,
        drawn_units,
        expired_units,
        lot.remote_units,
        lot.held_units,
        lot.refunded_units,
        lot.rolled_units,
        lot.refunded_nanos,
        lot.rolled_nanos,
        lot.escheated_nanos,
        lot.returned_tax_nanos,
        measured.usage_nanos,
        measured.breakage_nanos,
        lot.exchange_rate,
    )


def reserved(lot: PaidLot, units: int) -> PaidLot:
    """Return a lot after holds reserved units, or gave them back (below zero)."""
    return msgspec.structs.replace(lot, held_units=lot.held_units + units)


def extended(lot: PaidLot, expire_time: datetime | None) -> PaidLot:
    """Return a lot that lives longer. That is no revenue."""
    return msgspec.structs.replace(lot, expire_time=expire_time)


def refunded(lot: PaidLot, *, units: int, nanos: int) -> PaidLot:
    """Return a lot after units were paid back, charged back or, with nothing, clawed back."""
    return _measured(
        lot,
        refunded_units=lot.refunded_units + units,
        refunded_nanos=lot.refunded_nanos + min(nanos, lot.recognisable_nanos),
    )


def sent(lot: PaidLot, *, units: int, nanos: int) -> PaidLot:
    """Return a lot after units left for another wallet with so much; below zero, they came back."""
    return _measured(lot, rolled_units=lot.rolled_units + units, rolled_nanos=lot.rolled_nanos + nanos)


def tax_returned(lot: PaidLot, nanos: int) -> PaidLot:
    """Return a lot after so much of its tax went back or moved on, as it was paid; below zero, it came back."""
    return msgspec.structs.replace(lot, returned_tax_nanos=lot.returned_tax_nanos + nanos)


def rolled_over(lot: PaidLot, units: int) -> PaidLot:
    """Return a lot after units have moved on with their part of what it carries, rounded up."""
    nanos = -(-lot.deferred_nanos * units // lot.left_units)
    return msgspec.structs.replace(
        lot, rolled_units=lot.rolled_units + units, rolled_nanos=lot.rolled_nanos + nanos
    )


def shared(lot: PaidLot, bonus_units: int) -> PaidLot:
    """Return a purchase whose consideration pays for a bonus as well."""
    return _measured(lot, amount_units=lot.amount_units + bonus_units, as_recorded=True)


def estimated(lot: PaidLot, *, numerator: int, denominator: int) -> PaidLot:
    """Return a lot of which another part is expected never to be used: a cumulative catch-up (ASC 250-10-45-17).

    The newest expectation counts, so units that were declared remote are so no longer.
    """
    return _measured(lot, remote_units=0, estimate_numerator=numerator, estimate_denominator=denominator)


def declared_remote(lot: PaidLot) -> PaidLot:
    """Return a lot of which what is left is expected never to be used (ASC 606-10-55-48, second sentence)."""
    return _measured(lot, remote_units=lot.remote_units + lot.left_units)


def escheated(lot: PaidLot, fraction: Fraction) -> PaidLot:
    """Return a lot of which a fraction of what was not used belongs to the state, rounded half up (606-10-55-49)."""
    unused_nanos = lot.recognisable_nanos - lot.usage_nanos
    return _measured(lot, escheated_nanos=lot.escheated_nanos + round_half_up(unused_nanos * fraction))


def used_after_all(lot: PaidLot, units: int) -> PaidLot:
    """Return a lot of which units that had expired were used before that, so the state has less, in proportion.

    Nothing of it is left to the state once nothing is unused.
    """
    drawn_units = lot.drawn_units + units
    paid_nanos = lot.recognisable_nanos + lot.escheated_nanos
    before, after = (
        paid_nanos - share_nanos(lot.consideration_nanos, drawn, lot.amount_units)
        for drawn in (lot.drawn_units, drawn_units)
    )
    left = share_nanos(lot.escheated_nanos, after, before) if before else 0
    return _measured(
        lot, drawn_units=drawn_units, expired_units=lot.expired_units - units, escheated_nanos=left
    )


def _measured(lot: PaidLot, **changes: int) -> PaidLot:
    changed: PaidLot = msgspec.structs.replace(lot, **changes)
    measured = _measure(changed, changed.drawn_units, changed.expired_units)
    return msgspec.structs.replace(
        changed, usage_nanos=measured.usage_nanos, breakage_nanos=measured.breakage_nanos
    )


def _measure(lot: PaidLot, drawn_units: int, expired_units: int) -> Measured:
    gone = drawn_units + expired_units + lot.remote_units
    return measure(
        consideration_nanos=lot.consideration_nanos,
        recognisable_nanos=lot.recognisable_nanos,
        amount_units=lot.amount_units,
        drawn_units=drawn_units,
        gone_units=gone,
        ended=gone + lot.refunded_units + lot.rolled_units >= lot.amount_units,
        escheated_nanos=lot.escheated_nanos,
        numerator=lot.estimate_numerator,
        denominator=lot.estimate_denominator,
    )
