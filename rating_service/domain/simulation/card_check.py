"""What is wrong with a candidate's phase that nobody has published.

A published phase was checked by the ledger. One that is only asked about must be as sound, or its prices would be
guesses: each problem names its place in the phase. Ties that only some usage would show are not looked for: there the
earlier rate wins, as in pricing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from rating_service.domain.agreements.agreement import Multiplier, Rate, RateCardPhase
from rating_service.domain.agreements.price_terms import (
    FlatModel,
    GraduatedModel,
    GraduatedPercentageModel,
    MultiplierModel,
    PackageModel,
    PercentageModel,
    PercentageTier,
    PriceTier,
    VolumeModel,
)
from rating_service.domain.exact import parse_exact
from rating_service.domain.prices.pricing import compile_phase


class CardProblem(NamedTuple):
    """One thing that is wrong. `field` is its place in the phase, as in rates[2].unit_size."""

    field: str
    message: str


def first_problem(phase: RateCardPhase, *, scale: int) -> CardProblem | None:
    """Return the first thing that is wrong with a phase, or None."""
    found = next(_problems(phase), None)
    if found is not None:
        return found
    try:
        compile_phase(phase, scale=scale)
    except ValueError as error:
        return CardProblem("rates", f"a price cannot be computed exactly: {error}")
    return None


def _problems(phase: RateCardPhase) -> Iterator[CardProblem]:
    if not phase.rates:
        yield CardProblem("rates", "a phase needs a rate")
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for place, rate in enumerate(phase.rates):
        yield from _rate_problems(rate, f"rates[{place}]", has_currency=bool(phase.cost_currency))
        key = rate.dimension, tuple(sorted(rate.match.items()))
        if key in seen:
            yield CardProblem(f"rates[{place}].match", f"another rate of {rate.dimension} has the same match")
        seen.add(key)
    for place, multiplier in enumerate(phase.multipliers):
        yield from _multiplier_problems(multiplier, f"multipliers[{place}]")
    for place, bracket in enumerate(phase.brackets):
        field = f"brackets[{place}]"
        if not bracket.property or not bracket.sum_of:
            yield CardProblem(field, "a bracket needs a property and what it sums")
        yield from _step_problems([band.up_to for band in bracket.bands], f"{field}.bands")


def _rate_problems(rate: Rate, field: str, *, has_currency: bool) -> Iterator[CardProblem]:
    if not rate.dimension:
        yield CardProblem(f"{field}.dimension", "is required")
    if rate.unit_size < 1:
        yield CardProblem(f"{field}.unit_size", f"{rate.unit_size} is below 1")
    if rate.free_units < 0:
        yield CardProblem(f"{field}.free_units", f"{rate.free_units} is below 0")
    yield from _model_problems(rate, field)
    bounds = {
        name: getattr(rate, name)
        for name in ("usage_minimum", "usage_maximum", "cycle_minimum", "cycle_maximum", "provider_cost")
    }
    for name, text in bounds.items():
        if text:
            yield from _number_problems(text, f"{field}.{name}")
    for scope in ("usage", "cycle"):
        low, high = _number(bounds[f"{scope}_minimum"]), _number(bounds[f"{scope}_maximum"])
        if low is not None and high is not None and low > high:
            yield CardProblem(f"{field}.{scope}_maximum", f"lies below {scope}_minimum")
    if rate.provider_cost and not has_currency:
        yield CardProblem(f"{field}.provider_cost", "needs a cost_currency in its phase")


def _model_problems(rate: Rate, field: str) -> Iterator[CardProblem]:
    match rate.price_model:
        case None:
            yield from _number_problems(rate.unit_price, f"{field}.unit.unit_price")
        case FlatModel(price=price):
            yield from _number_problems(price, f"{field}.flat.price")
        case PackageModel(package_price=price):
            yield from _number_problems(price, f"{field}.package.package_price")
        case PercentageModel(percent=percent, fixed_fee=fee, free_usages=free_usages):
            yield from _number_problems(percent, f"{field}.percentage.percent")
            yield from _number_problems(fee, f"{field}.percentage.fixed_fee")
            if free_usages < 0:
                yield CardProblem(f"{field}.percentage.free_usages", f"{free_usages} is below 0")
        case MultiplierModel(factor=factor):
            yield from _number_problems(factor, f"{field}.multiplier.factor")
            if not rate.provider_cost:
                yield CardProblem(f"{field}.provider_cost", "is required: the price is a multiple of it")
        case tiered:
            yield from _tier_problems(tiered, f"{field}.tiers")


def _tier_problems(
    model: GraduatedModel | VolumeModel | GraduatedPercentageModel, field: str
) -> Iterator[CardProblem]:
    tiers: Sequence[PriceTier | PercentageTier] = model.tiers
    yield from _step_problems([tier.up_to for tier in tiers], field)
    for place, tier in enumerate(tiers):
        if isinstance(tier, PercentageTier):
            yield from _number_problems(tier.percent, f"{field}[{place}].percent")
        else:
            yield from _number_problems(tier.unit_price, f"{field}[{place}].unit_price")
        yield from _number_problems(tier.flat_fee, f"{field}[{place}].flat_fee")


def _multiplier_problems(multiplier: Multiplier, field: str) -> Iterator[CardProblem]:
    if not multiplier.property:
        yield CardProblem(f"{field}.property", "is required")
    ends = [tier.up_to for tier in multiplier.tiers]
    if not ends or ends != sorted(set(ends)):
        yield CardProblem(f"{field}.tiers", "must be there, and up_to must ascend from tier to tier")
    for place, tier in enumerate(multiplier.tiers):
        yield from _number_problems(tier.factor, f"{field}.tiers[{place}].factor")


def _step_problems(ends: list[int | None], field: str) -> Iterator[CardProblem]:
    """Yield what is wrong with inclusive upper ends, which must ascend to a last step without end."""
    if not ends:
        yield CardProblem(field, "at least one is needed")
        return
    below = 0
    for place, end in enumerate(ends[:-1]):
        if end is None or end <= below:
            yield CardProblem(f"{field}[{place}].up_to", "must ascend, and only the last may be without end")
            return
        below = end
    if ends[-1] is not None:
        yield CardProblem(
            f"{field}[{len(ends) - 1}].up_to", "must be left out of the last one, which has no end"
        )


def _number_problems(text: str, field: str) -> Iterator[CardProblem]:
    if _number(text) is None:
        yield CardProblem(field, f"{text[:60]!r} is not decimal text of 0 or more")


def _number(text: str) -> Fraction | None:
    try:
        number = parse_exact(text)
    except ValueError:
        return None
    return number if number >= 0 else None
