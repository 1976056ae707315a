"""Rates and their price models on the wire: read into terms, terms written back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from credits.ledger.v1 import agreement_pb2, price_model_pb2
from ledger_service.domain.events import Bracket, PriceModel, Rate
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
from ledger_service.domain.refusals import FieldRequired, ValueUnspecified
from ledger_service.domain.values import Counters, RateScope

_SCOPE: Final = {
    price_model_pb2.RATE_SCOPE_UNSPECIFIED: RateScope.CYCLE,
    price_model_pb2.RATE_SCOPE_CYCLE: RateScope.CYCLE,
    price_model_pb2.RATE_SCOPE_USAGE: RateScope.USAGE,
}
_COUNTERS: Final = {
    price_model_pb2.COUNTERS_UNSPECIFIED: Counters.CARRY,
    price_model_pb2.COUNTERS_CARRY: Counters.CARRY,
    price_model_pb2.COUNTERS_RESTART: Counters.RESTART,
}
_SCOPE_WIRE: Final = {value: key for key, value in _SCOPE.items()}
COUNTERS_WIRE: Final = {value: key for key, value in _COUNTERS.items()}


def read_rate(rate: agreement_pb2.Rate, *, field: str) -> Rate:
    """Return a rate. Raises FieldRequired, ValueUnspecified."""
    scope = _SCOPE.get(rate.scope)
    if scope is None:
        raise ValueUnspecified(f"{field}.scope must be CYCLE or USAGE", field=f"{field}.scope")
    return Rate(
        dimension=rate.dimension,
        unit_price=rate.unit.unit_price,
        unit_size=rate.unit_size or 1,
        match=dict(sorted(rate.match.items())),
        price_model=_read_model(rate, f"{field}.price_model"),
        scope=scope,
        free_units=rate.free_units,
        usage_minimum=rate.usage_minimum,
        usage_maximum=rate.usage_maximum,
        cycle_minimum=rate.cycle_minimum,
        cycle_maximum=rate.cycle_maximum,
        zero_quantity_free=rate.zero_quantity_free,
        provider_cost=rate.provider_cost,
        charge_if=dict(sorted(rate.charge_if.items())),
    )


def read_counters(counters: price_model_pb2.Counters.ValueType) -> Counters:
    """Return what becomes of running totals. Raises ValueUnspecified."""
    found = _COUNTERS.get(counters)
    if found is None:
        raise ValueUnspecified("phase.counters must be CARRY or RESTART", field="phase.counters")
    return found


def read_bracket(bracket: price_model_pb2.Bracket) -> Bracket:
    """Return a bracket."""
    bands = tuple(Band(band.value, band.up_to if band.HasField("up_to") else None) for band in bracket.bands)
    return Bracket(bracket.property, tuple(bracket.sum_of), bands)


def write_rate(rate: Rate) -> agreement_pb2.Rate:
    """Return a rate as a message."""
    message = agreement_pb2.Rate(
        dimension=rate.dimension,
        unit_size=rate.unit_size,
        match=rate.match,
        scope=_SCOPE_WIRE[rate.scope],
        free_units=rate.free_units,
        usage_minimum=rate.usage_minimum,
        usage_maximum=rate.usage_maximum,
        cycle_minimum=rate.cycle_minimum,
        cycle_maximum=rate.cycle_maximum,
        zero_quantity_free=rate.zero_quantity_free,
        provider_cost=rate.provider_cost,
        charge_if=rate.charge_if,
    )
    _write_model(message, rate)
    return message


def write_bracket(bracket: Bracket) -> price_model_pb2.Bracket:
    """Return a bracket as a message."""
    bands = [price_model_pb2.Band(value=band.value, up_to=band.up_to) for band in bracket.bands]
    return price_model_pb2.Bracket(property=bracket.property, sum_of=bracket.sum_of, bands=bands)


def _read_model(rate: agreement_pb2.Rate, field: str) -> PriceModel | None:
    match rate.WhichOneof("price_model"):
        case "unit":
            return None
        case "flat":
            return FlatModel(rate.flat.price)
        case "graduated":
            return GraduatedModel(_read_tiers(rate.graduated.tiers))
        case "volume":
            return VolumeModel(_read_tiers(rate.volume.tiers))
        case "package":
            return PackageModel(rate.package.package_price)
        case "percentage":
            terms = rate.percentage
            return PercentageModel(terms.percent, terms.fixed_fee or "0", terms.free_usages)
        case "graduated_percentage":
            return GraduatedPercentageModel(_read_percentage_tiers(rate.graduated_percentage.tiers))
        case "multiplier":
            return MultiplierModel(rate.multiplier.factor)
        case None:
            raise FieldRequired(f"{field} is required", field=field)


def _read_tiers(tiers: Iterable[price_model_pb2.PriceTier]) -> tuple[PriceTier, ...]:
    return tuple(
        PriceTier(
            tier.unit_price or "0", tier.flat_fee or "0", tier.up_to if tier.HasField("up_to") else None
        )
        for tier in tiers
    )


def _read_percentage_tiers(
    tiers: Iterable[price_model_pb2.PercentageTier],
) -> tuple[PercentageTier, ...]:
    return tuple(
        PercentageTier(
            tier.percent or "0", tier.flat_fee or "0", tier.up_to if tier.HasField("up_to") else None
        )
        for tier in tiers
    )


def _write_model(message: agreement_pb2.Rate, rate: Rate) -> None:
    match rate.price_model:
        case None:
            message.unit.unit_price = rate.unit_price
        case FlatModel(price=price):
            message.flat.price = price
        case GraduatedModel(tiers=tiers):
            message.graduated.tiers.extend(map(_write_tier, tiers))
        case VolumeModel(tiers=tiers):
            message.volume.tiers.extend(map(_write_tier, tiers))
        case PackageModel(package_price=price):
            message.package.package_price = price
        case PercentageModel() as terms:
            message.percentage.percent = terms.percent
            message.percentage.fixed_fee = terms.fixed_fee
            message.percentage.free_usages = terms.free_usages
        case GraduatedPercentageModel(tiers=percentage_tiers):
            message.graduated_percentage.tiers.extend(map(_write_percentage_tier, percentage_tiers))
        case MultiplierModel(factor=factor):
            message.multiplier.factor = factor


def _write_tier(tier: PriceTier) -> price_model_pb2.PriceTier:
    return price_model_pb2.PriceTier(up_to=tier.up_to, unit_price=tier.unit_price, flat_fee=tier.flat_fee)


def _write_percentage_tier(tier: PercentageTier) -> price_model_pb2.PercentageTier:
    return price_model_pb2.PercentageTier(up_to=tier.up_to, percent=tier.percent, flat_fee=tier.flat_fee)
