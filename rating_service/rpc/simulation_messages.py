"""Simulations as messages: requests read, outcomes written."""

from __future__ import annotations

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import simulation_service_pb2
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.simulating.simulate import CandidateRequest, SimulationRequest
from rating_service.application.simulating.simulation_job import ContractPage, Selection, Told
from rating_service.domain.simulation.outcome import (
    CandidateOutcome,
    CandidateSums,
    ContractOutcome,
    Mover,
    Outcome,
    Progress,
    Sums,
    TierOutcome,
    UnrateableOutcome,
)
from rating_service.rpc.card_messages import read_card, read_plan
from rating_service.rpc.messages import money, read_instant
from rating_service.rpc.traffic_messages import read_traffic


def read_request(message: simulation_service_pb2.SimulateRateCardRequest) -> SimulationRequest:
    """Return what is asked. Refuses FIELD_REQUIRED, FIELD_MALFORMED, TIME_MALFORMED."""
    for field in ("from_time", "to_time"):
        if not message.HasField(field):
            raise RequestRefused(RequestReason.FIELD_REQUIRED, f"{field} is required", field=field)
    if message.HasField("recorded") and message.HasField("synthetic"):
        raise RequestRefused(
            RequestReason.FIELD_MALFORMED, "usage is recorded or synthetic, not both", field="synthetic"
        )
    recorded = message.recorded
    return SimulationRequest(
        candidates=tuple(
            _candidate(each, f"candidates[{place}]") for place, each in enumerate(message.candidates)
        ),
        from_time=read_instant(message.from_time, field="from_time"),
        to_time=read_instant(message.to_time, field="to_time"),
        selection=Selection(
            contracts=tuple(recorded.contracts),
            customers=tuple(recorded.customers),
            share_percent=recorded.share_percent or 100,
            replaced_rate_card=recorded.replaced_rate_card,
        ),
        watermark_position=recorded.watermark_position,
        traffic=read_traffic(message.synthetic) if message.HasField("synthetic") else None,
        baseline=_candidate(message.baseline, "baseline") if message.HasField("baseline") else None,
        threshold_percent=message.threshold_percent,
        movers_max=message.movers_max,
    )


def told_message(told: Told) -> simulation_service_pb2.SimulateRateCardResponse:
    """Return one message of the answer."""
    response = simulation_service_pb2.SimulateRateCardResponse()
    match told:
        case Progress():
            response.progress.usage_count = told.usage_count
            response.progress.done_permille = told.done_permille
        case ContractPage():
            response.contracts.contracts.extend(map(_contract, told.contracts))
        case Outcome():
            response.result.CopyFrom(_result(told))
    return response


def _candidate(message: simulation_service_pb2.SimulationCandidate, field: str) -> CandidateRequest:
    inline_card = message.WhichOneof("rates") == "inline_card"
    inline_plan = message.WhichOneof("terms") == "inline_plan"
    return CandidateRequest(
        label=message.label,
        inline_card=read_card(message.inline_card, field=f"{field}.inline_card") if inline_card else None,
        rate_card=message.rate_card,
        inline_plan=read_plan(message.inline_plan) if inline_plan else None,
        plan=message.plan,
    )


def _result(outcome: Outcome) -> simulation_service_pb2.SimulationResult:
    return simulation_service_pb2.SimulationResult(
        asset=money_pb2.Asset(code=outcome.asset.code, scale=outcome.asset.scale),
        watermark_position=outcome.watermark_position,
        contract_count=outcome.contract_count,
        other_asset_contract_count=outcome.other_asset_contract_count,
        reversed_count=outcome.reversed_count,
        total=_sums(outcome.total),
        months=map(_sums, outcome.months),
        models=map(_sums, outcome.models),
        features=map(_sums, outcome.features),
        dimensions=map(_sums, outcome.dimensions),
        candidates=map(_outcome, outcome.candidates),
        bills_now=map(money, outcome.bills_now),
        best_now_count=outcome.best_now_count,
    )


def _contract(contract: ContractOutcome) -> simulation_service_pb2.SimulatedContract:
    return simulation_service_pb2.SimulatedContract(
        contract=contract.contract,
        customer=contract.customer,
        sums=_sums(contract.sums),
        bill_now=money(contract.bill_now) if contract.bill_now else None,
        bills=[
            simulation_service_pb2.SimulatedBill(
                candidate=bill.candidate,
                bill=money(bill.bill),
                difference_nanos=bill.difference_nanos,
                difference_percent=bill.difference_percent,
            )
            for bill in contract.bills
        ],
        best_candidate=contract.best_candidate,
    )


def _sums(sums: Sums) -> simulation_service_pb2.SimulationSums:
    return simulation_service_pb2.SimulationSums(
        key=sums.key,
        usage_count=sums.usage_count,
        units_now=sums.units_now,
        provider_cost_now=sums.provider_cost_now,
        margin_now=sums.margin_now,
        candidates=map(_side, sums.candidates),
        quantity=sums.quantity,
        cost_currency=sums.cost_currency,
    )


def _side(side: CandidateSums) -> simulation_service_pb2.CandidateSums:
    return simulation_service_pb2.CandidateSums(
        priced_count=side.priced_count,
        unrateable_count=side.unrateable_count,
        units=side.units,
        difference_units=side.difference_units,
        difference_percent=side.difference_percent,
        provider_cost=side.provider_cost,
        margin=side.margin,
    )


def _outcome(outcome: CandidateOutcome) -> simulation_service_pb2.CandidateOutcome:
    return simulation_service_pb2.CandidateOutcome(
        label=outcome.label,
        bills=map(money, outcome.bills),
        dearer_count=outcome.dearer_count,
        cheaper_count=outcome.cheaper_count,
        moved_count=outcome.moved_count,
        winners=map(_mover, outcome.winners),
        losers=map(_mover, outcome.losers),
        tiers=map(_tier, outcome.tiers),
        unrateable=map(_unrateable, outcome.unrateable),
        best_count=outcome.best_count,
    )


def _mover(mover: Mover) -> simulation_service_pb2.SimulationMover:
    return simulation_service_pb2.SimulationMover(
        contract=mover.contract,
        customer=mover.customer,
        now=mover.now,
        simulated=mover.simulated,
        difference=mover.difference,
        difference_percent=mover.difference_percent,
        is_moved=mover.is_moved,
        currency_code=mover.currency_code,
    )


def _tier(tier: TierOutcome) -> simulation_service_pb2.SimulatedTier:
    return simulation_service_pb2.SimulatedTier(
        dimension=tier.dimension,
        model=tier.model,
        match=tier.match,
        tier=tier.tier,
        price=tier.price,
        quantity=tier.quantity,
        units=tier.units,
        share_percent=tier.share_percent,
    )


def _unrateable(kind: UnrateableOutcome) -> simulation_service_pb2.SimulationUnrateable:
    return simulation_service_pb2.SimulationUnrateable(
        reason=kind.reason,
        dimension=kind.dimension,
        property=kind.property,
        usage_count=kind.usage_count,
        units_now=kind.units_now,
        message=kind.message,
        examples=kind.examples,
    )
