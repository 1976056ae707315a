"""Cells rolled up: by contract, month, model and feature, and by contract and cycle for the bills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from rating_service.domain.simulation.cells import Cell, CellKey

K = TypeVar("K")


class RollUp:
    """Sums of cells by each thing that they have in common."""

    __slots__ = ("candidate_count", "contracts", "cycles", "features", "models", "months", "total")

    def __init__(self, candidate_count: int) -> None:
        """Begin with nothing."""
        self.candidate_count = candidate_count
        self.total = Cell(candidate_count)
        self.contracts: dict[str, Cell] = {}
        self.months: dict[int, Cell] = {}
        self.models: dict[str, Cell] = {}
        self.features: dict[str, Cell] = {}
        self.cycles: dict[tuple[str, int], Cell] = {}

    def take(self, cells: Mapping[CellKey, Cell]) -> None:
        """Add cells."""
        for key, cell in cells.items():
            self.total.add(cell)
            self._add(self.contracts, key.contract, cell)
            self._add(self.months, key.month, cell)
            self._add(self.models, key.model, cell)
            self._add(self.features, key.feature, cell)
            self._add(self.cycles, (key.contract, key.cycle), cell)

    def _add(self, sums: dict[K, Cell], key: K, cell: Cell) -> None:
        found = sums.get(key)
        if found is None:
            found = sums[key] = Cell(self.candidate_count)
        found.add(cell)
