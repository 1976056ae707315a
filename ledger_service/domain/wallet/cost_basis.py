"""Cost basis: what of a lot's consideration belongs to units that are refunded, charged back or moved on.

Of consideration C for N units, R units that were paid back stand for floor(C x R / N), and M units that moved
to another wallet carry floor(C x M / N) in all: cumulative, so that no split of a refund or a transfer gains or
loses a nano, and both together never exceed C. A transfer that came back gives its lot exactly what it had
taken; should that leave the sums uneven, what is left of C is the bound.
"""

from __future__ import annotations

import msgspec

from ledger_service.domain.values import Money


class Moved(msgspec.Struct, frozen=True):
    """Units of one lot that left for other wallets, returns taken off, and the consideration they carried."""

    amount_units: int = 0
    nanos: int = 0


class Basis(msgspec.Struct, frozen=True):
    """A lot's consideration and what has left it so far."""

    consideration: Money
    granted_units: int
    refunded_units: int
    moved: Moved

    @property
    def left_nanos(self) -> int:
        """Return what was neither paid back nor moved on."""
        return max(self.consideration.nanos - self._share(self.refunded_units) - self.moved.nanos, 0)

    def refund_nanos(self, units: int) -> int:
        """Return the cost basis of the next so many units that are paid back."""
        before = self._share(self.refunded_units)
        return max(min(self._share(self.refunded_units + units) - before, self.left_nanos), 0)

    def moved_nanos(self, units: int) -> int:
        """Return the consideration that the next so many units carry on to another wallet."""
        after = self._share(self.moved.amount_units + units)
        return max(min(after - self.moved.nanos, self.left_nanos), 0)

    def covering_units(self, nanos: int, available_units: int) -> int:
        """Return the fewest units whose cost basis reaches an amount, or all that are available."""
        if not self.consideration.nanos:
            return available_units
        wanted = (nanos + self._share(self.refunded_units)) * self.granted_units
        units = -(-wanted // self.consideration.nanos) - self.refunded_units
        return min(max(units, 0), available_units)

    def _share(self, units: int) -> int:
        return self.consideration.nanos * units // self.granted_units
