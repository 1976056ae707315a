"""Traces of debits, written for the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from credits.ledger.v1 import debit_trace_pb2, price_model_pb2
from ledger_service.application.auditing.charge_trace import ChargeTrace
from ledger_service.application.auditing.charge_trace import LineTrace as TracedLine
from ledger_service.application.auditing.debit_trace import DebitTrace, DrawTrace, LaterTrace, LotRevenue
from ledger_service.application.auditing.trace_arithmetic import line_arithmetic, part_steps
from ledger_service.application.writing.calls import Outcome
from ledger_service.domain.values import Money
from ledger_service.rpc.agreements.price_messages import write_rate
from ledger_service.rpc.part_names import write_part_name
from ledger_service.rpc.values import CATEGORY_WIRE, write_asset, write_money, write_time
from ledger_service.rpc.wallets.debit_messages import fill_debit, write_charge

_PART_PREFIX: Final = "CHARGE_PART_KIND_"


def write_debit_trace(trace: DebitTrace) -> debit_trace_pb2.DebitTrace:
    """Return a traced debit."""
    message = debit_trace_pb2.DebitTrace(
        position=trace.position,
        asset=write_asset(trace.asset),
        idempotency_key=trace.fact.idempotency_key,
        actor=trace.fact.actor,
        draws=write_draw_traces(trace.wallet, trace.draws),
        reversals=[_write_later(trace.wallet, each, "reversals") for each in trace.reversals],
        repayments=[_write_later(trace.wallet, each, "repayments") for each in trace.repayments],
    )
    fill_debit(message.debit, Outcome(trace.wallet, trace.version, trace.position, trace.fact))
    if trace.charge is not None:
        message.debit.charge.CopyFrom(write_charge(trace.charge.charge, trace.wallet))
        _fill_price(message, trace, trace.charge)
    return message


def _fill_price(message: debit_trace_pb2.DebitTrace, trace: DebitTrace, charge: ChargeTrace) -> None:
    phase = charge.phase
    if phase is not None:
        message.phase.name = charge.charge.rate_card_phase
        message.phase.phase_hash = phase.phase_hash
        message.phase.from_time.CopyFrom(write_time(phase.from_time))
        if charge.to_time is not None:
            message.phase.to_time.CopyFrom(write_time(charge.to_time))
    message.lines.extend(_write_line(line, trace.asset.scale) for line in charge.lines)
    message.difference = charge.difference
    message.units.exact_units = charge.charge.exact_units
    message.units.fraction_before = f"{trace.fraction_before:f}"
    message.units.fraction_after = f"{trace.fraction_after:f}"
    message.units.whole_units = trace.event.amount_units


def _write_line(traced: TracedLine, scale: int) -> debit_trace_pb2.LineTrace:
    line = traced.line
    message = debit_trace_pb2.LineTrace(
        dimension=line.dimension,
        quantity=line.quantity,
        parts=[
            debit_trace_pb2.PartTrace(
                kind=price_model_pb2.ChargePartKind.Value(f"{_PART_PREFIX}{step.part.kind}"),
                tier=step.part.tier,
                exact_units=step.part.exact_units,
                running_units=step.running_units,
                arithmetic=step.arithmetic,
            )
            for step in part_steps(line, scale=scale)
        ],
        exact_units=line.exact_units,
        arithmetic=line_arithmetic(line, scale=scale),
        agrees=traced.agrees,
    )
    if traced.explained is not None:
        message.rate.CopyFrom(write_rate(traced.explained.rate))
        for each in traced.explained.multipliers:
            message.multipliers.add(property=each.property, factor=each.factor)
    before = line.total_before
    if before is not None:
        message.total_before.meter = message.total_after.meter = before.meter
        message.total_before.quantity, message.total_before.usages = before.quantity, before.usages
        message.total_after.quantity = before.quantity + line.quantity
        message.total_after.usages = before.usages + 1
    return message


def write_draw_traces(wallet: str, draws: Iterable[DrawTrace]) -> list[debit_trace_pb2.DrawTrace]:
    """Return what lots paid or got back."""
    return [_write_draw(wallet, draw) for draw in draws]


def _write_draw(wallet: str, draw: DrawTrace) -> debit_trace_pb2.DrawTrace:
    terms = draw.terms
    message = debit_trace_pb2.DrawTrace(
        grant=write_part_name(wallet, "grants", draw.grant_version),
        amount_units=draw.amount_units,
        held_units=draw.held_units,
        late=draw.late,
        category=CATEGORY_WIRE[terms.category],
        priority=terms.priority,
        scope=terms.scope,
        effective_time=write_time(terms.effective_time),
        granted_units=terms.granted_units,
    )
    if terms.expire_time is not None:
        message.expire_time.CopyFrom(write_time(terms.expire_time))
    if draw.before is not None and draw.after is not None:
        message.drawn_units_before = draw.before.drawn_units
        for field, nanos in (
            (message.consideration, draw.before.consideration_nanos),
            (message.recognised_before, draw.before.recognised_nanos),
            (message.recognised_after, draw.after.recognised_nanos),
            (message.cost_basis, draw.cost_basis_nanos),
        ):
            field.CopyFrom(write_money(_money(draw.before, nanos)))
    return message


def _money(lot: LotRevenue, nanos: int) -> Money:
    return Money(lot.currency_code, nanos)


def _write_later(wallet: str, later: LaterTrace, collection: str) -> debit_trace_pb2.LaterTrace:
    return debit_trace_pb2.LaterTrace(
        name=write_part_name(wallet, collection, later.version),
        effective_time=write_time(later.effective_time),
        record_time=write_time(later.record_time),
        amount_units=later.amount_units,
        draws=write_draw_traces(wallet, later.draws),
        overage_units=later.overage_units,
        debt_units=later.debt_units,
    )
