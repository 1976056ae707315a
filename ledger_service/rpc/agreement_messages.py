"""Rate cards, plans and contracts: requests read into commands, states written for the wire."""

from __future__ import annotations

from itertools import pairwise

from credits.ledger.v1 import agreement_pb2, contract_service_pb2, rate_card_service_pb2
from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.commands import CreateRateCard, PublishPlan, PublishRateCardPhase, SignContract
from ledger_service.domain.events import (
    ContractSigned,
    Cycle,
    Multiplier,
    MultiplierTier,
    PlanPhase,
    PlanPublished,
    RateCardPhasePublished,
)
from ledger_service.domain.names import check_id, check_idempotency_key, check_name
from ledger_service.domain.refusals import FieldNotAllowed, FieldRequired, ValueUnspecified
from ledger_service.rpc.price_messages import (
    COUNTERS_WIRE,
    read_bracket,
    read_counters,
    read_rate,
    write_bracket,
    write_rate,
)
from ledger_service.rpc.values import (
    BEYOND,
    BEYOND_WIRE,
    INTERVAL,
    INTERVAL_WIRE,
    SHORTFALL_WIRE,
    read_asset,
    read_money,
    read_shortfall,
    read_time,
    read_unit_price,
    write_asset,
    write_money,
    write_time,
    write_unit_price,
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
    return agreement_pb2.RateCard(
        name=name,
        asset=write_asset(card.asset),
        display_name=card.display_name,
        unit_definitions=card.unit_definitions,
        phases=phases,
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


def read_publish_plan(request: contract_service_pb2.PublishPlanRequest) -> PublishPlan:
    """Return the command. Raises Refusal."""
    check_id(request.plan_id, field="plan_id")
    check_idempotency_key(request.idempotency_key)
    return PublishPlan(
        plan=f"plans/{request.plan_id}",
        asset=read_asset(request.plan.asset),
        phases=tuple(
            _read_plan_phase(phase, f"plan.phases[{index}]")
            for index, phase in enumerate(request.plan.phases)
        ),
        display_name=request.plan.display_name,
    )


def _read_plan_phase(phase: agreement_pb2.PlanPhase, field: str) -> PlanPhase:
    check_name(phase.rate_card, collection="rateCards", field=f"{field}.rate_card")
    return PlanPhase(
        key=phase.key,
        rate_card=phase.rate_card,
        shortfall_mode=read_shortfall(phase.shortfall_mode, field=f"{field}.shortfall_mode"),
        duration=phase.duration,
        base_fee=read_money(phase.base_fee) if phase.HasField("base_fee") else None,
        included_units=phase.included_units,
        overage_price=read_unit_price(phase.overage_price) if phase.HasField("overage_price") else None,
        overage_limit_units=phase.overage_limit_units,
    )


def write_plan(name: str, plan: PlanPublished) -> agreement_pb2.Plan:
    """Return one version of a plan."""
    return agreement_pb2.Plan(
        name=name,
        version=plan.plan_version,
        display_name=plan.display_name,
        asset=write_asset(plan.asset),
        phases=[_write_plan_phase(phase) for phase in plan.phases],
    )


def _write_plan_phase(phase: PlanPhase) -> agreement_pb2.PlanPhase:
    message = agreement_pb2.PlanPhase(
        key=phase.key,
        duration=phase.duration,
        rate_card=phase.rate_card,
        included_units=phase.included_units,
        shortfall_mode=SHORTFALL_WIRE[phase.shortfall_mode],
        overage_limit_units=phase.overage_limit_units,
    )
    if phase.base_fee is not None:
        message.base_fee.CopyFrom(write_money(phase.base_fee))
    if phase.overage_price is not None:
        message.overage_price.CopyFrom(write_unit_price(phase.overage_price))
    return message


def read_sign_contract(request: contract_service_pb2.SignContractRequest) -> SignContract:
    """Return the command. Raises Refusal."""
    check_id(request.contract_id, field="contract_id")
    check_idempotency_key(request.idempotency_key)
    contract = request.contract
    check_name(contract.customer, collection="customers", field="contract.customer")
    check_name(contract.wallet, collection="wallets", field="contract.wallet")
    check_name(contract.plan, collection="plans", field="contract.plan")
    if not contract.HasField("start_time"):
        raise FieldRequired("contract.start_time is required", field="contract.start_time")
    start_time = read_time(contract.start_time, field="contract.start_time")
    interval = INTERVAL.get(contract.cycle.interval)
    if interval is None:
        raise ValueUnspecified("contract.cycle.interval is required", field="contract.cycle.interval")
    anchor_time = start_time
    if contract.cycle.HasField("anchor_time"):
        anchor_time = read_time(contract.cycle.anchor_time, field="contract.cycle.anchor_time")
    return SignContract(
        contract=f"contracts/{request.contract_id}",
        customer=contract.customer,
        wallet=contract.wallet,
        plan=contract.plan,
        plan_version=contract.plan_version,
        start_time=start_time,
        cycle=Cycle(interval, anchor_time, contract.cycle.count or 1, contract.cycle.zone or "UTC"),
    )


def write_contract(name: str, signed: ContractSigned) -> agreement_pb2.Contract:
    """Return a contract with its phases."""
    phases = []
    for phase in signed.phases:
        message = agreement_pb2.ContractPhase(
            key=phase.terms.key,
            from_time=write_time(phase.from_time),
            terms=_write_plan_phase(phase.terms),
        )
        if phase.to_time is not None:
            message.to_time.CopyFrom(write_time(phase.to_time))
        phases.append(message)
    cycle = signed.cycle
    return agreement_pb2.Contract(
        name=name,
        customer=signed.customer,
        wallet=signed.wallet,
        plan=signed.plan,
        plan_version=signed.plan_version,
        start_time=write_time(signed.start_time),
        cycle=agreement_pb2.Cycle(
            interval=INTERVAL_WIRE[cycle.interval],
            count=cycle.count,
            anchor_time=write_time(cycle.anchor_time),
            zone=cycle.zone,
        ),
        phases=phases,
    )
