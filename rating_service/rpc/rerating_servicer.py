"""ReratingService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import rerating_service_pb2, rerating_service_pb2_grpc
from rating_service.application.names import check_card_phase
from rating_service.application.reratings.rerating import PostedAdjustment, Reratings
from rating_service.application.reratings.rerating_case import Rerating
from rating_service.domain.corrections.rerating import CycleRerating, Unrateable
from rating_service.domain.exact import exact_text
from rating_service.rpc.messages import timestamp


class ReratingServicer(rerating_service_pb2_grpc.ReratingServiceServicer):
    """Hands requests to the application and what it finds back."""

    def __init__(self, reratings: Reratings) -> None:
        """Serve an application."""
        self._reratings = reratings

    async def ShowRerating(
        self, request: rerating_service_pb2.ShowReratingRequest, context: Any = None
    ) -> AsyncIterator[rerating_service_pb2.ShowReratingResponse]:
        """Price the usage of a phase's time again."""
        check_card_phase(request.name, field="name")
        async for shown in self._reratings.show(request.name):
            yield rerating_service_pb2.ShowReratingResponse(
                checked_cycles=shown.checked_cycles,
                total_cycles=shown.total_cycles,
                cycle=None if shown.cycle is None else _cycle(shown.cycle),
                rerating=None if shown.rerating is None else _rerating(shown.rerating),
            )

    async def AcceptRerating(
        self, request: rerating_service_pb2.AcceptReratingRequest, context: Any = None
    ) -> AsyncIterator[rerating_service_pb2.AcceptReratingResponse]:
        """Accept a phase and put right what it changes."""
        check_card_phase(request.name, field="name")
        async for progress in self._reratings.accept(request.name, token=request.token):
            yield rerating_service_pb2.AcceptReratingResponse(
                adjusted_cycles=progress.adjusted_cycles,
                total_cycles=progress.total_cycles,
                adjustment=None if progress.posted is None else _posted(progress.posted),
                position=progress.position,
            )

    async def RejectRerating(
        self, request: rerating_service_pb2.RejectReratingRequest, context: Any = None
    ) -> rerating_service_pb2.RejectReratingResponse:
        """Reject a phase."""
        check_card_phase(request.name, field="name")
        replayed, position = await self._reratings.reject(request.name)
        return rerating_service_pb2.RejectReratingResponse(
            name=request.name, replayed=replayed, position=position
        )


def _cycle(found: CycleRerating) -> rerating_service_pb2.CycleRerating:
    return rerating_service_pb2.CycleRerating(
        contract=found.contract.name,
        wallet=found.contract.wallet,
        cycle_start_time=timestamp(found.cycle.start_time),
        cycle_end_time=timestamp(found.cycle.end_time),
        usage_count=found.usage_count,
        differing_count=found.differing_count,
        charged_units=exact_text(found.charged),
        adjusted_units=exact_text(found.adjusted),
        rated_units=exact_text(found.rated),
        difference_units=exact_text(found.difference),
        dimensions=[
            rerating_service_pb2.DimensionRerating(
                dimension=name, charged_units=exact_text(sums.charged), rated_units=exact_text(sums.rated)
            )
            for name, sums in sorted(found.dimensions.items())
        ],
        moved_meters=len(found.meters),
        unrateable_count=found.unrateable_count,
        unrateable=map(_unrateable, found.unrateable),
    )


def _unrateable(each: Unrateable) -> rerating_service_pb2.UnrateableUsage:
    return rerating_service_pb2.UnrateableUsage(
        debit=each.debit.name,
        usage=each.debit.usage,
        reason=each.refusal.reason.value,
        message=each.refusal.message,
    )


def _rerating(found: Rerating) -> rerating_service_pb2.Rerating:
    return rerating_service_pb2.Rerating(
        name=found.phase.name,
        state=rerating_service_pb2.RERATING_STATE_ACCEPTED
        if found.is_accepted
        else rerating_service_pb2.RERATING_STATE_PROPOSED,
        from_time=timestamp(found.phase.from_time),
        to_time=timestamp(found.to_time),
        asset=money_pb2.Asset(code=found.card.asset.code, scale=found.card.asset.scale),
        watermark_position=found.watermark_position,
        token=found.token,
        differing_cycles=found.differing_cycles,
        more_units=exact_text(found.more),
        less_units=exact_text(found.less),
        unrateable_count=found.unrateable_count,
    )


def _posted(posted: PostedAdjustment) -> rerating_service_pb2.PostedAdjustment:
    adjustment = posted.order.charge.adjustment
    assert adjustment is not None, "an adjustment says what it adjusts"
    return rerating_service_pb2.PostedAdjustment(
        contract=posted.order.charge.contract,
        cycle_start_time=timestamp(adjustment.cycle_start_time),
        debit=posted.adjusted.debit,
        charged_units=posted.adjusted.amount_units,
        returned_units=sum(part.amount_units for part in adjustment.taken_back),
        difference_units=exact_text(posted.order.difference),
        replayed=posted.adjusted.replayed,
    )
