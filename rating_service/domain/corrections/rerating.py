"""Re-rating: what the usage of a cycle costs once a phase is in force that was proposed for the past.

The usage of one card in one cycle of a contract is priced again in the order in which it was recorded, from the
cycle's first, on running totals of its own. Each usage keeps the phase that its charge names, unless a phase for the
past covers its time: then that one prices it. So with the same rates everything costs what it did, and where the
phase counts other usage than was counted, what comes after it in the cycle follows.

A usage that was taken back whole (but for what adjustments took back) counts in the totals and costs nothing. One
that the phase cannot price stays as it was charged, and is told. A provider's cost is a fact of its time and is not
looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Contract, RateCard, RateCardPhase
from rating_service.domain.agreements.catalogue import card_phase_at
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.debits import DebitFact
from rating_service.domain.exact import parse_exact
from rating_service.domain.price_models.running_total import NOTHING, RunningTotal, meter_root
from rating_service.domain.prices.cycle_totals import CountedTotals, MeterKey, count
from rating_service.domain.prices.pricing import Pricer, compile_phase, price
from rating_service.domain.prices.rating import is_metered
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Charge, ChargeTerms, MeterMoved, Usage

EXAMPLES_MAX: Final = 10
"""Usages of a cycle that are told one by one if they cannot be priced."""


class CycleUsage(msgspec.Struct, frozen=True):
    """The recorded usage of one card in one cycle. `debits` are read once, in the order of the log.

    `adjustments` are the card's own of the cycle, in the same order; `reversed_units` are by version of the debit.
    """

    contract: Contract
    cycle: CycleBounds
    debits: Iterable[DebitFact]
    adjustments: Sequence[DebitFact] = ()
    reversed_units: Mapping[int, int] = msgspec.field(default_factory=dict)


class Unrateable(msgspec.Struct, frozen=True):
    """A usage that cannot be priced, and why."""

    debit: DebitFact
    refusal: Refusal


class Share(msgspec.Struct, frozen=True):
    """A debit that costs less: by how much, exactly, and how many units are left to be taken back of it."""

    debit_version: int
    surplus: Fraction
    left_units: int


class DimensionSum(msgspec.Struct):
    """What one dimension was charged and what it costs."""

    charged: Fraction = Fraction(0)
    rated: Fraction = Fraction(0)


class CycleRerating(msgspec.Struct):
    """A cycle's usage as it was charged and as it is rated; all figures are exact units.

    `shares` are the debits that cost less, in the order of the log.
    """

    contract: Contract
    cycle: CycleBounds
    usage_count: int = 0
    differing_count: int = 0
    charged: Fraction = Fraction(0)
    adjusted: Fraction = Fraction(0)
    rated: Fraction = Fraction(0)
    dimensions: dict[str, DimensionSum] = msgspec.field(default_factory=dict)
    meters: tuple[MeterMoved, ...] = ()
    shares: list[Share] = msgspec.field(default_factory=list)
    unrateable_count: int = 0
    unrateable: list[Unrateable] = msgspec.field(default_factory=list)

    @property
    def difference(self) -> Fraction:
        """What is still to be charged, or below 0 to be given back."""
        return self.rated - self.charged - self.adjusted

    @property
    def differs(self) -> bool:
        """Whether anything is to be put right."""
        return bool(self.difference or self.meters)


class CardPrices:
    """The phases of a card, ready for pricing again. Not for two threads at once."""

    def __init__(self, card: RateCard) -> None:
        """Price by a card; its phases are those in force once its proposal is accepted."""
        self._card = card
        self._phases = {phase.name: phase for phase in card.phases}
        self._pricers: dict[str, Pricer] = {}

    def phase_for(self, debit: DebitFact, charge: Charge) -> RateCardPhase | None:
        """Return the phase that prices a usage: one for the past that covers its time, else the one named."""
        in_force = card_phase_at(self._card, debit.effective_time)
        return in_force if in_force.retroactive else self._phases.get(charge.rate_card_phase)

    def pricer(self, phase: RateCardPhase) -> Pricer:
        """Return the pricer of a phase of the card."""
        found = self._pricers.get(phase.name)
        if found is None:
            root = meter_root(self._card.name, self._card.phases, phase)
            scale = self._card.asset.scale
            found = self._pricers[phase.name] = compile_phase(phase, scale=scale, meter_root=root)
        return found


def rerate_cycle(prices: CardPrices, usage: CycleUsage, *, keeps_meters: bool) -> CycleRerating:
    """Return a cycle's usage priced again. Without `keeps_meters` the wallet has forgotten its totals: none moves."""
    return _Replay(prices, usage).run(keeps_meters=keeps_meters)


class _Replay:
    """One pass over a cycle: `counted` are the totals that the wallet has, `totals` those of the replay."""

    def __init__(self, prices: CardPrices, usage: CycleUsage) -> None:
        self._prices = prices
        self._usage = usage
        self._found = CycleRerating(usage.contract, usage.cycle)
        self._counted: dict[MeterKey, RunningTotal] = {}
        self._totals: dict[MeterKey, RunningTotal] = {}
        self._taken_back: dict[int, int] = {}
        self._adjustments = list(usage.adjustments)

    def run(self, *, keeps_meters: bool) -> CycleRerating:
        """Return what was found."""
        found = self._found
        for debit in self._adjustments:
            self._adjust(debit)
        for debit in self._usage.debits:
            if debit.charge is not None and debit.charge.adjustment is None:
                self._move_up_to(debit.position)
                self._rerate(debit, debit.charge)
        self._move_up_to(None)
        if keeps_meters:
            found.meters = tuple(self._moves())
        return found

    def _adjust(self, debit: DebitFact) -> None:
        charge = debit.charge
        assert charge is not None, "an adjustment is a debit with a charge"
        assert charge.adjustment is not None, "an adjustment says what it adjusts"
        self._found.adjusted += parse_exact(charge.exact_units)
        for part in charge.adjustment.taken_back:
            self._found.adjusted -= part.amount_units
            before = self._taken_back.get(part.debit_version, 0)
            self._taken_back[part.debit_version] = before + part.amount_units
        left_units = debit.amount_units - self._usage.reversed_units.get(debit.version, 0)
        if left_units > 0:
            # What an earlier adjustment charged is the first that a later one takes back.
            self._found.shares.append(Share(debit.version, Fraction(left_units), left_units))

    def _move_up_to(self, position: int | None) -> None:
        """Count what adjustments before a position moved."""
        while self._adjustments and (position is None or self._adjustments[0].position < position):
            charge = self._adjustments.pop(0).charge
            assert charge is not None, "an adjustment is a debit with a charge"
            assert charge.adjustment is not None, "an adjustment says what it adjusts"
            for move in charge.adjustment.meters:
                key = MeterKey(charge.contract, charge.adjustment.cycle_start_time, move.meter)
                self._counted[key] = RunningTotal(move.quantity, move.usages)

    def _rerate(self, debit: DebitFact, charge: Charge) -> None:
        found = self._found
        found.usage_count += 1
        if _names_cycles(charge):
            count(self._counted, charge)
        again = self._price(debit, charge)
        if _names_cycles(again):
            count(self._totals, again)
        taken_back = self._taken_back.get(debit.version, 0)
        reversed_units = self._usage.reversed_units.get(debit.version, 0)
        if debit.amount_units and reversed_units - taken_back >= debit.amount_units:
            return
        charged, rated = parse_exact(charge.exact_units), parse_exact(again.exact_units)
        self._sum(charge, charged, again, rated)
        surplus = charged - rated - taken_back
        left_units = debit.amount_units - reversed_units
        if surplus > 0 and left_units > 0:
            found.shares.append(Share(debit.version, surplus, left_units))

    def _price(self, debit: DebitFact, charge: Charge) -> Charge:
        phase = self._prices.phase_for(debit, charge)
        if phase is None or not _names_cycles(charge):
            # A caller's own reckoning, or one of before totals were counted: it is what it is.
            return charge
        is_same = phase.name == charge.rate_card_phase
        if is_same and not is_metered(charge):
            return charge
        pricer = self._prices.pricer(phase)
        usage = charge_usage(debit, charge, pricer)
        totals = CountedTotals(
            self._usage.contract, debit.effective_time, self._totals, lambda *_: self._usage.cycle
        )
        terms = ChargeTerms(charge.contract, charge.contract_phase, charge.overage_price)
        try:
            return price(pricer, usage, terms, totals)
        except Refusal as refusal:
            self._found.unrateable_count += 1
            if len(self._found.unrateable) < EXAMPLES_MAX:
                self._found.unrateable.append(Unrateable(debit, refusal))
            return charge

    def _sum(self, charge: Charge, charged: Fraction, again: Charge, rated: Fraction) -> None:
        found = self._found
        found.charged += charged
        found.rated += rated
        found.differing_count += charged != rated
        for line in charge.lines:
            found.dimensions.setdefault(line.dimension, DimensionSum()).charged += parse_exact(
                line.exact_units
            )
        for line in again.lines:
            found.dimensions.setdefault(line.dimension, DimensionSum()).rated += parse_exact(line.exact_units)

    def _moves(self) -> Iterable[MeterMoved]:
        for key in sorted(self._counted.keys() | self._totals.keys()):
            before, after = self._counted.get(key, NOTHING), self._totals.get(key, NOTHING)
            if before != after:
                yield MeterMoved(key.meter, before.quantity, before.usages, after.quantity, after.usages)


def charge_usage(debit: DebitFact, charge: Charge, pricer: Pricer) -> Usage:
    """Return the usage behind a charge, for pricing by another phase.

    What the phase derives itself, by brackets, is left out. Quantities that had no line, because they only decided
    a tier, stand among the properties; they are quantities again where the phase has a rate for them.
    """
    derived = {bands.bracket.property for bands in pricer.brackets}
    quantities = {line.dimension: line.quantity for line in charge.lines}
    properties: dict[str, str] = {}
    for name, value in charge.properties.items():
        if name in derived:
            continue
        if name in pricer.rates and name not in quantities and value.isascii() and value.isdigit():
            quantities[name] = int(value)
        else:
            properties[name] = value
    return Usage(debit.effective_time, quantities, properties, debit.usage, charge.contract, debit.feature)


def _names_cycles(charge: Charge) -> bool:
    return all(
        line.total_before is None or line.total_before.cycle_start_time is not None for line in charge.lines
    )
