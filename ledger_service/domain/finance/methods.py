"""How much of a consideration is revenue, as a function of what happened so far (ASC 606-10-55-46 to 55-49).

Of a lot with consideration P for N units, of which D were drawn (reversals taken off), P x D / N is usage. What is
breakage depends on the method:

- none, remote: what has ended without use, at expiry or when it is declared remote: of D drawn and X ended units
  P x (D + X) / N is usage and breakage together.
- proportional (606-10-55-48, first sentence): with an expected breakage b, usage and breakage together are
  P x D / N / (1 - b), but never less than by what has ended.

Of what has ended, what belongs to the state comes first. Both are rounded half up and follow from the counts alone, so
no rounding error is ever carried along and what a reversal takes back is what its debit had added. They never exceed
what of P is neither paid back nor moved on nor escheated; so redemptions beyond the estimate turn breakage into usage.
Once nothing is left, all that the lot still carries is breakage: such a lot ends at exactly zero.

A pool of lots with an expected breakage b has earned U / (1 - b) by a usage of U, at most what its lots recognise in
the end, and never less than what its lots have by themselves. With lots of one price that is P x min(R / E, 1) with R
units redeemed of E expected. What the pool adds to its lots is the pool's own.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple


class Measured(NamedTuple):
    """Cumulative revenue of a lot."""

    usage_nanos: int
    breakage_nanos: int


def share_nanos(nanos: int, part: int, whole: int) -> int:
    """Return nanos x part / whole, rounded half up."""
    return (2 * nanos * part + whole) // (2 * whole)


def measure(
    *,
    consideration_nanos: int,
    recognisable_nanos: int,
    amount_units: int,
    drawn_units: int,
    gone_units: int,
    ended: bool,
    escheated_nanos: int,
    numerator: int,
    denominator: int,
) -> Measured:
    """Return what a lot has earned. `gone_units` were drawn or have ended; `ended` says that nothing is left."""
    drawn_nanos = share_nanos(consideration_nanos, drawn_units, amount_units)
    usage = min(drawn_nanos, recognisable_nanos)
    if ended:
        return Measured(usage, recognisable_nanos - usage)
    both = drawn_nanos
    if gone_units != drawn_units:
        gone_nanos = share_nanos(consideration_nanos, gone_units, amount_units)
        both = max(drawn_nanos, gone_nanos - escheated_nanos)
    if numerator:
        expected_units = amount_units * (denominator - numerator)
        earned = share_nanos(consideration_nanos, drawn_units * denominator, expected_units)
        both = max(both, earned)
    return Measured(usage, min(both, recognisable_nanos) - usage)


def pool_breakage_nanos(
    *, recognisable_nanos: int, usage_nanos: int, lot_breakage_nanos: int, numerator: int, denominator: int
) -> int:
    """Return what a pool has earned beyond the usage and the breakage of its lots, rounded half up."""
    if not numerator:
        return 0
    earned = share_nanos(usage_nanos, denominator, denominator - numerator)
    return max(min(earned, recognisable_nanos) - usage_nanos - lot_breakage_nanos, 0)


def round_half_up(amount: Fraction) -> int:
    """Return a whole number, halves up."""
    return (2 * amount.numerator + amount.denominator) // (2 * amount.denominator)
