"""The fold: one usage after the other is priced under every candidate and added up.

Usage comes in the order of the log. What a candidate cannot price is counted by reason, with examples; usage that is
kept (priced by another card than the one that is replaced) costs under every candidate what it was charged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rating_service.domain.refusals import Refusal
from rating_service.domain.simulation.amounts import net_amount
from rating_service.domain.simulation.candidate import Candidate, CandidatePricer, CycleMemo, Price
from rating_service.domain.simulation.cells import Cell, Dimensions, KindKey, TimeKey
from rating_service.domain.simulation.facts import SimulatedUsage, UnrateableKey
from rating_service.domain.simulation.roll_up import RollUp
from rating_service.domain.simulation.tiers import TierSums

EXAMPLES_MAX: Final = 5
"""Usages that are named of each kind that a candidate cannot price."""
MODEL_PROPERTY: Final = "model"


class Unrateable:
    """Usages of one kind that a candidate cannot price."""

    __slots__ = ("count", "examples", "message", "now")

    def __init__(self, message: str) -> None:
        """Begin with none; `message` is what the first one was told."""
        self.message = message
        self.count = self.now = 0
        self.examples: list[str] = []


class Simulation:
    """A simulation under way. `add` every usage, then read what it adds up to."""

    def __init__(self, candidates: Sequence[Candidate], *, kept_unless: str = "") -> None:
        """Price by candidates; `kept_unless` names a card: usage that another card priced is kept.

        Raises ValueError if a candidate's price cannot be computed exactly.
        """
        self.cycles = CycleMemo()
        self.pricers = [CandidatePricer(each, self.cycles) for each in candidates]
        self.has_totals = any(pricer.has_totals for pricer in self.pricers)
        self.dimensions = Dimensions(len(candidates))
        self.tiers = [TierSums() for _ in candidates]
        self.unrateable: list[dict[UnrateableKey, Unrateable]] = [{} for _ in candidates]
        self.reversed_count = 0
        self.cost_currency = next(filter(None, _cost_currencies(candidates)), "")
        self._kept_unless = f"{kept_unless}/phases/" if kept_unless else ""
        self._times: dict[TimeKey, Cell] = {}
        self._kinds: dict[KindKey, Cell] = {}

    def add(self, fact: SimulatedUsage) -> None:
        """Price a usage and add it up."""
        prices = self._prices(fact)
        if not fact.counts:
            return
        for tiers, price in zip(self.tiers, prices, strict=True):
            if price is not None and price.charge is not None:
                tiers.add(price.charge)
        if fact.left_units != fact.debited_units:
            if fact.is_reversed:
                self.reversed_count += 1
                return
            prices = [None if price is None else _net_price(fact, price) for price in prices]
            now = _net_price(fact, fact.charged)
        else:
            now = fact.charged
        cells = self._cells(fact)
        self._add_now(cells, fact, now)
        for place, price in enumerate(prices):
            if price is None:
                self._add_unrateable(cells, place, now)
            else:
                self._add_side(cells, place, price, now)

    def rolled_up(self) -> RollUp:
        """Return all that was added so far."""
        return RollUp(len(self.pricers), self._times, self._kinds)

    def _prices(self, fact: SimulatedUsage) -> list[Price | None]:
        """Return what a usage costs under each candidate, None where it cannot be priced."""
        if self._kept_unless and not fact.rate_card_phase.startswith(self._kept_unless):
            return [fact.charged] * len(self.pricers)
        prices: list[Price | None] = []
        for place, pricer in enumerate(self.pricers):
            try:
                prices.append(pricer.price(fact.contract, fact.usage))
            except Refusal as refusal:
                prices.append(None)
                if fact.counts and not fact.is_reversed:
                    self._note(place, fact, refusal)
        return prices

    def _note(self, place: int, fact: SimulatedUsage, refusal: Refusal) -> None:
        about = refusal.metadata
        key = UnrateableKey(refusal.reason.value, about.get("dimension", ""), about.get("property", ""))
        noted = self.unrateable[place].setdefault(key, Unrateable(refusal.message))
        noted.count += 1
        noted.now += sum(amount for _, amount in _net_price(fact, fact.charged).amounts)
        if len(noted.examples) < EXAMPLES_MAX:
            noted.examples.append(fact.name)

    def _cells(self, fact: SimulatedUsage) -> tuple[Cell, Cell]:
        """Return the two cells that a usage belongs to."""
        usage, contract = fact.usage, fact.contract
        instant = usage.effective_time
        month = instant.year * 12 + instant.month - 1
        time = TimeKey(contract.name, self.cycles.place(contract, instant), month)
        by_time = self._times.get(time)
        if by_time is None:
            by_time = self._times[time] = Cell(len(self.pricers))
        kind = KindKey(usage.properties.get(MODEL_PROPERTY, ""), usage.feature)
        by_kind = self._kinds.get(kind)
        if by_kind is None:
            by_kind = self._kinds[kind] = Cell(len(self.pricers))
        return by_time, by_kind

    def _add_now(self, cells: tuple[Cell, Cell], fact: SimulatedUsage, price: Price) -> None:
        """Add a usage and what it was charged."""
        now = 0
        quantities, dimensions = fact.usage.quantities, self.dimensions
        for name, amount in price.amounts:
            now += amount
            dimensions[name].now += amount
        for name, quantity in quantities.items():
            dimension = dimensions[name]
            dimension.usages += 1
            dimension.quantity += quantity
        cost = price.cost if self._cost_counts(price) else None
        for cell in cells:
            cell.usages += 1
            cell.now += now
            if cost is not None:
                cell.cost_now += cost
                cell.costed_now += now
                cell.costed_count += 1

    def _add_side(self, cells: tuple[Cell, Cell], place: int, price: Price, charged: Price) -> None:
        """Add what a usage costs under one candidate."""
        total = 0
        dimensions = self.dimensions
        for name, amount in price.amounts:
            total += amount
            dimensions[name].simulated[place] += amount
        costs = charged if price.cost is None else price
        cost = costs.cost if self._cost_counts(costs) else None
        for cell in cells:
            side = cell.sides[place]
            side.amount += total
            if cost is not None:
                side.cost += cost
                side.costed += total
                side.costed_count += 1

    def _add_unrateable(self, cells: tuple[Cell, Cell], place: int, charged: Price) -> None:
        """Add a usage that a candidate cannot price."""
        now = sum(amount for _, amount in charged.amounts)
        for cell in cells:
            cell.sides[place].unrateable += 1
            cell.sides[place].unrateable_now += now
        for name, amount in charged.amounts:
            dimension = self.dimensions[name]
            dimension.unrateable[place] += 1
            dimension.unrateable_now[place] += amount

    def _cost_counts(self, price: Price) -> bool:
        """Say whether a cost is added up: in the candidates' currency, or else the first one seen."""
        if price.cost is None:
            return False
        if not self.cost_currency:
            self.cost_currency = price.cost_currency
        return price.cost_currency == self.cost_currency


def _cost_currencies(candidates: Sequence[Candidate]) -> Iterator[str]:
    for candidate in candidates:
        for card in candidate.cards:
            for phase in card.phases:
                yield phase.cost_currency


def _net_price(fact: SimulatedUsage, price: Price) -> Price:
    """Return what is left of a price after what was taken back."""
    left, debited = fact.left_units, fact.debited_units
    if left == debited:
        return price
    return Price(
        [
            (name, net_amount(amount, left_units=left, debited_units=debited))
            for name, amount in price.amounts
        ],
        None if price.cost is None else net_amount(price.cost, left_units=left, debited_units=debited),
        price.cost_currency,
        None,
    )
