"""Rate cards: requests read into commands, states written for the wire."""

from __future__ import annotations

from itertools import pairwise

from credits.ledger.v1 import agreement_pb2, contract_changes_pb2, rate_card_service_pb2, rerating_pb2
from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.commands import (
    AcceptRateCardPhase,
    CreateRateCard,
    PublishRateCardPhase,
    RejectRateCardPhase,
    WithdrawRateCardPhase,
)
from ledger_service.domain.events import (
    Multiplier,
    MultiplierTier,
    RateCardPhasePublished,
)
from ledger_service.domain.names import check_id, check_idempotency_key, check_name
from ledger_service.domain.refusals import FieldNotAllowed, FieldRequired, ValueUnspecified
from ledger_service.rpc.agreements.price_messages import (
    COUNTERS_WIRE,
    read_bracket,
    read_counters,
    read_rate,
    write_bracket,
    write_rate,
)
from ledger_service.rpc.part_names import read_phase_name
from ledger_service.rpc.values import (
    BEYOND,
    BEYOND_WIRE,
    read_asset,
    read_time,
    write_asset,
    write_time,
)


def read_create_rate_card(request: rate_card_service_pb2.CreateRateCardRequest) -> CreateRateCard:
    """Return the command. Raises Refusal."""
    check_id(request.rate_card_id, field="rate_card_id")
    check_idempotency_key(request.idempotency_key)
    if request.rate_card.phases:
        raise FieldNotAllowed("rate_card.phases are published one by one", field="rate_card.phases")
    return CreateRateCard(
        rate_card=f"rateCards/{request.rate_card_id}",
        asset=read_asset(request.rate_card.asset),
        display_name=request.rate_card.display_name,
        unit_definitions=dict(sorted(request.rate_card.unit_definitions.items())),
    )


def read_publish_phase(request: rate_card_service_pb2.PublishRateCardPhaseRequest) -> PublishRateCardPhase:
    """Return the command. Raises Refusal."""
    check_name(request.name, collection="rateCards", field="name")
    check_idempotency_key(request.idempotency_key)
    phase = request.phase
    if not phase.HasField("from_time"):
        raise FieldRequired("phase.from_time is required", field="phase.from_time")
    return PublishRateCardPhase(
        rate_card=request.name,
        from_time=read_time(phase.from_time, field="phase.from_time"),
        rates=tuple(read_rate(rate, field=f"phase.rates[{index}]") for index, rate in enumerate(phase.rates)),
        multipliers=tuple(_read_multiplier(each, index) for index, each in enumerate(phase.multipliers)),
        retroactive=request.retroactive,
        brackets=tuple(map(read_bracket, phase.brackets)),
        counters=read_counters(phase.counters),
        cost_currency=phase.cost_currency,
    )


def read_withdraw_phase(request: contract_changes_pb2.WithdrawRateCardPhaseRequest) -> WithdrawRateCardPhase:
    """Return the command. Raises Refusal."""
    name = read_phase_name(request.name)
    check_idempotency_key(request.idempotency_key)
    return WithdrawRateCardPhase(name.rate_card, name.phase)


def read_accept_phase(request: rerating_pb2.AcceptRateCardPhaseRequest) -> AcceptRateCardPhase:
    """Return the command. Raises Refusal."""
    name = read_phase_name(request.name)
    check_idempotency_key(request.idempotency_key)
    return AcceptRateCardPhase(name.rate_card, name.phase, request.watermark_position, request.rerating_hash)


def read_reject_phase(request: rerating_pb2.RejectRateCardPhaseRequest) -> RejectRateCardPhase:
    """Return the command. Raises Refusal."""
    name = read_phase_name(request.name)
    check_idempotency_key(request.idempotency_key)
    return RejectRateCardPhase(name.rate_card, name.phase)


def _read_multiplier(multiplier: agreement_pb2.Multiplier, index: int) -> Multiplier:
    beyond = BEYOND.get(multiplier.beyond_last_tier)
    if beyond is None:
        field = f"phase.multipliers[{index}].beyond_last_tier"
        raise ValueUnspecified(f"{field} must be REFUSE or LAST_APPLIES", field=field)
    return Multiplier(
        property=multiplier.property,
        tiers=tuple(MultiplierTier(tier.up_to, tier.factor) for tier in multiplier.tiers),
        dimensions=tuple(multiplier.dimensions),
        beyond_last_tier=beyond,
        sum_of=tuple(multiplier.sum_of),
    )


def write_rate_card(name: str, card: RateCard) -> agreement_pb2.RateCard:
    """Return a rate card; each phase ends where the next begins."""
    phases = [write_phase(name, phase) for phase in card.phases]
    for phase, following in pairwise(phases):
        phase.to_time.CopyFrom(following.from_time)
    for phase, known in zip(phases, card.phases, strict=True):
        phase.retroactive = known.phase in card.accepted
    return agreement_pb2.RateCard(
        name=name,
        asset=write_asset(card.asset),
        display_name=card.display_name,
        unit_definitions=card.unit_definitions,
        phases=phases,
        proposed_phase=None if card.proposal is None else write_phase(name, card.proposal),
    )


def write_phase(card: str, phase: RateCardPhasePublished) -> agreement_pb2.RateCardPhase:
    """Return a phase of a rate card."""
    return agreement_pb2.RateCardPhase(
        name=f"{card}/phases/{phase.phase}",
        from_time=write_time(phase.from_time),
        rates=list(map(write_rate, phase.rates)),
        multipliers=[_write_multiplier(multiplier) for multiplier in phase.multipliers],
        hash=phase.phase_hash,
        brackets=list(map(write_bracket, phase.brackets)),
        counters=COUNTERS_WIRE[phase.counters],
        cost_currency=phase.cost_currency,
    )


def _write_multiplier(multiplier: Multiplier) -> agreement_pb2.Multiplier:
    return agreement_pb2.Multiplier(
        property=multiplier.property,
        dimensions=multiplier.dimensions,
        tiers=[
            agreement_pb2.MultiplierTier(up_to=tier.up_to, factor=tier.factor) for tier in multiplier.tiers
        ],
        beyond_last_tier=BEYOND_WIRE[multiplier.beyond_last_tier],
        sum_of=multiplier.sum_of,
    )
