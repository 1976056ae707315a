"""The method of WalletService that records what a phase accepted for the past changes of a cycle."""

from __future__ import annotations

from credits.ledger.v1 import adjustment_pb2, rerating_pb2
from ledger_service.application.ports import LogReader
from ledger_service.application.procedures.adjustments import record_adjustment
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.events import Adjustment, Charge, MeterMoved, TakenBack
from ledger_service.domain.names import check_idempotency_key, check_name, check_text, check_unit_price
from ledger_service.domain.refusals import FieldNotAllowed, FieldRequired
from ledger_service.rpc.calls import Context, actor_of
from ledger_service.rpc.part_names import read_part_name, read_phase_name
from ledger_service.rpc.values import read_time, read_unit_price
from ledger_service.rpc.wallets.debit_messages import write_debit


class AdjustmentMethods:
    """Part of the WalletServicer."""

    _writer: Writer
    _reader: LogReader

    async def RecordAdjustment(
        self, request: rerating_pb2.RecordAdjustmentRequest, context: Context
    ) -> rerating_pb2.RecordAdjustmentResponse:
        """Charge or give back what usage of a cycle costs more or less under an accepted phase."""
        check_name(request.name, collection="wallets", field="name")
        check_idempotency_key(request.idempotency_key)
        charge = _read_charge(request)
        outcome = await record_adjustment(
            self._writer,
            self._reader,
            wallet=request.name,
            rate_card=read_phase_name(charge.rate_card_phase, field="charge.rate_card_phase").rate_card,
            charge=charge,
            effective_time=read_time(request.effective_time, field="effective_time")
            if request.HasField("effective_time")
            else None,
            key=request.idempotency_key,
            actor=actor_of(context),
        )
        return rerating_pb2.RecordAdjustmentResponse(
            debit=write_debit(outcome), replayed=outcome.replayed, position=outcome.position
        )


def _read_charge(request: rerating_pb2.RecordAdjustmentRequest) -> Charge:
    charge = request.charge
    if not charge.HasField("adjustment"):
        raise FieldRequired("charge.adjustment is required", field="charge.adjustment")
    if charge.lines:
        raise FieldNotAllowed("charge.lines must be empty: an adjustment is no usage", field="charge.lines")
    check_name(charge.contract, collection="contracts", field="charge.contract")
    for field in ("contract_phase", "phase_hash"):
        check_text(getattr(charge, field), field=f"charge.{field}")
    price = read_unit_price(charge.overage_price) if charge.HasField("overage_price") else None
    if price is not None:
        check_unit_price(price, field="charge.overage_price")
    return Charge(
        charge.contract,
        charge.contract_phase,
        charge.rate_card_phase,
        charge.phase_hash,
        (),
        charge.exact_units,
        overage_price=price,
        adjustment=_read_adjustment(charge.adjustment, request.name),
    )


def _read_adjustment(message: adjustment_pb2.Adjustment, wallet: str) -> Adjustment:
    for field in ("cycle_start_time", "cycle_end_time"):
        if not message.HasField(field):
            raise FieldRequired(f"adjustment.{field} is required", field=f"adjustment.{field}")
    taken_back = []
    for part in message.taken_back:
        debit = read_part_name(part.debit, collection="debits", field="adjustment.taken_back.debit")
        if debit.wallet != wallet:
            raise FieldNotAllowed(
                f"{part.debit} is a debit of another wallet", field="adjustment.taken_back.debit"
            )
        taken_back.append(TakenBack(debit.version, part.amount_units))
    return Adjustment(
        read_time(message.cycle_start_time, field="adjustment.cycle_start_time"),
        read_time(message.cycle_end_time, field="adjustment.cycle_end_time"),
        message.charged_units,
        message.rated_units,
        message.number,
        message.left_units or "0",
        tuple(taken_back),
        tuple(
            MeterMoved(move.meter, move.quantity_before, move.usages_before, move.quantity, move.usages)
            for move in message.meters
        ),
        message.watermark_position,
    )
