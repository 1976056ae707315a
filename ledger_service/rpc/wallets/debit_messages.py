"""Debits, captures, holds and reversals as recorded, written for the wire."""

from __future__ import annotations

from collections.abc import Iterable

from credits.ledger.v1 import adjustment_pb2, wallet_pb2, wallet_service_pb2
from ledger_service.application.writing.calls import Outcome
from ledger_service.domain.events import (
    Adjustment,
    Charge,
    CreditsDebited,
    CreditsHeld,
    DebitReversed,
    Draw,
    HoldCaptured,
    Return,
)
from ledger_service.rpc.charge_parts import write_terms
from ledger_service.rpc.part_names import write_part_name
from ledger_service.rpc.values import fill_time, write_time, write_unit_price


def write_draws(wallet: str, draws: Iterable[Draw | Return]) -> list[wallet_pb2.Draw]:
    """Return draws on a wallet's lots, or slices, or what went back."""
    return [
        wallet_pb2.Draw(grant=f"{wallet}/grants/{draw.grant_version}", amount_units=draw.amount_units)
        for draw in draws
    ]


def write_debit_response(
    outcome: Outcome, response: wallet_service_pb2.DebitResponse | None = None
) -> wallet_service_pb2.DebitResponse:
    """Return the answer to a Debit, written in place if a message is given: an item of a batch is not copied then."""
    if response is None:
        response = wallet_service_pb2.DebitResponse()
    fill_debit(response.debit, outcome)
    if outcome.replayed:
        response.replayed = True
    response.position = outcome.position
    return response


def write_debit(outcome: Outcome) -> wallet_pb2.Debit:
    """Return the debit that a Debit or a CaptureHold recorded."""
    debit = wallet_pb2.Debit()
    fill_debit(debit, outcome)
    return debit


def fill_debit(debit: wallet_pb2.Debit, outcome: Outcome) -> None:
    """Write a debit into an empty message, field by field: building and copying parts costs three times as much."""
    fact, stream = outcome.fact, outcome.stream
    event = fact.event
    assert isinstance(event, CreditsDebited | HoldCaptured)
    debit.name = f"{stream}/debits/{outcome.version}"
    debit.amount_units = event.amount_units
    hold_version, draws = _hold_and_draws(event)
    for draw in draws:
        debit.draws.add(grant=f"{stream}/grants/{draw.grant_version}", amount_units=draw.amount_units)
    if isinstance(event, CreditsDebited) and event.late_grants:
        debit.late_grants.extend(f"{stream}/grants/{version}" for version in event.late_grants)
    fill_time(debit.effective_time, fact.effective_time)
    fill_time(debit.record_time, fact.record_time)
    debit.burn_down_order = event.burn_down_order
    if event.overage_units:
        debit.overage_units = event.overage_units
    if event.feature:
        debit.feature = event.feature
    if event.api_key:
        debit.api_key = event.api_key
    if event.user:
        debit.user = event.user
    if event.debt_units:
        debit.debt_units = event.debt_units
    if hold_version:
        debit.hold = write_part_name(stream, "holds", hold_version)
        debit.late = isinstance(event, CreditsDebited)
    if outcome.replayed and event.charge is not None:
        debit.charge.CopyFrom(write_charge(event.charge, stream))


def _hold_and_draws(event: CreditsDebited | HoldCaptured) -> tuple[int, tuple[Draw, ...]]:
    if isinstance(event, HoldCaptured):
        return event.hold_version, (*event.held_draws, *event.draws)
    return event.late_hold_version, event.draws


def write_hold(outcome: Outcome) -> wallet_pb2.Hold:
    """Return the hold that a Hold recorded."""
    event = outcome.fact.event
    assert isinstance(event, CreditsHeld)
    return wallet_pb2.Hold(
        name=write_part_name(outcome.stream, "holds", outcome.version),
        amount_units=event.amount_units,
        slices=write_draws(outcome.stream, event.slices),
        create_time=write_time(outcome.fact.effective_time),
        expire_time=write_time(event.expire_time),
        feature=event.feature,
        burn_down_order=event.burn_down_order,
        api_key=event.api_key,
        user=event.user,
    )


def write_reversal(outcome: Outcome) -> wallet_pb2.Reversal:
    """Return the reversal that a ReverseDebit recorded."""
    event = outcome.fact.event
    assert isinstance(event, DebitReversed)
    return wallet_pb2.Reversal(
        name=write_part_name(outcome.stream, "reversals", outcome.version),
        debit=write_part_name(outcome.stream, "debits", event.debit_version),
        amount_units=event.amount_units,
        returned=write_draws(outcome.stream, event.returned),
        overage_units=event.overage_units,
        debt_units=event.debt_units,
        effective_time=write_time(outcome.fact.effective_time),
    )


def write_charge(charge: Charge, wallet: str) -> wallet_pb2.Charge:
    """Return a recorded charge of a wallet."""
    lines = [
        wallet_pb2.ChargeLine(
            dimension=line.dimension,
            quantity=line.quantity,
            unit_size=line.unit_size,
            unit_price=line.unit_price,
            multiplier=line.multiplier,
            exact_units=line.exact_units,
        )
        for line in charge.lines
    ]
    message = wallet_pb2.Charge(
        contract=charge.contract,
        contract_phase=charge.contract_phase,
        rate_card_phase=charge.rate_card_phase,
        phase_hash=charge.phase_hash,
        properties=charge.properties,
        lines=lines,
        exact_units=charge.exact_units,
        provider_cost=charge.provider_cost,
        cost_currency=charge.cost_currency,
    )
    for written, line in zip(message.lines, charge.lines, strict=True):
        write_terms(written, line)
    if charge.overage_price is not None:
        message.overage_price.CopyFrom(write_unit_price(charge.overage_price))
    if charge.adjustment is not None:
        message.adjustment.CopyFrom(write_adjustment(charge.adjustment, wallet))
    return message


def write_adjustment(adjustment: Adjustment, wallet: str) -> adjustment_pb2.Adjustment:
    """Return what an adjustment puts right."""
    return adjustment_pb2.Adjustment(
        cycle_start_time=write_time(adjustment.cycle_start_time),
        cycle_end_time=write_time(adjustment.cycle_end_time),
        number=adjustment.number,
        charged_units=adjustment.charged_units,
        rated_units=adjustment.rated_units,
        left_units=adjustment.left_units,
        taken_back=[
            adjustment_pb2.TakenBack(
                debit=write_part_name(wallet, "debits", part.debit_version), amount_units=part.amount_units
            )
            for part in adjustment.taken_back
        ],
        meters=[
            adjustment_pb2.MeterMove(
                meter=move.meter,
                quantity_before=move.quantity_before,
                usages_before=move.usages_before,
                quantity=move.quantity,
                usages=move.usages,
            )
            for move in adjustment.meters
        ],
        watermark_position=adjustment.watermark_position,
    )
