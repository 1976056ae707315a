"""The fold: one usage after the other is priced under every candidate and added up.

Usage comes in the order of the log. What a candidate cannot price is counted by reason, with examples; usage that is
kept (priced by another card than the one that is replaced) costs under every candidate what it was charged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rating_service.domain.refusals import Refusal
from rating_service.domain.simulation.amounts import net_amount, read_amount
from rating_service.domain.simulation.candidate import Candidate, CandidatePricer, CycleMemo
from rating_service.domain.simulation.cells import Cell, CellKey, DimensionCell, Side
from rating_service.domain.simulation.facts import RecordedCharge, RecordedLine, SimulatedUsage, UnrateableKey
from rating_service.domain.simulation.roll_up import RollUp
from rating_service.domain.simulation.tiers import TierSums
from rating_service.domain.usage import Charge, ChargeLine

EXAMPLES_MAX: Final = 5
"""Usages that are named of each kind that a candidate cannot price."""
CELLS_MAX: Final = 100_000
"""Cells that are kept before they are rolled up; about 1 KB each."""
MODEL_PROPERTY: Final = "model"

AnyCharge = RecordedCharge | Charge
AnyLine = RecordedLine | ChargeLine


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
        self.dimensions: dict[str, DimensionCell] = {}
        self.tiers = [TierSums() for _ in candidates]
        self.unrateable: list[dict[UnrateableKey, Unrateable]] = [{} for _ in candidates]
        self.usage_count = self.reversed_count = 0
        self.cost_currency = next(filter(None, _cost_currencies(candidates)), "")
        self._kept_unless = f"{kept_unless}/phases/" if kept_unless else ""
        self._cells: dict[CellKey, Cell] = {}
        self._roll_up = RollUp(len(candidates))

    def add(self, fact: SimulatedUsage) -> None:
        """Price a usage and add it up."""
        self.usage_count += 1
        charges = self._charges(fact)
        if not fact.counts:
            return
        for tiers, charge in zip(self.tiers, charges, strict=True):
            if isinstance(charge, Charge):
                tiers.add(charge)
        if fact.is_reversed:
            self.reversed_count += 1
            return
        cell = self._cell(fact)
        amounts_now = _line_amounts(fact, fact.charge)
        self._add_now(cell, fact, amounts_now)
        for place, charge in enumerate(charges):
            if charge is None:
                cell.sides[place].unrateable += 1
            else:
                self._add_side(cell.sides[place], place, fact, charge, amounts_now)

    def rolled_up(self) -> RollUp:
        """Return all that was added so far."""
        self._roll_up.take(self._cells)
        self._cells = {}
        return self._roll_up

    def _charges(self, fact: SimulatedUsage) -> list[AnyCharge | None]:
        """Return the charge under each candidate, None where there is none."""
        if self._kept_unless and not fact.charge.rate_card_phase.startswith(self._kept_unless):
            return [fact.charge] * len(self.pricers)
        charges: list[AnyCharge | None] = []
        for place, pricer in enumerate(self.pricers):
            try:
                charges.append(pricer.price(fact.contract, fact.usage))
            except Refusal as refusal:
                charges.append(None)
                if fact.counts and not fact.is_reversed:
                    self._note(place, fact, refusal)
        return charges

    def _note(self, place: int, fact: SimulatedUsage, refusal: Refusal) -> None:
        about = refusal.metadata
        key = UnrateableKey(refusal.reason.value, about.get("dimension", ""), about.get("property", ""))
        noted = self.unrateable[place].setdefault(key, Unrateable(refusal.message))
        noted.count += 1
        noted.now += sum(_line_amounts(fact, fact.charge))
        if len(noted.examples) < EXAMPLES_MAX:
            noted.examples.append(fact.name)

    def _cell(self, fact: SimulatedUsage) -> Cell:
        usage, contract = fact.usage, fact.contract
        instant = usage.effective_time
        key = CellKey(
            contract.name,
            self.cycles.place(contract, instant),
            instant.year * 12 + instant.month - 1,
            usage.properties.get(MODEL_PROPERTY, ""),
            usage.feature,
        )
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= CELLS_MAX:
                self.rolled_up()
            cell = self._cells[key] = Cell(len(self.pricers))
        return cell

    def _add_now(self, cell: Cell, fact: SimulatedUsage, amounts: list[int]) -> None:
        """Add what a usage was charged."""
        charge = fact.charge
        lines: Sequence[AnyLine] = charge.lines
        for line, amount in zip(lines, amounts, strict=True):
            dimension = self._dimension(line.dimension)
            dimension.now += amount
            dimension.usages += 1
            dimension.quantity += line.quantity
        now = sum(amounts)
        cell.usages += 1
        cell.now += now
        if charge.provider_cost and self._costs_count(charge.cost_currency):
            cell.cost_now += _net(fact, read_amount(charge.provider_cost))
            cell.costed_now += now
            cell.costed_count += 1

    def _add_side(
        self, side: Side, place: int, fact: SimulatedUsage, charge: AnyCharge, amounts_now: list[int]
    ) -> None:
        """Add what a usage costs under one candidate."""
        amounts = _line_amounts(fact, charge)
        lines: Sequence[AnyLine] = charge.lines
        for line, amount in zip(lines, amounts, strict=True):
            dimension = self._dimension(line.dimension)
            dimension.simulated[place] += amount
            dimension.priced[place] += 1
        charged: Sequence[AnyLine] = fact.charge.lines
        for line, amount_now in zip(charged, amounts_now, strict=True):
            self.dimensions[line.dimension].compared_now[place] += amount_now
        amount = sum(amounts)
        side.priced += 1
        side.amount += amount
        side.compared_now += sum(amounts_now)
        costs = charge if charge.provider_cost else fact.charge
        if costs.provider_cost and self._costs_count(costs.cost_currency):
            side.cost += _net(fact, read_amount(costs.provider_cost))
            side.costed += amount
            side.costed_count += 1

    def _dimension(self, name: str) -> DimensionCell:
        cell = self.dimensions.get(name)
        if cell is None:
            cell = self.dimensions[name] = DimensionCell(len(self.pricers))
        return cell

    def _costs_count(self, currency: str) -> bool:
        """Say whether costs of a currency are added up: the candidates', or else the first one seen."""
        if not self.cost_currency:
            self.cost_currency = currency
        return currency == self.cost_currency


def _cost_currencies(candidates: Sequence[Candidate]) -> Iterator[str]:
    for candidate in candidates:
        for card in candidate.cards:
            for phase in card.phases:
                yield phase.cost_currency


def _line_amounts(fact: SimulatedUsage, charge: AnyCharge) -> list[int]:
    amounts = [read_amount(line.exact_units) for line in charge.lines]
    return amounts if fact.left_units == fact.debited_units else [_net(fact, each) for each in amounts]


def _net(fact: SimulatedUsage, amount: int) -> int:
    if fact.left_units == fact.debited_units:
        return amount
    return net_amount(amount, left_units=fact.left_units, debited_units=fact.debited_units)
