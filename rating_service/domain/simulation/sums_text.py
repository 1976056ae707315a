"""Cells as sums that are told: exact text, differences, per cent and margins."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from rating_service.domain.agreements.agreement import Asset
from rating_service.domain.exact import exact_text
from rating_service.domain.simulation.amounts import EXACT_DECIMALS, amount_text, percent_text
from rating_service.domain.simulation.cells import Cell, DimensionCell, Side
from rating_service.domain.simulation.outcome import CandidateSums, Sums

KEYS_MAX: Final = 1_000
"""Keys of one view; the rest are told together."""
OTHERS: Final = "(others)"


class Teller:
    """Tells sums of one asset, with costs in one currency."""

    def __init__(self, asset: Asset, cost_currency: str) -> None:
        """Tell margins only where costs are in the asset itself."""
        self._cost_currency = cost_currency
        self._has_margin = cost_currency == asset.code
        self._units_of_one = 10**asset.scale

    def sums(self, key: str, cell: Cell) -> Sums:
        """Return a cell as sums."""
        has_costs = any([cell.costed_count, *(side.costed_count for side in cell.sides)])
        return Sums(
            key=key,
            usage_count=cell.usages,
            units_now=amount_text(cell.now),
            candidates=tuple(self._side(cell, side) for side in cell.sides),
            provider_cost_now=amount_text(cell.cost_now) if cell.costed_count else "",
            margin_now=self._margin(cell.costed_now, cell.cost_now) if cell.costed_count else "",
            cost_currency=self._cost_currency if has_costs else "",
        )

    def view(self, cells: Mapping[str, Cell]) -> tuple[Sums, ...]:
        """Return the largest amounts now first; what is beyond KEYS_MAX together."""
        ranked = sorted(cells.items(), key=lambda each: (-each[1].now, each[0]))
        told = [self.sums(key, cell) for key, cell in ranked[:KEYS_MAX]]
        if len(ranked) > KEYS_MAX:
            others = Cell(len(ranked[0][1].sides))
            for _, cell in ranked[KEYS_MAX:]:
                others.add(cell)
            told.append(self.sums(OTHERS, others))
        return tuple(told)

    def dimensions(self, cells: Mapping[str, DimensionCell]) -> tuple[Sums, ...]:
        """Return dimensions, the largest amount now first."""
        ranked = sorted(cells.items(), key=lambda each: (-each[1].now, each[0]))
        return tuple(_dimension(name, cell) for name, cell in ranked)

    def _side(self, cell: Cell, side: Side) -> CandidateSums:
        compared_now = cell.now - side.unrateable_now
        difference = side.amount - compared_now
        return CandidateSums(
            priced_count=cell.usages - side.unrateable,
            unrateable_count=side.unrateable,
            units=amount_text(side.amount),
            difference_units=amount_text(difference),
            difference_percent=percent_text(difference, compared_now),
            provider_cost=amount_text(side.cost) if side.costed_count else "",
            margin=self._margin(side.costed, side.cost) if side.costed_count else "",
        )

    def _margin(self, amount: int, cost: int) -> str:
        if not self._has_margin:
            return ""
        in_assets = Fraction(amount, self._units_of_one) - cost
        return exact_text(in_assets / 10**EXACT_DECIMALS)


def _dimension(name: str, cell: DimensionCell) -> Sums:
    sides = zip(cell.unrateable, cell.unrateable_now, cell.simulated, strict=True)
    return Sums(
        key=name,
        usage_count=cell.usages,
        units_now=amount_text(cell.now),
        candidates=tuple(
            CandidateSums(
                priced_count=cell.usages - unrateable,
                unrateable_count=unrateable,
                units=amount_text(simulated),
                difference_units=amount_text(simulated - (cell.now - unrateable_now)),
                difference_percent=percent_text(
                    simulated - (cell.now - unrateable_now), cell.now - unrateable_now
                ),
            )
            for unrateable, unrateable_now, simulated in sides
        ),
        quantity=cell.quantity,
    )
