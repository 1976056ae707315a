"""A share of an amount and a fee a usage, some of both free.

A usage is free while the free usages and the free amount both last. Where only a part of it lies in the free
amount, that part is free, and its fee is due. Source: the published rule of Lago's percentage charge.
"""

from __future__ import annotations

from rating_service.domain.price_models.curve import Curve, Part, PartKind
from rating_service.domain.price_models.running_total import RunningTotal


def free_of(quantity: int, before: RunningTotal, *, free_units: int, free_usages: int) -> int:
    """Return how much of a usage is free."""
    if free_usages and before.usages >= free_usages:
        return 0
    if free_units:
        return min(max(free_units - before.quantity, 0), quantity)
    return quantity if free_usages else 0


def parts_of(
    curve: Curve, quantity: int, before: RunningTotal, *, free_units: int, free_usages: int
) -> list[Part]:
    """Return what a usage costs beside its free part: its share and its fee."""
    free = free_of(quantity, before, free_units=free_units, free_usages=free_usages)
    parts: list[Part] = []
    if quantity > free:
        amount = (quantity - free) * curve.of_one[0]
        parts.append(Part(PartKind.QUANTITY, amount, 1, quantity - free, curve.price_texts[0]))
    if curve.fees[0] and not _waived(curve, quantity, before, free_units, free_usages):
        parts.append(Part(PartKind.FEE, curve.fees[0], 0, 1, curve.fee_texts[0]))
    return parts


def _waived(curve: Curve, quantity: int, before: RunningTotal, free_units: int, free_usages: int) -> bool:
    if quantity == 0 and curve.zero_free:
        return True
    lasts = not free_usages or before.usages < free_usages
    fits = not free_units or before.quantity + quantity <= free_units
    return bool(free_units or free_usages) and lasts and fits
