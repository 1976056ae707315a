"""What a rate may say of its price: the checks of a publication, model by model.

Everything that could make a price inexact, endless or undefined is refused here, with the path of its field:
floats and signs (a price is plain decimal text), unit sizes that do not divide exactly, tiers that do not
ascend or do not reach the end, minima above maxima, terms that a model has no use for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger_service.domain.events import Bracket, Rate
from ledger_service.domain.events.price_models import (
    Band,
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
from ledger_service.domain.exact import exact
from ledger_service.domain.names import check_price, check_range, check_text, check_word
from ledger_service.domain.refusals import (
    BoundsOutOfOrder,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
    NumberOutOfRange,
    TiersIncomplete,
    TiersOutOfOrder,
)
from ledger_service.domain.values import UNITS_MAX, RateScope

UNIT_SIZE_MAX: Final = 10**12
TIERS_MAX: Final = 64
SUMMANDS_MAX: Final = 16
"""Most quantities that a sum adds up."""
PERCENT_DECIMALS_MAX: Final = 16
"""A hundredth of a per cent adds two decimals, and prices have 18."""
FACTOR_DECIMALS_MAX: Final = 9

_SINGLE_USAGE_MODELS: Final = (type(None), PercentageModel, MultiplierModel)
"""Models whose charge for one usage does not depend on the usages before, but for what is free."""


def check_price_terms(rate: Rate, *, cost_currency: str, asset_code: str, field: str) -> None:
    """Refuse a price that is incomplete, inexact or contradicts itself.

    Raises BoundsOutOfOrder, FieldMalformed, FieldNotAllowed, FieldRequired, FieldTooLong, NumberOutOfRange,
    TiersIncomplete, TiersOutOfOrder.
    """
    _check_model(rate, field)
    _check_unit_size(rate, field=f"{field}.unit_size")
    check_range(rate.free_units, low=0, high=UNITS_MAX, field=f"{field}.free_units")
    _check_bounds(rate, field)
    if rate.provider_cost:
        check_price(rate.provider_cost, field=f"{field}.provider_cost")
        if not cost_currency:
            raise FieldRequired(
                f"phase.cost_currency is required by {field}.provider_cost", field="phase.cost_currency"
            )
    if isinstance(rate.price_model, MultiplierModel):
        _check_cost_plus(rate, cost_currency, asset_code, field)


def check_bracket(bracket: Bracket, *, field: str) -> None:
    """Refuse a bracket without a sum or with bands that do not ascend to the end."""
    check_word(bracket.property, field=f"{field}.property")
    if not bracket.sum_of:
        raise FieldRequired(f"{field}.sum_of is required", field=f"{field}.sum_of")
    check_summands(bracket.sum_of, field=f"{field}.sum_of")
    _check_steps(bracket.bands, field=f"{field}.bands")
    for index, band in enumerate(bracket.bands):
        place = f"{field}.bands[{index}].value"
        if not band.value:
            raise FieldRequired(f"{place} is required", field=place)
        check_text(band.value, field=place)


def check_summands(names: Sequence[str], *, field: str) -> None:
    """Refuse a sum of too many quantities, or of one twice."""
    if len(names) > SUMMANDS_MAX:
        raise FieldTooLong(f"{field} exceeds {SUMMANDS_MAX} quantities", field=field)
    for index, name in enumerate(names):
        check_word(name, field=f"{field}[{index}]")
        if name in names[:index]:
            raise FieldNotAllowed(f"{field} names {name} twice", field=f"{field}[{index}]")


def _check_model(rate: Rate, field: str) -> None:
    match rate.price_model:
        case None:
            check_price(rate.unit_price, field=f"{field}.unit.unit_price")
        case FlatModel(price=price):
            check_price(price, field=f"{field}.flat.price")
            _refuse_set(rate.free_units, f"{field}.free_units", "a flat fee has no quantity to free")
        case GraduatedModel(tiers=tiers):
            _check_price_tiers(tiers, f"{field}.graduated.tiers")
        case VolumeModel(tiers=tiers):
            _check_price_tiers(tiers, f"{field}.volume.tiers")
        case PackageModel(package_price=price):
            check_price(price, field=f"{field}.package.package_price")
        case PercentageModel() as model:
            _check_decimals(model.percent, PERCENT_DECIMALS_MAX, f"{field}.percentage.percent")
            check_price(model.fixed_fee, field=f"{field}.percentage.fixed_fee")
            check_range(model.free_usages, low=0, high=UNITS_MAX, field=f"{field}.percentage.free_usages")
        case GraduatedPercentageModel(tiers=tiers):
            _check_percentage_tiers(tiers, f"{field}.graduated_percentage.tiers")
        case MultiplierModel(factor=factor):
            _check_decimals(factor, FACTOR_DECIMALS_MAX, f"{field}.multiplier.factor")


def _check_price_tiers(tiers: tuple[PriceTier, ...], field: str) -> None:
    _check_steps(tiers, field=field)
    for index, tier in enumerate(tiers):
        check_price(tier.unit_price, field=f"{field}[{index}].unit_price")
        check_price(tier.flat_fee, field=f"{field}[{index}].flat_fee")


def _check_percentage_tiers(tiers: tuple[PercentageTier, ...], field: str) -> None:
    _check_steps(tiers, field=field)
    for index, tier in enumerate(tiers):
        _check_decimals(tier.percent, PERCENT_DECIMALS_MAX, f"{field}[{index}].percent")
        check_price(tier.flat_fee, field=f"{field}[{index}].flat_fee")


def _check_steps(steps: Sequence[PriceTier | PercentageTier | Band], *, field: str) -> None:
    """Refuse steps that do not ascend, or do not lead from 0 to the end without a gap."""
    if not steps:
        raise FieldRequired(f"{field} is required", field=field)
    if len(steps) > TIERS_MAX:
        raise FieldTooLong(f"{field} exceeds {TIERS_MAX}", field=field)
    below = -1
    for index, step in enumerate(steps[:-1]):
        place = f"{field}[{index}].up_to"
        if step.up_to is None:
            raise TiersIncomplete(f"{place} is required: only the last may be without end", field=place)
        check_range(step.up_to, low=0, high=UNITS_MAX, field=place)
        if step.up_to <= below:
            raise TiersOutOfOrder(f"{field} must ascend by up_to: {step.up_to} after {below}", field=place)
        below = step.up_to
    if steps[-1].up_to is not None:
        place = f"{field}[{len(steps) - 1}].up_to"
        raise TiersIncomplete(
            f"{place} must be absent: quantities above {steps[-1].up_to} would have no price", field=place
        )


def _check_decimals(text: str, decimals_max: int, field: str) -> None:
    check_price(text, field=field)
    if len(text.partition(".")[2]) > decimals_max:
        raise FieldMalformed(f"{field} {text} has more than {decimals_max} decimals", field=field)


def _check_unit_size(rate: Rate, *, field: str) -> None:
    check_range(rate.unit_size, low=1, high=UNIT_SIZE_MAX, field=field)
    if isinstance(rate.price_model, PackageModel) and not rate.provider_cost:
        return
    rest = rate.unit_size
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    if rest != 1:
        raise NumberOutOfRange(
            f"{field} must be a product of twos and fives, so that prices stay exact; not {rate.unit_size}",
            field=field,
        )


def _check_bounds(rate: Rate, field: str) -> None:
    one_by_one = rate.scope is RateScope.USAGE
    if not one_by_one and not isinstance(rate.price_model, _SINGLE_USAGE_MODELS):
        for name in ("usage_minimum", "usage_maximum"):
            reason = "usages of this model are priced by their total; set scope USAGE or a cycle bound"
            _refuse_set(getattr(rate, name), f"{field}.{name}", reason)
    if one_by_one:
        for name in ("cycle_minimum", "cycle_maximum"):
            _refuse_set(getattr(rate, name), f"{field}.{name}", "scope USAGE has no cycle")
        if isinstance(rate.price_model, PercentageModel):
            place = f"{field}.percentage.free_usages"
            _refuse_set(rate.price_model.free_usages, place, "scope USAGE has no cycle")
    if rate.cycle_minimum or rate.cycle_maximum:
        _check_cycle_bounds(rate, field)
    for span in ("usage", "cycle"):
        _check_bound_pair(getattr(rate, f"{span}_minimum"), getattr(rate, f"{span}_maximum"), field, span)


def _check_cycle_bounds(rate: Rate, field: str) -> None:
    """Refuse bounds on a cycle where its price is more than a function of its total."""
    name = "cycle_minimum" if rate.cycle_minimum else "cycle_maximum"
    if isinstance(rate.price_model, PercentageModel):
        _refuse_set(True, f"{field}.{name}", "a percentage with fees is priced usage by usage")
    for other in ("usage_minimum", "usage_maximum"):
        _refuse_set(getattr(rate, other), f"{field}.{other}", "the cycle is bounded already")


def _check_bound_pair(low: str, high: str, field: str, span: str) -> None:
    for name, text in (("minimum", low), ("maximum", high)):
        if text:
            check_price(text, field=f"{field}.{span}_{name}")
    if low and high and exact(low) > exact(high):
        place = f"{field}.{span}_maximum"
        raise BoundsOutOfOrder(f"{place} {high} lies below the minimum {low}", field=place)


def _refuse_set(value: object, field: str, reason: str) -> None:
    if value:
        raise FieldNotAllowed(f"{field} is not allowed: {reason}", field=field)


def _check_cost_plus(rate: Rate, cost_currency: str, asset_code: str, field: str) -> None:
    if not rate.provider_cost:
        place = f"{field}.provider_cost"
        raise FieldRequired(f"{place} is required: the price is a multiple of it", field=place)
    if cost_currency != asset_code:
        raise FieldMalformed(
            f"phase.cost_currency must be {asset_code}, in which {field}.multiplier prices; "
            f"not {cost_currency!r}",
            field="phase.cost_currency",
        )
