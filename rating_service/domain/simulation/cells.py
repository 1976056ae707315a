"""Sums of simulated usage.

A cell holds what usages of one contract, cycle, month, model and feature add up to; everything in the outcome is a
sum of cells, so that the views can only agree.
"""

from __future__ import annotations

from typing import NamedTuple


class CellKey(NamedTuple):
    """What the usages of a cell have in common. `month` is year x 12 + month - 1, UTC; `cycle` is a place."""

    contract: str
    cycle: int
    month: int
    model: str
    feature: str


class Side:
    """Usage under one candidate. Amounts are integers of 10^-40 units, costs of 10^-40 of the currency.

    `compared_now` is what the priced usages were charged; `costed` what those cost that have a provider cost.
    """

    __slots__ = ("amount", "compared_now", "cost", "costed", "costed_count", "priced", "unrateable")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.priced = self.unrateable = self.costed_count = 0
        self.amount = self.compared_now = self.cost = self.costed = 0

    def add(self, other: Side) -> None:
        """Add another one of the same candidate."""
        self.priced += other.priced
        self.unrateable += other.unrateable
        self.amount += other.amount
        self.compared_now += other.compared_now
        self.cost += other.cost
        self.costed += other.costed
        self.costed_count += other.costed_count


class Cell:
    """Usage now, and under each candidate."""

    __slots__ = ("cost_now", "costed_count", "costed_now", "now", "sides", "usages")

    def __init__(self, candidate_count: int) -> None:
        """Begin with nothing."""
        self.usages = self.costed_count = 0
        self.now = self.cost_now = self.costed_now = 0
        self.sides = [Side() for _ in range(candidate_count)]

    def add(self, other: Cell) -> None:
        """Add another one of the same candidates."""
        self.usages += other.usages
        self.now += other.now
        self.cost_now += other.cost_now
        self.costed_now += other.costed_now
        self.costed_count += other.costed_count
        for side, more in zip(self.sides, other.sides, strict=True):
            side.add(more)


class DimensionCell:
    """One dimension: quantity, amount now, and by candidate the amount and what is compared with it."""

    __slots__ = ("compared_now", "now", "priced", "quantity", "simulated", "usages")

    def __init__(self, candidate_count: int) -> None:
        """Begin with nothing."""
        self.usages = self.quantity = self.now = 0
        self.simulated = [0] * candidate_count
        self.compared_now = [0] * candidate_count
        self.priced = [0] * candidate_count
