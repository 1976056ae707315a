"""The part of RatingService that authorizes and settles."""

from __future__ import annotations

from typing import Any

from credits.rating.v1 import authorization_pb2, rating_service_pb2_grpc
from rating_service.application.authorizing.authorize import Authorizing
from rating_service.application.authorizing.settle import Settling
from rating_service.rpc.authorization_messages import ChargeMessage, answer_message, read_request, read_used


class AuthorizationMethods(rating_service_pb2_grpc.RatingServiceServicer):
    """Hands requests to the application and its answers back."""

    _authorizing: Authorizing
    _settling: Settling
    _charge_message: ChargeMessage

    async def Authorize(
        self, request: authorization_pb2.AuthorizeRequest, context: Any = None
    ) -> authorization_pb2.AuthorizeResponse:
        """Say whether a request may run."""
        answer = await self._authorizing.authorize(read_request(request))
        return answer_message(answer, self._charge_message)

    async def Settle(
        self, request: authorization_pb2.SettleRequest, context: Any = None
    ) -> authorization_pb2.SettleResponse:
        """Debit what an authorized request used."""
        posted = await self._settling.settle(request.authorization, read_used(request))
        debit, charge = posted.answer
        return authorization_pb2.SettleResponse(
            debit=debit, charge=charge, replayed=posted.replayed, position=posted.position
        )

    async def CancelAuthorization(
        self, request: authorization_pb2.CancelAuthorizationRequest, context: Any = None
    ) -> authorization_pb2.CancelAuthorizationResponse:
        """Give back what was taken for a request that did not run."""
        released = await self._settling.cancel(request.authorization)
        return authorization_pb2.CancelAuthorizationResponse(
            released_units=released.amount_units, replayed=released.replayed
        )
