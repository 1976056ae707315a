"""What a plan asks for a cycle's usage, in money.

Base fee and seats, and the units beyond the included ones at the overage price, held between the least and the most
that a cycle costs. The bill is what the plan's terms say of the usage alone. Credit that a customer bought or was
given otherwise is left out on both sides of a comparison: it pays for usage, it does not price it. So are commitments,
whose periods are longer than a cycle, and taxes. Where a span or a contract covers a part of a cycle, everything but
the overage price counts in proportion to its seconds.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

from rating_service.domain.agreements.agreement import Asset, Money, PlanPhase
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
    fixed = (terms.base_fee.nanos if terms.base_fee else 0) + (
        terms.seat_fee.nanos * terms.seats if terms.seat_fee else 0
    )
    exact = fixed * share
    beyond = max(used_units - floor(terms.included_units * share), 0)
    if terms.overage_price is not None:
        price = parse_exact(terms.overage_price.price)
        exact += beyond * price * Fraction(NANOS_PER_MAJOR, 10**asset.scale)
    if terms.minimum_spend is not None:
        exact = max(exact, terms.minimum_spend.nanos * share)
    if terms.maximum_spend is not None:
        exact = min(exact, terms.maximum_spend.nanos * share)
    return Money(currency, round_half_up(exact, step=minor_unit_nanos(currency)))


def currency_of(terms: PlanPhase) -> str:
    """Return the one currency of a plan's prices, empty if it has none. Refuses MIXED_CURRENCIES."""
    priced = (
        terms.base_fee,
        terms.seat_fee,
        terms.overage_price,
        terms.minimum_spend,
        terms.maximum_spend,
    )
    used = {each.currency_code for each in priced if each is not None}
    if len(used) > 1:
        found = ", ".join(sorted(used))
        raise Refusal(Reason.MIXED_CURRENCIES, f"one plan holds {found}", currencies=found)
    return next(iter(used), "")
