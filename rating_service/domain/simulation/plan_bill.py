"""What a plan asks for a cycle's usage, in money: base fee, and units beyond the included ones at the overage price.

The bill is what the plan's terms say of the usage alone. Credit that a customer bought or was given otherwise is left
out on both sides of a comparison: it pays for usage, it does not price it. Where a span or a contract covers a part of
a cycle, fee and included units count in proportion to its seconds.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

from rating_service.domain.agreement import Asset, Money, PlanPhase
from rating_service.domain.exact import parse_exact
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.rounding import NANOS_PER_MAJOR, minor_unit_nanos, round_half_up


def plan_bill(terms: PlanPhase, asset: Asset, *, used_units: int, share: Fraction) -> Money | None:
    """Return what is owed for a share of a cycle, rounded half up to the minor unit; None if nothing has a price.

    Included units in proportion are rounded down. Refuses MIXED_CURRENCIES.
    """
    currency = currency_of(terms)
    if not currency:
        return None
    fee, overage = terms.base_fee, terms.overage_price
    exact = fee.nanos * share if fee else Fraction(0)
    beyond = max(used_units - floor(terms.included_units * share), 0)
    if overage is not None:
        exact += beyond * parse_exact(overage.price) * Fraction(NANOS_PER_MAJOR, 10**asset.scale)
    return Money(currency, round_half_up(exact, step=minor_unit_nanos(currency)))


def currency_of(terms: PlanPhase) -> str:
    """Return the one currency of a plan's prices, empty if it has none. Refuses MIXED_CURRENCIES."""
    fee, overage = terms.base_fee, terms.overage_price
    used = {priced.currency_code for priced in (fee, overage) if priced is not None}
    if len(used) > 1:
        found = ", ".join(sorted(used))
        raise Refusal(Reason.MIXED_CURRENCIES, f"one plan holds {found}", currencies=found)
    return next(iter(used), "")
