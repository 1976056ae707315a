"""Volume tiers: the whole quantity is priced in the tier in which it ends.

A usage that reaches another tier is charged the whole quantity anew, less what was charged before. Where the new
tier is cheaper that may be less than nothing: the difference is exact, and the wallet decides what a charge
below zero does.
"""

from __future__ import annotations

from rating_service.domain.price_models.curve import Curve, Part, PartKind, Stretch, owes_fee, tier_of


def parts_of(curve: Curve, stretch: Stretch) -> list[Part]:
    """Return what a stretch costs."""
    if not owes_fee(curve, stretch.after, begun=True):
        return []
    tier = tier_of(curve, stretch.after)
    owed = owes_fee(curve, stretch.before, begun=stretch.begun)
    same_tier = owed and tier_of(curve, stretch.before) == tier
    quantity = stretch.after - stretch.before if same_tier else stretch.after
    parts: list[Part] = []
    if curve.fees[tier] and not same_tier:
        parts.append(Part(PartKind.FEE, curve.fees[tier], tier + 1, 1, curve.fee_texts[tier]))
    if quantity:
        amount = quantity * curve.of_one[tier]
        parts.append(Part(PartKind.QUANTITY, amount, tier + 1, quantity, curve.price_texts[tier]))
    earlier = 0 if same_tier else total_of(curve, stretch.before, begun=stretch.begun)
    if earlier:
        parts.append(Part(PartKind.EARLIER, -earlier, tier_of(curve, stretch.before) + 1, stretch.before))
    return parts


def total_of(curve: Curve, quantity: int, *, begun: bool) -> int:
    """Return F(quantity): what a cycle owes after it."""
    if not owes_fee(curve, quantity, begun=begun):
        return 0
    tier = tier_of(curve, quantity)
    return quantity * curve.of_one[tier] + curve.fees[tier]
