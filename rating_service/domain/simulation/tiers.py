"""How quantities fall into the tiers of a candidate's rates.

A volume price moves the whole quantity of a cycle into the tier that it reaches: what was in an earlier tier leaves
it. Quantities are those that running totals count, so usage that was taken back later is in them.
"""

from __future__ import annotations

from typing import NamedTuple

from rating_service.domain.price_models.curve import PartKind
from rating_service.domain.simulation.amounts import read_amount
from rating_service.domain.usage import Charge, ChargeLine, ChargePart


class TierKey(NamedTuple):
    """One tier of a rate; `tier` counts from 1, and 0 is what is free. `match` is what the rate is for."""

    dimension: str
    model: str
    match: str
    tier: int


class TierSum:
    """What falls into a tier; `price` is the last one seen."""

    __slots__ = ("amount", "price", "quantity")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.quantity = self.amount = 0
        self.price = ""


class TierSums:
    """Quantities and amounts by tier, over every usage that was priced."""

    __slots__ = ("by_tier",)

    def __init__(self) -> None:
        """Begin with nothing."""
        self.by_tier: dict[TierKey, TierSum] = {}

    def add(self, charge: Charge) -> None:
        """Add a charge. Lines without parts have no tiers."""
        for line in charge.lines:
            if line.parts:
                match = _match_of(line)
                for part in line.parts:
                    self._add_part(line, match, part)

    def _add_part(self, line: ChargeLine, match: str, part: ChargePart) -> None:
        if part.kind not in _IN_TIERS:
            return
        key = TierKey(line.dimension, line.model, match, part.tier)
        tier = self.by_tier.get(key)
        if tier is None:
            tier = self.by_tier[key] = TierSum()
        tier.amount += read_amount(part.exact_units)
        if part.kind == PartKind.EARLIER:
            tier.quantity -= part.quantity
        elif part.kind != PartKind.FEE:
            tier.quantity += part.quantity
            tier.price = part.price


def _match_of(line: ChargeLine) -> str:
    """Return what a rate is for, as its meter tells; empty if it has none."""
    if line.total_before is None:
        return ""
    return line.total_before.meter.partition("{")[2].removesuffix("}")


_IN_TIERS = frozenset({PartKind.QUANTITY, PartKind.FREE, PartKind.FEE, PartKind.EARLIER})
"""Packages and bounds are no tiers."""
