"""RatingService on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from credits.ledger.v1 import wallet_pb2
from credits.rating.v1 import rating_service_pb2
from rating_service.application.authorize import Authorizing
from rating_service.application.ports import Posted
from rating_service.application.rate_usage import UsageRating
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.settle import Settling
from rating_service.domain.usage import Charge, Usage
from rating_service.rpc.authorization_servicer import AuthorizationMethods
from rating_service.rpc.messages import read_totals, read_usage
from rating_service.rpc.statuses import status_of


class RatingServicer(AuthorizationMethods):
    """Hands usage to the application and its outcome back."""

    def __init__(
        self,
        rating: UsageRating,
        *,
        authorizing: Authorizing,
        settling: Settling,
        charge_message: Callable[[Charge], wallet_pb2.Charge],
    ) -> None:
        """Serve an application. `charge_message` is how the ledger client writes a charge, so that a quote
        reads exactly as the charge that would be recorded.
        """
        self._rating = rating
        self._authorizing = authorizing
        self._settling = settling
        self._charge_message = charge_message

    async def RecordUsage(
        self, request: rating_service_pb2.RecordUsageRequest, context: Any = None
    ) -> rating_service_pb2.RecordUsageResponse:
        """Price one usage and debit it."""
        posted = await self._rating.record(
            _required_usage(request),
            delivered=not request.refuse_when_short,
            min_position=request.min_position,
        )
        response = rating_service_pb2.RecordUsageResponse()
        _write(response, posted)
        return response

    async def BatchRecordUsage(
        self, request: rating_service_pb2.BatchRecordUsageRequest, context: Any = None
    ) -> rating_service_pb2.BatchRecordUsageResponse:
        """Price and debit many usages; each has its own outcome."""
        outcomes = await self._rating.record_many(
            [_usage_or_refusal(message) for message in request.usages],
            delivered=not request.refuse_when_short,
            min_position=request.min_position,
        )
        # Results are written in place: each message handed to a constructor would be copied once more.
        response = rating_service_pb2.BatchRecordUsageResponse()
        add_result = response.results.add
        for outcome in outcomes:
            result = add_result()
            if isinstance(outcome, Posted):
                _write(result.response, outcome)
            else:
                result.error.CopyFrom(status_of(outcome))
        return response

    async def QuoteUsage(
        self, request: rating_service_pb2.QuoteUsageRequest, context: Any = None
    ) -> rating_service_pb2.QuoteUsageResponse:
        """Price a usage without recording anything."""
        quote = await self._rating.quote(
            _required_usage(request),
            by_rate_card=request.rate_card,
            min_position=request.min_position,
            totals=read_totals(request.totals_before),
        )
        return rating_service_pb2.QuoteUsageResponse(
            charge=self._charge_message(quote.charge),
            exact_amount=quote.exact_amount,
            margin=quote.margin,
        )


def _required_usage(
    request: rating_service_pb2.RecordUsageRequest | rating_service_pb2.QuoteUsageRequest,
) -> Usage:
    if not request.HasField("usage"):
        raise RequestRefused(RequestReason.FIELD_REQUIRED, "usage is required", field="usage")
    return read_usage(request.usage)


def _usage_or_refusal(message: rating_service_pb2.Usage) -> Usage | RequestRefused:
    try:
        return read_usage(message)
    except RequestRefused as refusal:
        return refusal


def _write(response: rating_service_pb2.RecordUsageResponse, posted: Posted) -> None:
    """Write what the ledger answered into an empty response."""
    debit, charge = posted.answer
    response.debit.CopyFrom(debit)
    response.charge.CopyFrom(charge)
    response.replayed = posted.replayed
    response.position = posted.position
