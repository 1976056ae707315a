"""Pricing: a usage becomes a charge under one rate card phase.

What a usage costs depends on few things beside its quantities: the values of the properties that rates match
on, those that brackets derive from its size, and the tiers of the multipliers. For each such combination a
price list is worked out once and kept. A charge is then integer products and their sum; nothing is rounded and
nothing divided.

The wallet, not this module, turns exact units into whole ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Rate, RateCardPhase, Record
from rating_service.domain.exact import parse_exact, scaled_text
from rating_service.domain.price_models.running_total import NO_TOTALS, Totals
from rating_service.domain.prices.brackets import Bands, bands_of, with_brackets
from rating_service.domain.prices.matching import RateIndex, by_specificity, find_rate, fits, index_of
from rating_service.domain.prices.multipliers import Ladder, factor_of, ladder_of, tier_of
from rating_service.domain.prices.price_list import (
    PriceList,
    charge_entries,
    charge_linear,
    make_price_list,
)
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import Charge, ChargeLine, ChargeTerms, Usage

NO_TERMS: Final = ChargeTerms()
UNITS_MAX: Final = 2**63 - 1
"""Largest amount of units: int64, as the ledger stores it."""
PRICE_LISTS_MAX: Final = 4_096
"""Most price lists that a pricer keeps; the oldest goes first. A list of ten dimensions takes about 2 KB."""

PriceListKey = tuple[tuple[str | None, ...], tuple[int, ...]]
"""Values of the matched properties, and the tier of each multiplier."""


class Pricer(Record, frozen=True):
    """A phase made ready for pricing. Its price lists are a bounded cache: losing one changes no answer."""

    phase: RateCardPhase
    scale: int
    rates: dict[str, tuple[Rate, ...]]
    indexes: dict[str, RateIndex]
    matched_properties: tuple[str, ...]
    ladders: tuple[Ladder, ...]
    brackets: tuple[Bands, ...]
    meter_root: str
    known_dimensions: frozenset[str]
    price_lists: dict[PriceListKey, PriceList] = msgspec.field(default_factory=dict)


def compile_phase(phase: RateCardPhase, *, scale: int, meter_root: str = "") -> Pricer:
    """Return a pricer of the phase; `scale` is that of the card's asset. Once per phase.

    `meter_root` is where the phase's counters began, by default the phase itself. Raises ValueError if a price
    or factor is not decimal text or an amount would have endless decimals; no published phase has either.
    """
    rates: dict[str, list[Rate]] = {}
    for rate in phase.rates:
        make_price_list([rate], [Fraction(1)], scale=scale, meter_root=meter_root, units_max=UNITS_MAX)
        rates.setdefault(rate.dimension, []).append(rate)
    for tier in (tier for multiplier in phase.multipliers for tier in multiplier.tiers):
        parse_exact(tier.factor)
    sums = [each.sum_of for each in phase.multipliers] + [each.sum_of for each in phase.brackets]
    return Pricer(
        phase=phase,
        scale=scale,
        rates={dimension: by_specificity(group) for dimension, group in rates.items()},
        indexes={dimension: index_of(group) for dimension, group in rates.items()},
        matched_properties=tuple(sorted({name for rate in phase.rates for name in rate.match})),
        ladders=tuple(ladder_of(multiplier) for multiplier in phase.multipliers),
        brackets=tuple(map(bands_of, phase.brackets)),
        meter_root=meter_root or phase.name,
        known_dimensions=frozenset(rates)
        | frozenset(name for names in sums for name in names)
        | {multiplier.property for multiplier in phase.multipliers if not multiplier.sum_of},
    )


def price(pricer: Pricer, usage: Usage, terms: ChargeTerms = NO_TERMS, totals: Totals = NO_TOTALS) -> Charge:
    """Return what the usage costs, exactly, line by line in the order of the card.

    `totals` are the running totals before it. The charge is below 0 only where a volume price falls with the total.

    Refuses NO_QUANTITIES, NEGATIVE_QUANTITY and UNKNOWN_DIMENSION; then, by bracket, INVALID_PROPERTY; then, by
    multiplier, MISSING_PROPERTY, INVALID_PROPERTY and BEYOND_LAST_TIER; then, by dimension, MISSING_PROPERTY
    and NO_RATE_FOR_USAGE; last AMOUNT_OUT_OF_RANGE.
    """
    quantities = usage.quantities
    _check_quantities(pricer, quantities)
    properties = with_brackets(pricer.brackets, usage) if pricer.brackets else usage.properties
    price_list = _price_list_for(pricer, usage, properties)
    decimals = price_list.decimals
    if price_list.entries:
        charged = charge_entries(price_list, usage, properties, totals)
    else:
        charged = charge_linear(price_list, quantities)
    if len(charged.lines) < len(quantities):
        properties = _properties_with_counts(pricer, quantities, properties, charged.lines)
    if not -price_list.numerator_max <= charged.total <= price_list.numerator_max:
        raise Refusal(Reason.AMOUNT_OUT_OF_RANGE, f"the usage costs more than {UNITS_MAX} units")
    return Charge(
        terms.contract,
        terms.contract_phase,
        pricer.phase.name,
        pricer.phase.phase_hash,
        charged.lines,
        scaled_text(charged.total, decimals),
        properties,
        terms.overage_price,
        charged.provider_cost,
        pricer.phase.cost_currency if charged.provider_cost else "",
    )


class LinearAmounts(Record, frozen=True):
    """What `price` says of a usage whose prices are all plain products: exact amounts, before they become text.

    `amounts` are by line, in 10^-decimals units; `cost` is in 10^-cost_decimals, None unless every line has one.
    """

    amounts: list[tuple[str, int]]
    decimals: int
    cost: int | None
    cost_decimals: int


def linear_amounts(pricer: Pricer, usage: Usage) -> LinearAmounts | None:
    """Return the amounts that `price` tells, or None where only `price` can say: tiers, conditions, refusals.

    For whoever adds up millions of usages: the texts of a charge cost more than its arithmetic.
    """
    quantities = usage.quantities
    if not quantities or not quantities.keys() <= pricer.known_dimensions or min(quantities.values()) < 0:
        return None
    properties = with_brackets(pricer.brackets, usage) if pricer.brackets else usage.properties
    price_list = _price_list_for(pricer, usage, properties)
    if price_list.entries:
        return None
    costs = price_list.costs
    total = cost = 0
    known = bool(costs)
    amounts: list[tuple[str, int]] = []
    for line in price_list.lines:
        quantity = quantities.get(line.dimension)
        if quantity is None:
            continue
        amount = quantity * line.numerator
        total += amount
        amounts.append((line.dimension, amount))
        if known:
            cost_of_one = costs.get(line.dimension)
            if cost_of_one is None:
                known = False
            else:
                cost += quantity * cost_of_one
    if len(amounts) < len(quantities) or total > price_list.numerator_max:
        return None
    return LinearAmounts(amounts, price_list.decimals, cost if known else None, price_list.cost_decimals)


def _check_quantities(pricer: Pricer, quantities: Mapping[str, int]) -> None:
    """Refuse NO_QUANTITIES, NEGATIVE_QUANTITY, UNKNOWN_DIMENSION."""
    if quantities.keys().isdisjoint(pricer.rates) and quantities.keys() <= pricer.known_dimensions:
        raise Refusal(Reason.NO_QUANTITIES, "the usage has no quantity to price")
    if min(quantities.values()) < 0:
        dimension = min(name for name, quantity in quantities.items() if quantity < 0)
        raise Refusal(Reason.NEGATIVE_QUANTITY, f"{dimension} is negative", dimension=dimension)
    if not quantities.keys() <= pricer.known_dimensions:
        dimension = min(quantities.keys() - pricer.known_dimensions)
        message = f"no rate of {pricer.phase.name} prices {dimension}"
        raise Refusal(Reason.UNKNOWN_DIMENSION, message, dimension=dimension)


def _price_list_for(pricer: Pricer, usage: Usage, properties: Mapping[str, str]) -> PriceList:
    """Return the price list for usage of this kind, from the cache if it is there."""
    values = tuple(map(properties.get, pricer.matched_properties))
    tiers = tuple([tier_of(ladder, usage) for ladder in pricer.ladders])
    kept = pricer.price_lists.get((values, tiers))
    if kept is not None:
        return kept
    price_list = _work_out(pricer, properties, tiers)
    if len(pricer.price_lists) >= PRICE_LISTS_MAX:
        del pricer.price_lists[next(iter(pricer.price_lists))]
    pricer.price_lists[values, tiers] = price_list
    return price_list


def _work_out(pricer: Pricer, properties: Mapping[str, str], tiers: tuple[int, ...]) -> PriceList:
    """Return the prices of every dimension that has a rate for these properties."""
    found = [rate for index in pricer.indexes.values() if (rate := find_rate(index, properties))]
    return make_price_list(
        found,
        [_factor(pricer, tiers, rate.dimension) for rate in found],
        scale=pricer.scale,
        meter_root=pricer.meter_root,
        units_max=UNITS_MAX,
    )


def _factor(pricer: Pricer, tiers: tuple[int, ...], dimension: str) -> Fraction:
    """Return the product of what every multiplier does to a dimension."""
    pairs = zip(pricer.ladders, tiers, strict=True)
    return prod((factor_of(ladder.multiplier, tier, dimension) for ladder, tier in pairs), start=Fraction(1))


def _properties_with_counts(
    pricer: Pricer,
    quantities: Mapping[str, int],
    properties: Mapping[str, str],
    lines: Sequence[ChargeLine],
) -> dict[str, str]:
    """Return the properties with the quantities that have no line but decided a tier or a bracket.

    Without them the charge could not be priced again. Refuses what has neither line nor such a use.
    """
    priced = {line.dimension for line in lines}
    for dimension in pricer.rates:
        if dimension in quantities and dimension not in priced:
            raise _no_rate(pricer.rates[dimension], dimension, properties)
    counts = {name: str(number) for name, number in quantities.items() if name not in priced}
    return {**counts, **properties}


def priced_dimensions(pricer: Pricer, usage: Usage) -> set[str]:
    """Return the dimensions that have a rate for usage of this kind. Refuses INVALID_PROPERTY."""
    properties = with_brackets(pricer.brackets, usage) if pricer.brackets else usage.properties
    return {name for name, index in pricer.indexes.items() if find_rate(index, properties) is not None}


def _no_rate(rates: tuple[Rate, ...], dimension: str, properties: Mapping[str, str]) -> Refusal:
    """Return the refusal of a dimension none of whose rates matches, naming the property at fault.

    That is the one which stops the rates that come closest: with the fewest properties that do not fit.
    """
    name = _closest_misfits(rates, properties)[0]
    value = properties.get(name)
    if value is None:
        message = f"{dimension} is priced by {name}, which is not given"
        return Refusal(Reason.MISSING_PROPERTY, message, property=name, dimension=dimension)
    message = f"no rate of {dimension} is for {name} {value!r}"
    return Refusal(Reason.NO_RATE_FOR_USAGE, message, dimension=dimension, property=name, value=value)


def _closest_misfits(rates: tuple[Rate, ...], properties: Mapping[str, str]) -> list[str]:
    """Return the misfits of the first rate that has the fewest; no rate matches, so one is the fewest there is."""
    closest = _misfits(rates[0], properties)
    for rate in rates[1:]:
        if len(closest) == 1:
            break
        misfits = _misfits(rate, properties)
        closest = misfits if len(misfits) < len(closest) else closest
    return closest


def _misfits(rate: Rate, properties: Mapping[str, str]) -> list[str]:
    """Return the names of the properties that keep a rate from matching."""
    return [
        name
        for name, pattern in sorted(rate.match.items())
        if name not in properties or not fits(pattern, properties[name])
    ]
