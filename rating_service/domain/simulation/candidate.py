"""A candidate: the prices that usage is priced by, and running totals of its own.

The first phase of a candidate holds before its own beginning as well: a price of the future is laid over the past.
Usage is priced in the order in which the ledger recorded it, because that is the order in which the wallet counts
totals; late usage goes on from the total of its own cycle. So the phases in force give every recorded charge again,
tier by tier.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from typing import NamedTuple

from rating_service.domain.agreements.agreement import Asset, Contract, Cycle, PlanPhase, RateCard, Record
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.price_models.running_total import RunningTotal, counts_over_cycle, meter_root
from rating_service.domain.prices.cycle_totals import CountedTotals, MeterKey, count
from rating_service.domain.prices.phase_cards import card_for
from rating_service.domain.prices.pricing import LinearAmounts, Pricer, compile_phase, linear_amounts, price
from rating_service.domain.simulation.amounts import EXACT_DECIMALS, POWERS, TooExactError, read_amount
from rating_service.domain.usage import Charge, ChargeTerms, Usage


class Candidate(Record, frozen=True):
    """Prices, and a plan's terms if it has any; without them each contract keeps its own.

    The first card prices usage, unless the terms name further ones: these are among `cards` too, by their names.
    """

    label: str
    asset: Asset
    cards: tuple[RateCard, ...]
    terms: PlanPhase | None = None


class Price(NamedTuple):
    """What a usage costs under a candidate, as integers of 10^-40: by line, and at the provider if that is known.

    The charge is there where tiers may be looked at.
    """

    amounts: list[tuple[str, int]]
    cost: int | None
    cost_currency: str
    charge: Charge | None


def price_of(charge: Charge) -> Price:
    """Return a charge as amounts."""
    return Price(
        [(line.dimension, read_amount(line.exact_units)) for line in charge.lines],
        read_amount(charge.provider_cost) if charge.provider_cost else None,
        charge.cost_currency,
        charge,
    )


class CycleMemo:
    """The cycle of a contract that holds an instant; the last one found is tried first.

    `places` holds every cycle that was asked for; where one stands there stands for it in keys.
    """

    __slots__ = ("_last", "_place_of", "_shared", "places")

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.places: list[CycleBounds] = []
        self._place_of: dict[CycleBounds, int] = {}
        self._last: dict[str, tuple[CycleBounds, int]] = {}
        # Contracts that are cut alike share what the calendar said last.
        self._shared: dict[Cycle, tuple[CycleBounds, int]] = {}

    def __call__(self, contract: Contract, instant: datetime) -> CycleBounds:
        """Return the cycle."""
        return self._find(contract, instant)[0]

    def place(self, contract: Contract, instant: datetime) -> int:
        """Return where the cycle stands in `places`."""
        return self._find(contract, instant)[1]

    def _find(self, contract: Contract, instant: datetime) -> tuple[CycleBounds, int]:
        last = self._last.get(contract.name)
        if last is not None and last[0].start_time <= instant < last[0].end_time:
            return last
        shared = self._shared.get(contract.cycle)
        if shared is None or not shared[0].start_time <= instant < shared[0].end_time:
            cycle = cycle_at(contract.cycle, instant)
            place = self._place_of.setdefault(cycle, len(self.places))
            if place == len(self.places):
                self.places.append(cycle)
            shared = self._shared[contract.cycle] = cycle, place
        self._last[contract.name] = shared
        return shared


class CardPricer:
    """One card of a candidate, compiled."""

    def __init__(self, card: RateCard) -> None:
        """Compile the phases. Raises ValueError if a price cannot be computed exactly."""
        self.has_totals = any(counts_over_cycle(rate) for phase in card.phases for rate in phase.rates)
        self._begins = [phase.from_time for phase in card.phases]
        self._pricers = [
            compile_phase(phase, scale=card.asset.scale, meter_root=meter_root(card.name, card.phases, phase))
            for phase in card.phases
        ]

    def at(self, instant: datetime) -> Pricer:
        """Return the phase that holds at an instant; the first one holds before it begins, too."""
        if len(self._pricers) == 1:
            return self._pricers[0]
        return self._pricers[max(bisect_right(self._begins, instant) - 1, 0)]


class CandidatePricer:
    """Prices usage by a candidate and counts its totals. One simulation has one of each candidate."""

    def __init__(self, candidate: Candidate, cycle_of: CycleMemo) -> None:
        """Compile the cards. Raises ValueError if a price cannot be computed exactly."""
        self._cards = {card.name: CardPricer(card) for card in candidate.cards}
        self._first = self._cards[candidate.cards[0].name]
        self.has_totals = any(card.has_totals for card in self._cards.values())
        """Whether any price depends on running totals."""
        has_further = len(candidate.cards) > 1
        self._choosing = candidate.terms if has_further else None
        self._cycle_of = cycle_of
        self._counts: dict[MeterKey, RunningTotal] = {}
        self._terms: dict[str, ChargeTerms] = {}

    def price(self, contract: Contract, usage: Usage) -> Price:
        """Return what a usage costs after all that were priced before it. Refuses what `pricing` refuses.

        Usage that is refused counts in no total.
        """
        card = self._first if self._choosing is None else self._cards[card_for(self._choosing, usage)]
        pricer = card.at(usage.effective_time)
        terms = self._terms.get(contract.name)
        if terms is None:
            terms = self._terms[contract.name] = ChargeTerms(contract.name)
        if not card.has_totals:
            linear = linear_amounts(pricer, usage)
            if linear is None:
                return price_of(price(pricer, usage, terms))
            return _linear_price(linear, pricer.phase.cost_currency)
        totals = CountedTotals(contract, usage.effective_time, self._counts, self._cycle_of)
        charge = price(pricer, usage, terms, totals)
        count(self._counts, charge)
        return price_of(charge)


def _linear_price(linear: LinearAmounts, cost_currency: str) -> Price:
    if linear.decimals > EXACT_DECIMALS or linear.cost_decimals > EXACT_DECIMALS:
        raise TooExactError(str(linear.decimals))
    power = POWERS[linear.decimals]
    cost = linear.cost
    return Price(
        [(dimension, amount * power) for dimension, amount in linear.amounts],
        None if cost is None else cost * POWERS[linear.cost_decimals],
        cost_currency,
        None,
    )
