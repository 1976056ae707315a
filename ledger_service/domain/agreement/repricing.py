"""Pricing a recorded charge again, from the phase that it names.

The ledger does not price usage: rating does, and the ledger records what it was told. So that nobody need trust
that, an audit prices each charge again from the recorded phase alone: the same quantities, properties and running
totals must give the same lines. This is a second implementation on purpose; it shares no code with rating, and a
law holds both against each other.

Whether the running totals of a cycle follow from each other is no question of one charge and not asked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import DecimalException
from fractions import Fraction
from math import prod
from typing import Final

import msgspec

from ledger_service.domain.agreement.rate_matches import specificity
from ledger_service.domain.agreement.repricing_match import (
    NotPriceableError,
    check_brackets,
    factor_text,
    fits,
)
from ledger_service.domain.agreement.repricing_terms import counts_over_cycle, linear_price, terms_of
from ledger_service.domain.events import (
    Charge,
    ChargeLine,
    ChargePart,
    Rate,
    RateCardPhasePublished,
    RunningTotal,
)
from ledger_service.domain.events.price_models import MultiplierModel
from ledger_service.domain.exact import fraction_text
from ledger_service.domain.values import Counters

FOUND_MAX: Final = 4_096
"""Most rates that are remembered for a kind of usage; what is forgotten is found again."""
NO_TOTAL: Final = RunningTotal("")


class Repriced(msgspec.Struct, frozen=True):
    """What a charge must say."""

    lines: tuple[ChargeLine, ...]
    exact_units: str
    provider_cost: str
    cost_currency: str


class _Found(msgspec.Struct, frozen=True):
    """The rate for one dimension of one kind of usage. `of_one` is set where the price is a plain product."""

    rate: Rate
    factor: Fraction
    of_one: Fraction | None
    unit_price: str
    multiplier: str
    cost_of_one: Fraction | None


class PhasePrices(msgspec.Struct, frozen=True):
    """A phase made ready: its rates by dimension, the most specific first."""

    phase: RateCardPhasePublished
    scale: int
    meter_root: str
    rates: dict[str, list[Rate]]
    found: dict[tuple[object, ...], _Found]


def prepare(phase: RateCardPhasePublished, *, scale: int, meter_root: str) -> PhasePrices:
    """Return a phase made ready. `meter_root` is where its counters began: the card, or a phase that restarted them."""
    rates: dict[str, list[Rate]] = {}
    for rate in phase.rates:
        rates.setdefault(rate.dimension, []).append(rate)
    for group in rates.values():
        group.sort(key=lambda rate: specificity(rate.match), reverse=True)
    return PhasePrices(phase, scale, meter_root, rates, {})


def reprice(prices: PhasePrices, charge: Charge) -> Repriced:
    """Price a charge's quantities again, with its properties and after its totals. Raises NotPriceableError."""
    quantities = {line.dimension: line.quantity for line in charge.lines}
    totals = {line.dimension: line.total_before for line in charge.lines}
    check_brackets(prices.phase.brackets, quantities, charge.properties)
    factors = [
        factor_text(multiplier, quantities, charge.properties) for multiplier in prices.phase.multipliers
    ]
    total, cost, costs_known = Fraction(0), Fraction(0), bool(quantities)
    lines: list[ChargeLine] = []
    try:
        for dimension in (name for name in prices.rates if name in quantities):
            found = _find(prices, dimension, charge.properties, factors)
            quantity = quantities[dimension]
            line, amount = _line(prices, found, quantity, charge.properties, totals[dimension])
            lines.append(line)
            total += amount
            costs_known = costs_known and found.cost_of_one is not None
            cost += quantity * (found.cost_of_one or 0)
        for dimension in quantities:
            if dimension not in prices.rates:
                raise NotPriceableError(f"the phase has no rate of {dimension}")
        known = fraction_text(cost) if costs_known else ""
        return Repriced(
            tuple(lines), fraction_text(total), known, prices.phase.cost_currency if known else ""
        )
    except (DecimalException, ValueError, ZeroDivisionError) as error:
        raise NotPriceableError(
            "the phase holds a price that is no decimal, or amounts without end"
        ) from error


def meter_root(card: str, phases: Sequence[RateCardPhasePublished], phase: RateCardPhasePublished) -> str:
    """Return where a phase's counters began: the card, or the last phase that restarted them."""
    restarted = [
        each.phase
        for each in phases
        if each.counters is Counters.RESTART and each.from_time <= phase.from_time
    ]
    return f"{card}/phases/{restarted[-1]}" if restarted else card


def meter_of(rate: Rate, root: str) -> str:
    """Return the name of what a rate counts together."""
    match = ",".join(f"{name}={pattern}" for name, pattern in sorted(rate.match.items()))
    return f"{root}:{rate.dimension}{{{match}}}"


def _line(
    prices: PhasePrices,
    found: _Found,
    quantity: int,
    properties: Mapping[str, str],
    total: RunningTotal | None,
) -> tuple[ChargeLine, Fraction]:
    rate = found.rate
    cost = "" if found.cost_of_one is None else fraction_text(quantity * found.cost_of_one)
    if found.of_one is not None:
        amount = quantity * found.of_one
        product = ChargeLine(
            rate.dimension,
            quantity,
            found.unit_price,
            fraction_text(amount),
            rate.unit_size,
            found.multiplier,
            _model_name(rate),
            provider_cost=cost,
        )
        return product, amount
    parts, before = _parts(prices, found, quantity, properties, total)
    amount = sum((Fraction(part.exact_units) for part in parts), Fraction(0))
    line = ChargeLine(
        rate.dimension,
        quantity,
        "",
        fraction_text(amount),
        rate.unit_size,
        found.multiplier,
        _model_name(rate),
        parts,
        before,
        cost,
    )
    return line, amount


def _parts(
    prices: PhasePrices,
    found: _Found,
    quantity: int,
    properties: Mapping[str, str],
    total: RunningTotal | None,
) -> tuple[tuple[ChargePart, ...], RunningTotal | None]:
    """Return the parts of a line that is no plain product, and the running total that it must name."""
    rate = found.rate
    missing = [name for name in rate.charge_if if name not in properties]
    if missing:
        raise NotPriceableError(
            f"{rate.dimension} is charged by {missing[0]}, which the charge does not tell"
        )
    if not all(fits(pattern, properties[name]) for name, pattern in rate.charge_if.items()):
        return (ChargePart("FREE", "0", quantity=quantity),), None
    before = None
    if counts_over_cycle(rate):
        if total is None:
            raise NotPriceableError(f"the line of {rate.dimension} does not say its total before")
        # Which cycle it was counted in is the wallet's to say; here only the meter can be wrong.
        before = msgspec.structs.replace(total, meter=meter_of(rate, prices.meter_root))
    terms = terms_of(
        rate, quantity=quantity, before=before or NO_TOTAL, factor=found.factor, scale=prices.scale
    )
    parts = [
        ChargePart(term.kind, fraction_text(term.amount), term.tier, term.quantity, term.price)
        for term in terms
    ]
    return tuple(parts), before


def _find(
    prices: PhasePrices, dimension: str, properties: Mapping[str, str], factors: list[tuple[str, ...]]
) -> _Found:
    """Return the most specific rate of a dimension that matches. Raises NotPriceableError."""
    candidates = prices.rates[dimension]
    values = [properties.get(name) for rate in candidates for name in rate.match]
    key = (dimension, *values, *factors)
    known = prices.found.get(key)
    if known is not None:
        return known
    for rate in candidates:
        if all(
            name in properties and fits(pattern, properties[name]) for name, pattern in rate.match.items()
        ):
            if len(prices.found) >= FOUND_MAX:
                prices.found.clear()
            found = prices.found[key] = _made_ready(prices, rate, factors)
            return found
    raise NotPriceableError(f"no rate of {dimension} matches the charge's properties")


def _made_ready(prices: PhasePrices, rate: Rate, factors: list[tuple[str, ...]]) -> _Found:
    pairs = zip(prices.phase.multipliers, factors, strict=True)
    scaling = [
        text
        for multiplier, text in pairs
        if not multiplier.dimensions or rate.dimension in multiplier.dimensions
    ]
    factor = prod((Fraction(text) for texts in scaling for text in texts), start=Fraction(1))
    plain = (rate.price_model is None or isinstance(rate.price_model, MultiplierModel)) and not (
        rate.usage_minimum
        or rate.usage_maximum
        or rate.cycle_minimum
        or rate.cycle_maximum
        or rate.free_units
        or rate.charge_if
    )
    price = Fraction(linear_price(rate)) if plain else Fraction(0)
    return _Found(
        rate,
        factor,
        price * factor * 10**prices.scale / rate.unit_size if plain else None,
        fraction_text(price) if plain else "",
        fraction_text(factor),
        Fraction(rate.provider_cost) / rate.unit_size if rate.provider_cost else None,
    )


def _model_name(rate: Rate) -> str:
    return "unit" if rate.price_model is None else str(rate.price_model.__struct_config__.tag).lower()


class Applied(msgspec.Struct, frozen=True):
    """A multiplier that scales a line."""

    property: str
    factor: str


class Explained(msgspec.Struct, frozen=True):
    """The rate that priced a line, and what scaled it."""

    rate: Rate
    multipliers: tuple[Applied, ...]


def explain(prices: PhasePrices, charge: Charge) -> dict[str, Explained]:
    """Return by dimension what priced each line of a charge. Raises NotPriceableError."""
    quantities = {line.dimension: line.quantity for line in charge.lines}
    factors = [
        factor_text(multiplier, quantities, charge.properties) for multiplier in prices.phase.multipliers
    ]
    return {
        dimension: Explained(
            _find(prices, dimension, charge.properties, factors).rate,
            tuple(
                Applied(multiplier.property, text)
                for multiplier, texts in zip(prices.phase.multipliers, factors, strict=True)
                for text in texts
                if not multiplier.dimensions or dimension in multiplier.dimensions
            ),
        )
        for dimension in quantities
        if dimension in prices.rates
    }
