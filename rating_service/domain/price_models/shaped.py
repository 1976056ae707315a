"""Rates that are no plain product, made ready: what is free, the model, the bounds, in this order.

Over a cycle a usage costs F(total after) - F(total before) of exact sums, so that the charges of a cycle add up
to F of its total with no drift. A multiplier's factor scales prices and fees; bounds stay as the card has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final, NamedTuple, Protocol

from rating_service.domain.agreements.agreement import Rate, Record
from rating_service.domain.agreements.price_terms import (
    FlatModel,
    GraduatedModel,
    GraduatedPercentageModel,
    MultiplierModel,
    PackageModel,
    PercentageModel,
    PriceModel,
    VolumeModel,
    model_name,
)
from rating_service.domain.exact import decimals_of, exact_text, parse_exact
from rating_service.domain.price_models import graduated, package, percentage, volume
from rating_service.domain.price_models.curve import Curve, Part, PartKind, Stretch, amount_of
from rating_service.domain.price_models.running_total import (
    NOTHING,
    RunningTotal,
    counts_over_cycle,
    meter_of,
)

PartsOf = Callable[[Curve, Stretch], list[Part]]


class TotalOf(Protocol):
    """F(quantity): what a cycle owes after it, nothing before it has begun."""

    def __call__(self, curve: Curve, quantity: int, *, begun: bool) -> int:
        """Return a numerator."""


class Arithmetic(NamedTuple):
    """What a model charges for a stretch, and its F."""

    parts_of: PartsOf
    total_of: TotalOf


_PER_CENT: Final = Fraction(1, 100)


class Bounds(Record, frozen=True):
    """Least and most, as numerators."""

    minimum: int | None = None
    maximum: int | None = None


class ShapedRate(Record, frozen=True):
    """A rate with its factor, made ready. `meter` is empty where usages are priced one by one.

    `parts_of` and `total_of` are the arithmetic of its model, but for percentages, which look at single usages.
    """

    rate: Rate
    dimension: str
    model: str
    multiplier: str
    decimals: int
    curve: Curve
    usage_bounds: Bounds
    cycle_bounds: Bounds
    meter: str
    parts_of: PartsOf
    total_of: TotalOf
    usage_percentage: PercentageModel | None
    is_bounded: bool


class Priced(Record, frozen=True):
    """What a usage costs, term by term, and their sum."""

    parts: list[Part]
    amount: int


class _Step(Record, frozen=True):
    """One tier in exact units, before it is made integers."""

    of_one: Fraction
    fee: Fraction
    price_text: str
    fee_text: str


def shape(rate: Rate, *, factor: Fraction, multiplier: str, scale: int, meter_root: str) -> ShapedRate:
    """Return a rate made ready. Raises ValueError if an amount would have endless decimals."""
    steps, ends = _steps(rate, factor, Fraction(10**scale))
    texts = (rate.usage_minimum, rate.usage_maximum, rate.cycle_minimum, rate.cycle_maximum)
    bounds = [parse_exact(text) * 10**scale if text else None for text in texts]
    numbers = [number for step in steps for number in (step.of_one, step.fee)]
    decimals = max(map(decimals_of, [*numbers, *(bound for bound in bounds if bound is not None)]))
    unit = 10**decimals
    usage_minimum, usage_maximum, cycle_minimum, cycle_maximum = (
        None if bound is None else int(bound * unit) for bound in bounds
    )
    curve = Curve(
        ends=ends,
        of_one=tuple(int(step.of_one * unit) for step in steps),
        fees=tuple(int(step.fee * unit) for step in steps),
        price_texts=tuple(step.price_text for step in steps),
        fee_texts=tuple(step.fee_text for step in steps),
        zero_free=rate.zero_quantity_free,
        package_size=rate.unit_size,
    )
    module = _arithmetic(rate.price_model)
    return ShapedRate(
        rate=rate,
        dimension=rate.dimension,
        model=model_name(rate.price_model),
        multiplier=multiplier,
        decimals=decimals,
        curve=curve,
        usage_bounds=Bounds(usage_minimum, usage_maximum),
        cycle_bounds=Bounds(cycle_minimum, cycle_maximum),
        meter=meter_of(rate, root=meter_root) if counts_over_cycle(rate) else "",
        parts_of=module.parts_of,
        total_of=module.total_of,
        usage_percentage=rate.price_model if isinstance(rate.price_model, PercentageModel) else None,
        is_bounded=any(texts),
    )


def charge(shaped: ShapedRate, quantity: int, before: RunningTotal = NOTHING) -> Priced:
    """Return what a usage costs after a running total; `before` means nothing where there is no meter."""
    if shaped.usage_percentage is not None:
        return _percentage_charge(shaped, shaped.usage_percentage, quantity, before)
    free_units, quantity_before = shaped.rate.free_units, before.quantity
    quantity_after = quantity_before + quantity
    if free_units:
        quantity_before = max(quantity_before - free_units, 0)
        quantity_after = max(quantity_after - free_units, 0)
    stretch = Stretch(quantity_before, quantity_after, before.usages > 0)
    parts = shaped.parts_of(shaped.curve, stretch)
    amount = amount_of(parts)
    free = quantity - (quantity_after - quantity_before)
    if shaped.is_bounded:
        parts += _cycle_correction(shaped, stretch, amount)
        parts += _usage_correction(shaped.usage_bounds, amount, any_due=quantity > free)
        amount = amount_of(parts)
    return Priced([Part(PartKind.FREE, 0, 0, free), *parts] if free else parts, amount)


def _percentage_charge(
    shaped: ShapedRate, model: PercentageModel, quantity: int, before: RunningTotal
) -> Priced:
    allowance = {"free_units": shaped.rate.free_units, "free_usages": model.free_usages}
    free = percentage.free_of(quantity, before, **allowance)
    parts = percentage.parts_of(shaped.curve, quantity, before, **allowance)
    parts += _usage_correction(shaped.usage_bounds, amount_of(parts), any_due=quantity > free)
    amount = amount_of(parts)
    return Priced([Part(PartKind.FREE, 0, 0, free), *parts] if free else parts, amount)


def _arithmetic(model: PriceModel | None) -> Arithmetic:
    match model:
        case VolumeModel():
            return Arithmetic(volume.parts_of, volume.total_of)
        case PackageModel():
            return Arithmetic(package.parts_of, package.total_of)
        case _:
            return Arithmetic(graduated.parts_of, graduated.total_of)


def _cycle_correction(shaped: ShapedRate, stretch: Stretch, amount: int) -> list[Part]:
    """Return what bounds on the cycle add to a usage: the total is held between them before and after it."""
    bounds = shaped.cycle_bounds
    if bounds.minimum is None and bounds.maximum is None:
        return []
    earlier = shaped.total_of(shaped.curve, stretch.before, begun=stretch.begun)
    held_before = _held(bounds, earlier) if stretch.begun else 0
    added = _held(bounds, earlier + amount) - held_before - amount
    if not added:
        return []
    lacks = bounds.minimum is not None and (added > 0 or earlier < bounds.minimum)
    return [Part(PartKind.MINIMUM if lacks else PartKind.MAXIMUM, added)]


def _usage_correction(bounds: Bounds, amount: int, *, any_due: bool) -> list[Part]:
    if bounds.minimum is not None and any_due and amount < bounds.minimum:
        return [Part(PartKind.MINIMUM, bounds.minimum - amount)]
    if bounds.maximum is not None and amount > bounds.maximum:
        return [Part(PartKind.MAXIMUM, bounds.maximum - amount)]
    return []


def _held(bounds: Bounds, amount: int) -> int:
    if bounds.minimum is not None and amount < bounds.minimum:
        return bounds.minimum
    if bounds.maximum is not None and amount > bounds.maximum:
        return bounds.maximum
    return amount


def _steps(rate: Rate, factor: Fraction, units: Fraction) -> tuple[list[_Step], tuple[int, ...]]:
    """Return the tiers of a rate in exact units, and the upper end of each but the last."""
    each = factor * units
    by_quantity = each / rate.unit_size
    match rate.price_model:
        case FlatModel(price=price):
            return [_step("", Fraction(0), price, each)], ()
        case PackageModel(package_price=price):
            return [_step(price, each, "0", each)], ()
        case PercentageModel(percent=percent, fixed_fee=fee):
            return [_step(percent, by_quantity * _PER_CENT, fee, each)], ()
        case GraduatedModel(tiers=tiers) | VolumeModel(tiers=tiers):
            steps = [_step(tier.unit_price, by_quantity, tier.flat_fee, each) for tier in tiers]
            return steps, _ends([tier.up_to for tier in tiers])
        case GraduatedPercentageModel(tiers=shares):
            steps = [_step(tier.percent, by_quantity * _PER_CENT, tier.flat_fee, each) for tier in shares]
            return steps, _ends([tier.up_to for tier in shares])
        case None | MultiplierModel():
            return [_step(linear_price(rate), by_quantity, "0", each)], ()


def linear_price(rate: Rate) -> str:
    """Return the price of one unit_size of a rate without tiers, decimal text.

    Raises ValueError if the rate is of another model.
    """
    model: PriceModel | None = rate.price_model
    if isinstance(model, MultiplierModel):
        return exact_text(parse_exact(rate.provider_cost) * parse_exact(model.factor))
    if model is not None:
        raise ValueError(f"{model_name(model)} is no linear price")
    return rate.unit_price


def _step(price: str, by_price: Fraction, fee: str, by_fee: Fraction) -> _Step:
    of_one = parse_exact(price) * by_price if price else Fraction(0)
    return _Step(of_one, parse_exact(fee) * by_fee, price, fee)


def _ends(ends: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(end for end in ends[:-1] if end is not None)
