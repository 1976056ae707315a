"""Breakage pools while a run of events is folded.

A pool is measured at the end of each record day, over all that was recorded by then, and posts what it has earned
beyond its lots on that day. Record time never goes back, so the days of a run come in order, and as everything of one
day is posted to one place it does not matter how a run is cut, nor in which order the lots of a day moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from fractions import Fraction

import msgspec

from ledger_service.domain.finance.estimates import estimate_of
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.domain.finance.methods import pool_breakage_nanos


class PoolSums(msgspec.Struct, frozen=True):
    """Sums over the lots of a pool; a field names a column of journal_pools."""

    consideration_nanos: int = 0
    """What the lots recognise in the end."""
    amount_units: int = 0
    drawn_units: int = 0
    usage_nanos: int = 0
    lot_breakage_nanos: int = 0
    """What the lots have by themselves."""

    def __add__(self, other: PoolSums) -> PoolSums:
        """Return the sums of both."""
        return PoolSums(
            self.consideration_nanos + other.consideration_nanos,
            self.amount_units + other.amount_units,
            self.drawn_units + other.drawn_units,
            self.usage_nanos + other.usage_nanos,
            self.lot_breakage_nanos + other.lot_breakage_nanos,
        )


class PoolTerms(msgspec.Struct, frozen=True):
    """What was agreed about a pool."""

    entity: str
    currency_code: str
    jurisdiction: str
    term: str
    method: str
    escheat_fraction: str


class Estimate(msgspec.Struct, frozen=True):
    """What was stated; units are those of all that were issued by the end of the record day."""

    expected_breakage: str = ""
    expected_redeemed_units: int = 0


class PoolTally(msgspec.Struct):
    """A pool, and what happened to it on the record days of the run. Mutable: part of the accumulator."""

    terms: PoolTerms
    numerator: int = 0
    denominator: int = 1
    sums: PoolSums = PoolSums()
    breakage_nanos: int = 0
    """What the pool has earned beyond its lots."""
    moved: dict[date, PoolSums] = {}
    estimates: dict[date, Estimate] = {}
    """The last one of each record day."""
    stated_day: date | None = None
    """Record day of the newest estimate if it was stated in units; what else is recorded on that day counts in it."""
    stated_units: int = 0

    def note(self, before: PaidLot | None, after: PaidLot, record_day: date) -> None:
        """Add what changed in a lot; `before` is None for one that began."""
        change = _sums(after) if before is None else _difference(before, after)
        self.moved[record_day] = self.moved.get(record_day, PoolSums()) + change

    def measure(self) -> Iterator[tuple[date, int]]:
        """Take up what happened, day by day, and yield what each day adds to the pool's own breakage."""
        for day in sorted(self.moved.keys() | self.estimates.keys()):
            self.sums += self.moved.pop(day, PoolSums())
            if day in self.estimates:
                self._state(day, self.estimates.pop(day))
            if day == self.stated_day:
                # Of a run that ends within the day, the next one begins with less than all of it.
                self._revise(Estimate(expected_redeemed_units=self.stated_units))
            earned = pool_breakage_nanos(
                recognisable_nanos=self.sums.consideration_nanos,
                usage_nanos=self.sums.usage_nanos,
                lot_breakage_nanos=self.sums.lot_breakage_nanos,
                numerator=self.numerator,
                denominator=self.denominator,
            )
            yield day, earned - self.breakage_nanos
            self.breakage_nanos = earned

    def _state(self, day: date, estimate: Estimate) -> None:
        self.stated_units = estimate.expected_redeemed_units
        self.stated_day = day if self.stated_units else None
        if not self.stated_units:
            self._revise(estimate)

    def _revise(self, estimate: Estimate) -> None:
        issued = max(self.sums.amount_units, estimate.expected_redeemed_units)
        expected = estimate_of(
            expected_breakage=estimate.expected_breakage,
            expected_redeemed_units=estimate.expected_redeemed_units,
            of_units=issued,
        )
        bounded = expected.limit_denominator(10**18)
        self.numerator, self.denominator = bounded.numerator, bounded.denominator

    @property
    def escheat_fraction(self) -> Fraction:
        """Return which part of what ends unused belongs to the state."""
        return Fraction(self.terms.escheat_fraction or 0)


def _sums(lot: PaidLot) -> PoolSums:
    units = lot.amount_units - lot.refunded_units - lot.rolled_units
    return PoolSums(lot.recognisable_nanos, units, lot.drawn_units, lot.usage_nanos, lot.breakage_nanos)


def _difference(before: PaidLot, after: PaidLot) -> PoolSums:
    one, other = _sums(before), _sums(after)
    return PoolSums(
        other.consideration_nanos - one.consideration_nanos,
        other.amount_units - one.amount_units,
        other.drawn_units - one.drawn_units,
        other.usage_nanos - one.usage_nanos,
        other.lot_breakage_nanos - one.lot_breakage_nanos,
    )
