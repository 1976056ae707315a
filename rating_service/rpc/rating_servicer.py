"""RatingService on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from credits.ledger.v1 import money_pb2, wallet_pb2
from credits.rating.v1 import rating_service_pb2
from rating_service.application.authorizing.authorize import Authorizing
from rating_service.application.authorizing.settle import Settling
from rating_service.application.metering.intake import UsageIntake
from rating_service.application.metering.quarantine import Entry, Quarantine
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.metering.stream_usage import StreamMetering
from rating_service.application.ports import Posted
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.usage import Charge
from rating_service.rpc.authorization_servicer import AuthorizationMethods
from rating_service.rpc.messages import read_totals
from rating_service.rpc.posted import write_posted
from rating_service.rpc.quarantine_servicer import QuarantineServicer, counted_entry
from rating_service.rpc.statuses import status_of
from rating_service.rpc.stream_servicer import StreamServicer
from rating_service.rpc.usage_messages import quoted, received, received_or_refusal


class RatingServicer(AuthorizationMethods, QuarantineServicer, StreamServicer):
    """Hands usage to the application and its outcome back."""

    def __init__(
        self,
        rating: UsageRating,
        *,
        intake: UsageIntake,
        quarantine: Quarantine,
        streams: StreamMetering,
        authorizing: Authorizing,
        settling: Settling,
        charge_message: Callable[[Charge], wallet_pb2.Charge],
    ) -> None:
        """Serve an application. `charge_message` is how the ledger client writes a charge, so that a quote
        reads exactly as the charge that would be recorded.
        """
        self._rating = rating
        self._intake = intake
        self._quarantine = quarantine
        self._streams = streams
        self._authorizing = authorizing
        self._settling = settling
        self._charge_message = charge_message

    async def RecordUsage(
        self, request: rating_service_pb2.RecordUsageRequest, context: Any = None
    ) -> rating_service_pb2.RecordUsageResponse:
        """Price one usage and debit it, or keep it in quarantine."""
        outcome = await self._intake.record(
            received(_required_usage(request)),
            delivered=not request.refuse_when_short,
            min_position=request.min_position,
        )
        response = rating_service_pb2.RecordUsageResponse()
        if isinstance(outcome, Entry):
            response.quarantined.CopyFrom(counted_entry(outcome))
        else:
            write_posted(response, outcome)
        return response

    async def BatchRecordUsage(
        self, request: rating_service_pb2.BatchRecordUsageRequest, context: Any = None
    ) -> rating_service_pb2.BatchRecordUsageResponse:
        """Price and debit many usages; each has its own outcome."""
        outcomes = await self._intake.record_many(
            [received_or_refusal(message) for message in request.usages],
            delivered=not request.refuse_when_short,
            min_position=request.min_position,
        )
        # Results are written in place: each message handed to a constructor would be copied once more.
        response = rating_service_pb2.BatchRecordUsageResponse()
        add_result = response.results.add
        for outcome in outcomes:
            result = add_result()
            if isinstance(outcome, Posted):
                write_posted(result.response, outcome)
            elif isinstance(outcome, Entry):
                result.quarantined.CopyFrom(counted_entry(outcome))
            else:
                result.error.CopyFrom(status_of(outcome))
        return response

    async def QuoteUsage(
        self, request: rating_service_pb2.QuoteUsageRequest, context: Any = None
    ) -> rating_service_pb2.QuoteUsageResponse:
        """Price a usage without recording anything."""
        quote = await self._rating.quote(
            quoted(_required_usage(request)),
            by_rate_card=request.rate_card,
            min_position=request.min_position,
            totals=read_totals(request.totals_before),
        )
        return rating_service_pb2.QuoteUsageResponse(
            charge=self._charge_message(quote.charge),
            exact_amount=quote.exact_amount,
            margin=quote.margin,
            asset=money_pb2.Asset(code=quote.asset.code, scale=quote.asset.scale),
        )


def _required_usage(
    request: rating_service_pb2.RecordUsageRequest | rating_service_pb2.QuoteUsageRequest,
) -> rating_service_pb2.Usage:
    if not request.HasField("usage"):
        raise RequestRefused(RequestReason.FIELD_REQUIRED, "usage is required", field="usage")
    return request.usage
