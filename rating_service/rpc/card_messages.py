"""Rate cards and plans that somebody asks about, from messages. They are checked where they are used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from credits.ledger.v1 import agreement_pb2, money_pb2, price_model_pb2
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import (
    Asset,
    BeyondLastTier,
    Money,
    Multiplier,
    MultiplierTier,
    PhaseCard,
    Plan,
    PlanPhase,
    Rate,
    RateCard,
    RateCardPhase,
    ShortfallMode,
    UnitPrice,
)
from rating_service.domain.agreements.price_terms import (
    Band,
    Bracket,
    Counters,
    FlatModel,
    GraduatedModel,
    GraduatedPercentageModel,
    MultiplierModel,
    PackageModel,
    PercentageModel,
    PercentageTier,
    PriceModel,
    PriceTier,
    RateScope,
    VolumeModel,
)
from rating_service.rpc.messages import read_instant

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SCOPES: Final = {0: RateScope.CYCLE, 1: RateScope.CYCLE, 2: RateScope.USAGE}
_COUNTERS: Final = {0: Counters.CARRY, 1: Counters.CARRY, 2: Counters.RESTART}
_BEYOND: Final = {0: BeyondLastTier.REFUSE, 1: BeyondLastTier.REFUSE, 2: BeyondLastTier.LAST_APPLIES}


def read_card(message: agreement_pb2.RateCard, *, field: str) -> RateCard:
    """Return a rate card with its phases. Refuses TIME_MALFORMED, FIELD_MALFORMED."""
    phases = [
        _phase(phase, f"{field}.phases[{place}]", place + 1) for place, phase in enumerate(message.phases)
    ]
    return RateCard(message.name, _asset(message.asset), tuple(phases))


def read_plan(message: agreement_pb2.Plan) -> Plan:
    """Return what a plan's phases say of cards and money; what limits usage is left out."""
    return Plan(message.name, message.version, _asset(message.asset), tuple(map(_plan_phase, message.phases)))


def _phase(message: agreement_pb2.RateCardPhase, field: str, number: int) -> RateCardPhase:
    if message.counters not in _COUNTERS:
        raise _malformed(f"{field}.counters", f"{message.counters} is neither CARRY nor RESTART")
    begins = message.HasField("from_time")
    return RateCardPhase(
        name=message.name or f"phases/{number}",
        from_time=read_instant(message.from_time, field=f"{field}.from_time") if begins else _BEGINNING,
        rates=tuple(_rate(rate, f"{field}.rates[{place}]") for place, rate in enumerate(message.rates)),
        phase_hash=message.hash,
        multipliers=tuple(
            _multiplier(each, f"{field}.multipliers[{place}]")
            for place, each in enumerate(message.multipliers)
        ),
        brackets=tuple(map(_bracket, message.brackets)),
        counters=_COUNTERS[message.counters],
        cost_currency=message.cost_currency,
    )


def _rate(message: agreement_pb2.Rate, field: str) -> Rate:
    if message.scope not in _SCOPES:
        raise _malformed(f"{field}.scope", f"{message.scope} is neither CYCLE nor USAGE")
    return Rate(
        dimension=message.dimension,
        unit_price=message.unit.unit_price,
        unit_size=message.unit_size or 1,
        match=dict(message.match),
        price_model=_price_model(message),
        scope=_SCOPES[message.scope],
        free_units=message.free_units,
        usage_minimum=message.usage_minimum,
        usage_maximum=message.usage_maximum,
        cycle_minimum=message.cycle_minimum,
        cycle_maximum=message.cycle_maximum,
        zero_quantity_free=message.zero_quantity_free,
        provider_cost=message.provider_cost,
        charge_if=dict(message.charge_if),
    )


def _price_model(message: agreement_pb2.Rate) -> PriceModel | None:
    match message.WhichOneof("price_model"):
        case "flat":
            return FlatModel(message.flat.price)
        case "graduated":
            return GraduatedModel(tuple(map(_price_tier, message.graduated.tiers)))
        case "volume":
            return VolumeModel(tuple(map(_price_tier, message.volume.tiers)))
        case "package":
            return PackageModel(message.package.package_price)
        case "percentage":
            terms = message.percentage
            return PercentageModel(terms.percent, terms.fixed_fee or "0", terms.free_usages)
        case "graduated_percentage":
            shares = message.graduated_percentage.tiers
            return GraduatedPercentageModel(tuple(map(_percentage_tier, shares)))
        case "multiplier":
            return MultiplierModel(message.multiplier.factor)
        case _:
            return None


def _price_tier(tier: price_model_pb2.PriceTier) -> PriceTier:
    return PriceTier(tier.unit_price or "0", tier.flat_fee or "0", _end(tier))


def _percentage_tier(tier: price_model_pb2.PercentageTier) -> PercentageTier:
    return PercentageTier(tier.percent or "0", tier.flat_fee or "0", _end(tier))


def _end(
    step: price_model_pb2.PriceTier | price_model_pb2.PercentageTier | price_model_pb2.Band,
) -> int | None:
    return step.up_to if step.HasField("up_to") else None


def _multiplier(message: agreement_pb2.Multiplier, field: str) -> Multiplier:
    if message.beyond_last_tier not in _BEYOND:
        raise _malformed(f"{field}.beyond_last_tier", "is neither REFUSE nor LAST_APPLIES")
    return Multiplier(
        property=message.property,
        tiers=tuple(MultiplierTier(tier.up_to, tier.factor) for tier in message.tiers),
        dimensions=tuple(message.dimensions),
        beyond_last_tier=_BEYOND[message.beyond_last_tier],
        sum_of=tuple(message.sum_of),
    )


def _bracket(message: price_model_pb2.Bracket) -> Bracket:
    bands = tuple(Band(band.value, _end(band)) for band in message.bands)
    return Bracket(message.property, tuple(message.sum_of), bands)


def _plan_phase(message: agreement_pb2.PlanPhase) -> PlanPhase:
    return PlanPhase(
        key=message.key,
        rate_card=message.rate_card,
        shortfall_mode=ShortfallMode.SOFT,
        base_fee=_money(message.base_fee) if message.HasField("base_fee") else None,
        included_units=message.included_units,
        overage_price=_price(message.overage_price) if message.HasField("overage_price") else None,
        seat_fee=_money(message.seat_fee) if message.HasField("seat_fee") else None,
        seats=message.seats,
        minimum_spend=_money(message.minimum_spend) if message.HasField("minimum_spend") else None,
        maximum_spend=_money(message.maximum_spend) if message.HasField("maximum_spend") else None,
        additional_cards=tuple(
            PhaseCard(card.rate_card, tuple(card.features), dict(card.match))
            for card in message.additional_cards
        ),
    )


def _money(message: money_pb2.Money) -> Money:
    return Money(message.currency_code, message.nanos)


def _price(message: money_pb2.UnitPrice) -> UnitPrice:
    return UnitPrice(message.currency_code, message.price)


def _asset(message: money_pb2.Asset) -> Asset:
    return Asset(message.code, message.scale)


def _malformed(field: str, text: str) -> RequestRefused:
    return RequestRefused(RequestReason.FIELD_MALFORMED, f"{field} {text}", field=field)
