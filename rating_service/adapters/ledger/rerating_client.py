"""The ledger's part in re-rating over gRPC, sent again while the ledger is away like every other command."""

from __future__ import annotations

from typing import Final

import grpc
from google.rpc import error_details_pb2, status_pb2

from credits.ledger.v1 import (
    rate_card_service_pb2_grpc,
    rerating_pb2,
    wallet_pb2,
    wallet_service_pb2_grpc,
)
from rating_service.adapters.ledger.ledger_client import call_ledger
from rating_service.adapters.ledger.ledger_messages import write_charge, write_instant
from rating_service.application.ports import LedgerRefused
from rating_service.application.reratings.rerating_ports import Adjusted, Decided
from rating_service.domain.corrections.rerating_plan import AdjustmentOrder
from rating_service.domain.usage import Adjustment

LOST_RACES: Final = frozenset(
    {
        grpc.StatusCode.ALREADY_EXISTS.value[0],
        grpc.StatusCode.ABORTED.value[0],
    }
)
"""Codes with which the ledger refuses what was decided on figures that are no longer true."""
REVERSAL_EXCEEDS_DEBIT: Final = "REVERSAL_EXCEEDS_DEBIT"
"""Reason of the same, where a debit was taken back meanwhile."""


class ReratingClient:
    """ReratingLedger over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Call over a channel."""
        self._cards = rate_card_service_pb2_grpc.RateCardServiceStub(channel)
        self._wallets = wallet_service_pb2_grpc.WalletServiceStub(channel)

    async def accept(self, phase: str, *, key: str, watermark_position: int, rerating_hash: str) -> Decided:
        """Let a proposed phase be in force for its time."""
        request = rerating_pb2.AcceptRateCardPhaseRequest(
            name=phase,
            idempotency_key=key,
            watermark_position=watermark_position,
            rerating_hash=rerating_hash,
        )
        answer = await call_ledger(self._cards.AcceptRateCardPhase, request)
        return Decided(answer.replayed, answer.position)

    async def reject(self, phase: str, *, key: str) -> Decided:
        """Withdraw the proposal of a phase."""
        request = rerating_pb2.RejectRateCardPhaseRequest(name=phase, idempotency_key=key)
        answer = await call_ledger(self._cards.RejectRateCardPhase, request)
        return Decided(answer.replayed, answer.position)

    async def adjust(self, order: AdjustmentOrder) -> Adjusted | None:
        """Record an adjustment; None if others were faster, so that it is to be decided again."""
        request = rerating_pb2.RecordAdjustmentRequest(name=order.wallet, idempotency_key=order.key)
        write_charge(request.charge, order.charge)
        assert order.charge.adjustment is not None, "an adjustment says what it adjusts"
        _write_adjustment(request.charge, order.charge.adjustment, order.wallet)
        if order.effective_time is not None:
            write_instant(request.effective_time, order.effective_time)
        try:
            answer = await call_ledger(self._wallets.RecordAdjustment, request)
        except LedgerRefused as refused:
            if _is_lost_race(refused.status):
                return None
            raise
        return Adjusted(answer.debit.name, answer.debit.amount_units, answer.replayed, answer.position)


def _write_adjustment(message: wallet_pb2.Charge, adjustment: Adjustment, wallet: str) -> None:
    written = message.adjustment
    write_instant(written.cycle_start_time, adjustment.cycle_start_time)
    write_instant(written.cycle_end_time, adjustment.cycle_end_time)
    written.number = adjustment.number
    written.charged_units = adjustment.charged_units
    written.rated_units = adjustment.rated_units
    written.left_units = adjustment.left_units
    written.watermark_position = adjustment.watermark_position
    for part in adjustment.taken_back:
        written.taken_back.add(debit=f"{wallet}/debits/{part.debit_version}", amount_units=part.amount_units)
    for move in adjustment.meters:
        written.meters.add(
            meter=move.meter,
            quantity_before=move.quantity_before,
            usages_before=move.usages_before,
            quantity=move.quantity,
            usages=move.usages,
        )


def _is_lost_race(status: status_pb2.Status) -> bool:
    info = error_details_pb2.ErrorInfo()
    is_told = any(detail.Unpack(info) for detail in status.details)
    return status.code in LOST_RACES or (is_told and info.reason == REVERSAL_EXCEEDS_DEBIT)
