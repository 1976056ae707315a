"""Cells rolled up: by contract, month and contract's cycle, and by model and feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from rating_service.domain.simulation.cells import Cell, KindKey, TimeKey

K = TypeVar("K")


class RollUp:
    """Sums of cells by each thing that they have in common."""

    __slots__ = ("candidate_count", "contracts", "cycles", "features", "models", "months", "total")

    def __init__(
        self, candidate_count: int, times: Mapping[TimeKey, Cell], kinds: Mapping[KindKey, Cell]
    ) -> None:
        """Add the cells up."""
        self.candidate_count = candidate_count
        self.total = Cell(candidate_count)
        self.contracts: dict[str, Cell] = {}
        self.months: dict[int, Cell] = {}
        self.cycles: dict[tuple[str, int], Cell] = {}
        self.models: dict[str, Cell] = {}
        self.features: dict[str, Cell] = {}
        for time, cell in times.items():
            self.total.add(cell)
            self._add(self.contracts, time.contract, cell)
            self._add(self.months, time.month, cell)
            self._add(self.cycles, (time.contract, time.cycle), cell)
        for kind, cell in kinds.items():
            self._add(self.models, kind.model, cell)
            self._add(self.features, kind.feature, cell)

    def _add(self, sums: dict[K, Cell], key: K, cell: Cell) -> None:
        found = sums.get(key)
        if found is None:
            found = sums[key] = Cell(self.candidate_count)
        found.add(cell)
