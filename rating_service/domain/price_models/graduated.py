"""Graduated tiers: each part of the quantity is priced in the tier in which it lies.

Flat, linear and percentage prices with one tier are the simplest case. F grows with the quantity, and the parts
of any split add up, because each unit and each fee is charged where it is first reached.
"""

from __future__ import annotations

from rating_service.domain.price_models.curve import Curve, Part, PartKind, Stretch, owes_fee, tier_of


def parts_of(curve: Curve, stretch: Stretch) -> list[Part]:
    """Return what a stretch costs, tier by tier: the fee of each tier entered, then its quantity."""
    parts: list[Part] = []
    first, last = tier_of(curve, stretch.before), tier_of(curve, stretch.after)
    for tier in range(first, last + 1):
        low = curve.ends[tier - 1] if tier else 0
        high = stretch.after if tier == last else curve.ends[tier]
        quantity = high - max(stretch.before, low)
        fee = curve.fees[tier]
        if fee and _enters(curve, tier, low, stretch):
            parts.append(Part(PartKind.FEE, fee, tier + 1, 1, curve.fee_texts[tier]))
        if quantity and curve.price_texts[tier]:
            amount = quantity * curve.of_one[tier]
            parts.append(Part(PartKind.QUANTITY, amount, tier + 1, quantity, curve.price_texts[tier]))
    return parts


def total_of(curve: Curve, quantity: int, *, begun: bool) -> int:
    """Return F(quantity): what a cycle owes after it."""
    return sum(part.numerator for part in parts_of(curve, Stretch(0, quantity, False))) if begun else 0


def _enters(curve: Curve, tier: int, low: int, stretch: Stretch) -> bool:
    if tier:
        return stretch.before <= low
    owed = owes_fee(curve, stretch.before, begun=stretch.begun)
    return not owed and owes_fee(curve, stretch.after, begun=True)
