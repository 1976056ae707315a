"""Pricing: a usage becomes a charge under one rate card phase.

What a usage costs depends on few things beside its quantities: the values of the properties that rates match
on, and the tiers of the multipliers. For each such combination a price list is worked out once and kept: per
dimension one integer, the price of a quantity of one, all at the same power of ten. A charge is then integer
products and their sum; nothing is rounded and nothing divided.

The wallet, not this module, turns exact units into whole ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import prod
from typing import Final

import msgspec

from rating_service.domain.agreement import Rate, RateCardPhase, Record
from rating_service.domain.exact import decimals_of, exact_text, parse_exact, scaled_text
from rating_service.domain.matching import by_specificity, first_match, fits
from rating_service.domain.multipliers import Ladder, factor_of, ladder_of, tier_of
from rating_service.domain.price_models import price_model_of
from rating_service.domain.price_models.unit import units_of_one
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import Charge, ChargeLine, ChargeTerms, Usage

NO_TERMS: Final = ChargeTerms()
UNITS_MAX: Final = 2**63 - 1
"""Largest amount of units: int64, as the ledger stores it."""
PRICE_LISTS_MAX: Final = 4_096
"""Most price lists that a pricer keeps; the oldest goes first. A list of ten dimensions takes about 2 KB."""

PriceListKey = tuple[tuple[str | None, ...], tuple[int, ...]]
"""Values of the matched properties, and the tier of each multiplier."""


class LinearLine(Record, frozen=True):
    """The price of one dimension: `numerator` x 10^-decimals units of the asset for a quantity of one."""

    dimension: str
    numerator: int
    unit_price: str
    unit_size: int
    multiplier: str


class PriceList(Record, frozen=True):
    """The prices of every dimension that a usage of one kind may have, in the order of the card."""

    lines: tuple[LinearLine, ...]
    decimals: int
    numerator_max: int


class Pricer(Record, frozen=True):
    """A phase made ready for pricing. Its price lists are a bounded cache: losing one changes no answer."""

    phase: RateCardPhase
    scale: int
    rates: dict[str, tuple[Rate, ...]]
    matched_properties: tuple[str, ...]
    ladders: tuple[Ladder, ...]
    known_dimensions: frozenset[str]
    price_lists: dict[PriceListKey, PriceList] = msgspec.field(default_factory=dict)


def compile_phase(phase: RateCardPhase, *, scale: int) -> Pricer:
    """Return a pricer of the phase; `scale` is that of the card's asset. Once per phase.

    Raises ValueError if a price or factor is not decimal text or an amount would have endless decimals; no
    published phase has either.
    """
    rates: dict[str, list[Rate]] = {}
    for rate in phase.rates:
        decimals_of(units_of_one(price_model_of(rate), factor=Fraction(1), scale=scale))
        rates.setdefault(rate.dimension, []).append(rate)
    for tier in (tier for multiplier in phase.multipliers for tier in multiplier.tiers):
        parse_exact(tier.factor)
    return Pricer(
        phase=phase,
        scale=scale,
        rates={dimension: by_specificity(group) for dimension, group in rates.items()},
        matched_properties=tuple(sorted({name for rate in phase.rates for name in rate.match})),
        ladders=tuple(ladder_of(multiplier) for multiplier in phase.multipliers),
        known_dimensions=frozenset(rates) | {multiplier.property for multiplier in phase.multipliers},
    )


def price(pricer: Pricer, usage: Usage, terms: ChargeTerms = NO_TERMS) -> Charge:
    """Return what the usage costs, exactly, line by line in the order of the card.

    Refuses NO_QUANTITIES, NEGATIVE_QUANTITY and UNKNOWN_DIMENSION; then, by multiplier, MISSING_PROPERTY,
    INVALID_PROPERTY and BEYOND_LAST_TIER; then, by dimension, MISSING_PROPERTY and NO_RATE_FOR_USAGE; last
    AMOUNT_OUT_OF_RANGE.
    """
    quantities = usage.quantities
    _check_quantities(pricer, quantities)
    price_list = _price_list_for(pricer, usage)
    decimals = price_list.decimals
    total = 0
    lines: list[ChargeLine] = []
    for line in price_list.lines:
        quantity = quantities.get(line.dimension)
        if quantity is not None:
            exact = quantity * line.numerator
            total += exact
            text = scaled_text(exact, decimals)
            lines.append(
                ChargeLine(line.dimension, quantity, line.unit_price, text, line.unit_size, line.multiplier)
            )
    properties = usage.properties
    if len(lines) < len(quantities):
        properties = _properties_with_counts(pricer, usage, price_list)
    if total > price_list.numerator_max:
        raise Refusal(Reason.AMOUNT_OUT_OF_RANGE, f"the usage costs more than {UNITS_MAX} units")
    return Charge(
        contract=terms.contract,
        contract_phase=terms.contract_phase,
        rate_card_phase=pricer.phase.name,
        phase_hash=pricer.phase.phase_hash,
        lines=tuple(lines),
        exact_units=scaled_text(total, decimals),
        properties=properties,
        overage_price=terms.overage_price,
    )


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


def _price_list_for(pricer: Pricer, usage: Usage) -> PriceList:
    """Return the price list for usage of this kind, from the cache if it is there."""
    values = tuple(map(usage.properties.get, pricer.matched_properties))
    tiers = tuple([tier_of(ladder, usage) for ladder in pricer.ladders])
    kept = pricer.price_lists.get((values, tiers))
    if kept is not None:
        return kept
    price_list = _work_out(pricer, usage.properties, tiers)
    if len(pricer.price_lists) >= PRICE_LISTS_MAX:
        del pricer.price_lists[next(iter(pricer.price_lists))]
    pricer.price_lists[values, tiers] = price_list
    return price_list


def _work_out(pricer: Pricer, properties: Mapping[str, str], tiers: tuple[int, ...]) -> PriceList:
    """Return the prices of every dimension that has a rate for these properties."""
    found = [rate for group in pricer.rates.values() if (rate := first_match(group, properties))]
    factors = [_factor(pricer, tiers, rate.dimension) for rate in found]
    of_one = [
        units_of_one(price_model_of(rate), factor=factor, scale=pricer.scale)
        for rate, factor in zip(found, factors, strict=True)
    ]
    decimals = max(map(decimals_of, of_one), default=0)
    lines = [
        LinearLine(
            dimension=rate.dimension,
            numerator=int(units * 10**decimals),
            unit_price=exact_text(parse_exact(rate.unit_price)),
            unit_size=rate.unit_size,
            multiplier=exact_text(factor),
        )
        for rate, factor, units in zip(found, factors, of_one, strict=True)
    ]
    return PriceList(tuple(lines), decimals, (UNITS_MAX + 1) * 10**decimals - 1)


def _factor(pricer: Pricer, tiers: tuple[int, ...], dimension: str) -> Fraction:
    """Return the product of what every multiplier does to a dimension."""
    pairs = zip(pricer.ladders, tiers, strict=True)
    return prod((factor_of(ladder.multiplier, tier, dimension) for ladder, tier in pairs), start=Fraction(1))


def _properties_with_counts(pricer: Pricer, usage: Usage, price_list: PriceList) -> dict[str, str]:
    """Return the properties with the quantities that have no line but decided a tier.

    Without them the charge could not be priced again. Refuses what has neither line nor such a use.
    """
    priced = {line.dimension for line in price_list.lines}
    for dimension in pricer.rates:
        if dimension in usage.quantities and dimension not in priced:
            raise _no_rate(pricer.rates[dimension], dimension, usage.properties)
    counts = {name: str(number) for name, number in usage.quantities.items() if name not in priced}
    return counts | usage.properties


def _no_rate(rates: tuple[Rate, ...], dimension: str, properties: Mapping[str, str]) -> Refusal:
    """Return the refusal of a dimension none of whose rates matches, naming the property at fault.

    That is the one which stops the rates that come closest: with the fewest properties that do not fit.
    """
    closest = min((_misfits(rate, properties) for rate in rates), key=len)
    name = closest[0]
    value = properties.get(name)
    if value is None:
        message = f"{dimension} is priced by {name}, which is not given"
        return Refusal(Reason.MISSING_PROPERTY, message, property=name, dimension=dimension)
    message = f"no rate of {dimension} is for {name} {value!r}"
    return Refusal(Reason.NO_RATE_FOR_USAGE, message, dimension=dimension, property=name, value=value)


def _misfits(rate: Rate, properties: Mapping[str, str]) -> list[str]:
    """Return the names of the properties that keep a rate from matching."""
    return [
        name
        for name, pattern in sorted(rate.match.items())
        if name not in properties or not fits(pattern, properties[name])
    ]
