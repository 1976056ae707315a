"""Authorization: requests as the application's values, and answers as messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration

from credits.ledger.v1 import wallet_pb2, wallet_service_pb2
from credits.rating.v1 import authorization_pb2
from rating_service.application.authorizing.authorization_ports import OverHold
from rating_service.application.authorizing.authorization_request import ActualUsage, Request
from rating_service.application.authorizing.authorize import Answer
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.authorizing.authorization import (
    Denial,
    DenialReason,
    LimitKind,
    LimitStanding,
    Spender,
)
from rating_service.domain.usage import Charge

ChargeMessage = Callable[[Charge], wallet_pb2.Charge]

OVER_HOLD: Final = {
    wallet_service_pb2.OVER_HOLD_UNSPECIFIED: OverHold.UNSPECIFIED,
    wallet_service_pb2.OVER_HOLD_REJECT: OverHold.REJECT,
    wallet_service_pb2.OVER_HOLD_EXTRA_IF_AVAILABLE: OverHold.EXTRA_IF_AVAILABLE,
}
_SECONDS_MAX: Final = 315_576_000_000
"""The range of a Duration."""
_REASONS: Final = {
    reason: authorization_pb2.DenialReason.Value(f"DENIAL_REASON_{reason.value}") for reason in DenialReason
}
_KINDS: Final = {kind: authorization_pb2.LimitKind.Value(f"LIMIT_KIND_{kind.value}") for kind in LimitKind}


def read_request(message: authorization_pb2.AuthorizeRequest) -> Request:
    """Return the request behind a message. Refuses NUMBER_OUT_OF_RANGE."""
    return Request(
        contract=message.contract,
        quantities=dict(message.quantities),
        properties=dict(message.properties),
        spender=Spender(message.api_key, message.user, message.feature),
        place_hold=message.place_hold,
        hold_ttl=_read_ttl(message.hold_ttl) if message.HasField("hold_ttl") else None,
        key=message.idempotency_key,
        min_position=message.min_position,
    )


def read_used(message: authorization_pb2.SettleRequest) -> ActualUsage:
    """Return the usage behind a message. Refuses FIELD_MALFORMED."""
    over_hold = OVER_HOLD.get(message.over_hold)
    if over_hold is None:
        raise RequestRefused(
            RequestReason.FIELD_MALFORMED, "over_hold is not a value of its enum", field="over_hold"
        )
    return ActualUsage(dict(message.quantities), dict(message.properties), over_hold, message.allow_late)


def answer_message(answer: Answer, charge_message: ChargeMessage) -> authorization_pb2.AuthorizeResponse:
    """Return an answer as a message."""
    return authorization_pb2.AuthorizeResponse(
        allowed=not answer.denials,
        denials=map(_denial, answer.denials),
        retry_after=_duration(answer.retry_after),
        limits=map(_limit, answer.limits),
        estimated_charge=None if answer.charge is None else charge_message(answer.charge),
        estimated_units=answer.units,
        authorization=answer.authorization,
        hold=answer.hold,
        slow_down=_duration(answer.slow_down or None),
        upgrade_hint=answer.upgrade_hint,
        credit_is_advisory=answer.is_advisory,
    )


def _denial(denial: Denial) -> authorization_pb2.Denial:
    return authorization_pb2.Denial(
        reason=_REASONS[denial.reason], message=denial.message, retry_after=_duration(denial.wait)
    )


def _limit(standing: LimitStanding) -> authorization_pb2.LimitStanding:
    return authorization_pb2.LimitStanding(
        kind=_KINDS[standing.kind],
        api_key=standing.api_key,
        budget_id=standing.budget,
        limit=standing.limit,
        remaining=standing.remaining,
    )


def _duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span)
    return message


def _read_ttl(message: Duration) -> timedelta:
    """Return a duration, cut to microseconds; whether a hold may last so long is the ledger's to say."""
    if abs(message.seconds) > _SECONDS_MAX or abs(message.nanos) > 999_999_999:
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE, "hold_ttl is not a duration", field="hold_ttl"
        )
    return timedelta(seconds=message.seconds, microseconds=message.nanos // 1_000)
