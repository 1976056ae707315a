"""Plans and contracts: requests read into commands, states written for the wire."""

from __future__ import annotations

from collections.abc import Container

from credits.ledger.v1 import agreement_pb2, contract_service_pb2
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.contract_changes import PATHS
from ledger_service.domain.commands import PublishPlan, SignContract
from ledger_service.domain.events import ContractPhase, Cycle, PhaseCard, PlanPhase, PlanPublished
from ledger_service.domain.names import check_id, check_idempotency_key, check_name
from ledger_service.domain.refusals import FieldRequired, ValueUnspecified
from ledger_service.domain.values import ShortfallMode
from ledger_service.rpc.agreements.billing_terms_messages import read_billing_terms, write_billing_terms
from ledger_service.rpc.values import (
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


def read_publish_plan(request: contract_service_pb2.PublishPlanRequest) -> PublishPlan:
    """Return the command. Raises Refusal."""
    check_id(request.plan_id, field="plan_id")
    check_idempotency_key(request.idempotency_key)
    return PublishPlan(
        plan=f"plans/{request.plan_id}",
        asset=read_asset(request.plan.asset),
        phases=tuple(
            read_plan_phase(phase, f"plan.phases[{index}]", PATHS)
            for index, phase in enumerate(request.plan.phases)
        ),
        display_name=request.plan.display_name,
    )


def read_plan_phase(phase: agreement_pb2.PlanPhase, field: str, paths: Container[str]) -> PlanPhase:
    """Return terms; only of those in `paths` is it checked whether they are there. Raises Refusal."""
    mode = ShortfallMode.HARD
    if "rate_card" in paths:
        check_name(phase.rate_card, collection="rateCards", field=f"{field}.rate_card")
    if "shortfall_mode" in paths:
        mode = read_shortfall(phase.shortfall_mode, field=f"{field}.shortfall_mode")
    return PlanPhase(
        key=phase.key,
        rate_card=phase.rate_card,
        shortfall_mode=mode,
        duration=phase.duration,
        base_fee=read_money(phase.base_fee) if phase.HasField("base_fee") else None,
        included_units=phase.included_units,
        overage_price=read_unit_price(phase.overage_price) if phase.HasField("overage_price") else None,
        overage_limit_units=phase.overage_limit_units,
        features=tuple(phase.features),
        requests_per_minute=phase.requests_per_minute,
        tokens_per_minute=phase.tokens_per_minute,
        alert_percents=tuple(phase.alert_percents),
        spend_cap_units=phase.spend_cap_units,
        spend_cap_period=phase.spend_cap_period,
        key_requests_per_minute=phase.key_requests_per_minute,
        key_tokens_per_minute=phase.key_tokens_per_minute,
        slow_down_from_percent=phase.slow_down_from_percent,
        slow_down_max_delay_ms=phase.slow_down_max_delay_ms,
        upgrade_hint=phase.upgrade_hint,
        additional_cards=tuple(
            PhaseCard(card.rate_card, tuple(card.features), dict(sorted(card.match.items())))
            for card in phase.additional_cards
        ),
        **read_billing_terms(phase),
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
        features=phase.features,
        requests_per_minute=phase.requests_per_minute,
        tokens_per_minute=phase.tokens_per_minute,
        alert_percents=phase.alert_percents,
        spend_cap_units=phase.spend_cap_units,
        spend_cap_period=phase.spend_cap_period,
        key_requests_per_minute=phase.key_requests_per_minute,
        key_tokens_per_minute=phase.key_tokens_per_minute,
        slow_down_from_percent=phase.slow_down_from_percent,
        slow_down_max_delay_ms=phase.slow_down_max_delay_ms,
        upgrade_hint=phase.upgrade_hint,
        additional_cards=[
            agreement_pb2.PhaseCard(rate_card=card.rate_card, features=card.features, match=card.match)
            for card in phase.additional_cards
        ],
    )
    if phase.base_fee is not None:
        message.base_fee.CopyFrom(write_money(phase.base_fee))
    if phase.overage_price is not None:
        message.overage_price.CopyFrom(write_unit_price(phase.overage_price))
    write_billing_terms(message, phase)
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


def write_contract(name: str, contract: Contract) -> agreement_pb2.Contract:
    """Return a contract with its phases."""
    signed, cycle = contract.signed, contract.signed.cycle
    message = agreement_pb2.Contract(
        name=name,
        customer=signed.customer,
        wallet=signed.wallet,
        plan=contract.plan,
        plan_version=contract.plan_version,
        start_time=write_time(signed.start_time),
        cycle=agreement_pb2.Cycle(
            interval=INTERVAL_WIRE[cycle.interval],
            count=cycle.count,
            anchor_time=write_time(cycle.anchor_time),
            zone=cycle.zone,
        ),
        phases=[write_contract_phase(phase) for phase in contract.phases],
        change_version=contract.change_version,
    )
    end_time = contract.phases[-1].to_time if contract.phases else contract.end_time
    if end_time is not None:
        message.end_time.CopyFrom(write_time(end_time))
    return message


def write_contract_phase(phase: ContractPhase) -> agreement_pb2.ContractPhase:
    """Return a phase with its instants."""
    message = agreement_pb2.ContractPhase(
        key=phase.terms.key,
        from_time=write_time(phase.from_time),
        terms=_write_plan_phase(phase.terms),
    )
    if phase.to_time is not None:
        message.to_time.CopyFrom(write_time(phase.to_time))
    return message
