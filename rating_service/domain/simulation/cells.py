"""Sums of simulated usage.

Each usage is added to two cells: one by contract, cycle and month, one by model and feature. Everything in the outcome
is a sum of cells of one kind, so that the views can only agree. What a candidate's priced usages were charged is not
added up by itself: it is what all were charged less what the unrateable ones were.
"""

from __future__ import annotations

from typing import NamedTuple


class TimeKey(NamedTuple):
    """Contract, place of the cycle, and month as year x 12 + month - 1, UTC."""

    contract: str
    cycle: int
    month: int


class KindKey(NamedTuple):
    """What was asked for, and by which feature."""

    model: str
    feature: str


class Side:
    """Usage under one candidate. Amounts are integers of 10^-40 units, costs of 10^-40 of the currency.

    `unrateable_now` is what the usages were charged that it cannot price; `costed` what those cost that have a
    provider cost.
    """

    __slots__ = ("amount", "cost", "costed", "costed_count", "unrateable", "unrateable_now")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.unrateable = self.unrateable_now = self.costed_count = 0
        self.amount = self.cost = self.costed = 0

    def add(self, other: Side) -> None:
        """Add another one of the same candidate."""
        self.unrateable += other.unrateable
        self.unrateable_now += other.unrateable_now
        self.amount += other.amount
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
    """One dimension: quantity and amount now, and by candidate the amount and what is unrateable."""

    __slots__ = ("now", "quantity", "simulated", "unrateable", "unrateable_now", "usages")

    def __init__(self, candidate_count: int) -> None:
        """Begin with nothing."""
        self.usages = self.quantity = self.now = 0
        self.simulated = [0] * candidate_count
        self.unrateable = [0] * candidate_count
        self.unrateable_now = [0] * candidate_count


class Dimensions(dict[str, DimensionCell]):
    """Dimensions by name; one that is new begins with nothing."""

    def __init__(self, candidate_count: int) -> None:
        """Begin without any."""
        super().__init__()
        self._candidate_count = candidate_count

    def __missing__(self, name: str) -> DimensionCell:
        """Begin a dimension."""
        cell = self[name] = DimensionCell(self._candidate_count)
        return cell
