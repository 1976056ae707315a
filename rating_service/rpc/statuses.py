"""How each refusal looks on the wire: one table, reason to status code.

A status carries ErrorInfo with a stable (domain, reason), BadRequest where a request field is at fault, and
RetryInfo where coming back helps. What the ledger refused is passed on with the ledger's own details.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from rating_service.application.ports import LedgerRefused, LedgerUnavailableError, StoreUnavailableError
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.refusals import Reason, Refusal

ERROR_DOMAIN: Final = "rating.credits"
RETRY_SECONDS: Final = 1
"""What RetryInfo advises: the ledger and the database are back within a second of a restart, or not soon."""

Known = Refusal | RequestRefused | LedgerRefused | LedgerUnavailableError | StoreUnavailableError
KNOWN: Final = (Refusal, RequestRefused, LedgerRefused, LedgerUnavailableError, StoreUnavailableError)

_C = grpc.StatusCode
CODES: Final[Mapping[Reason | RequestReason, grpc.StatusCode]] = MappingProxyType(
    {
        Reason.MALFORMED_USAGE: _C.INVALID_ARGUMENT,
        Reason.INCONSISTENT_USAGE: _C.INVALID_ARGUMENT,
        Reason.TOO_LATE: _C.FAILED_PRECONDITION,
        Reason.UNKNOWN_CONTRACT: _C.NOT_FOUND,
        Reason.CONTRACT_NOT_IN_FORCE: _C.FAILED_PRECONDITION,
        Reason.UNKNOWN_CUSTOMER: _C.NOT_FOUND,
        Reason.UNKNOWN_RATE_CARD: _C.NOT_FOUND,
        Reason.UNKNOWN_PLAN: _C.NOT_FOUND,
        Reason.ASSET_DIFFERS: _C.FAILED_PRECONDITION,
        Reason.NO_PHASE_IN_FORCE: _C.FAILED_PRECONDITION,
        Reason.NO_QUANTITIES: _C.INVALID_ARGUMENT,
        Reason.NEGATIVE_QUANTITY: _C.INVALID_ARGUMENT,
        Reason.UNKNOWN_DIMENSION: _C.FAILED_PRECONDITION,
        Reason.MISSING_PROPERTY: _C.FAILED_PRECONDITION,
        Reason.INVALID_PROPERTY: _C.INVALID_ARGUMENT,
        Reason.NO_RATE_FOR_USAGE: _C.FAILED_PRECONDITION,
        Reason.BEYOND_LAST_TIER: _C.FAILED_PRECONDITION,
        Reason.AMOUNT_OUT_OF_RANGE: _C.OUT_OF_RANGE,
        Reason.MIXED_CURRENCIES: _C.FAILED_PRECONDITION,
        Reason.CURRENCY_MISMATCH: _C.INVALID_ARGUMENT,
        Reason.LINE_WITHOUT_SPAN: _C.FAILED_PRECONDITION,
        Reason.AMOUNT_NOT_POSITIVE: _C.INVALID_ARGUMENT,
        Reason.AMOUNT_NOT_PAYABLE: _C.INVALID_ARGUMENT,
        Reason.CREDIT_NOTE_ABOVE_INVOICE: _C.FAILED_PRECONDITION,
        RequestReason.FIELD_REQUIRED: _C.INVALID_ARGUMENT,
        RequestReason.FIELD_MALFORMED: _C.INVALID_ARGUMENT,
        RequestReason.FIELD_TOO_LONG: _C.INVALID_ARGUMENT,
        RequestReason.TIME_MALFORMED: _C.INVALID_ARGUMENT,
        RequestReason.NUMBER_OUT_OF_RANGE: _C.INVALID_ARGUMENT,
        RequestReason.BATCH_SIZE_OUT_OF_RANGE: _C.INVALID_ARGUMENT,
        RequestReason.PAGE_TOKEN_MALFORMED: _C.INVALID_ARGUMENT,
        RequestReason.QUARANTINE_NOT_FOUND: _C.NOT_FOUND,
        RequestReason.QUARANTINE_RECORDED: _C.FAILED_PRECONDITION,
        RequestReason.QUARANTINE_DISMISSED: _C.FAILED_PRECONDITION,
        Reason.STREAM_CHUNK_CHANGED: _C.ALREADY_EXISTS,
        Reason.STREAM_ENDED: _C.FAILED_PRECONDITION,
        RequestReason.INVOICE_NOT_FOUND: _C.NOT_FOUND,
        RequestReason.INVOICE_LINE_NOT_FOUND: _C.NOT_FOUND,
        RequestReason.CREDIT_NOTE_NOT_FOUND: _C.NOT_FOUND,
        RequestReason.NO_CREDIT_DUE: _C.FAILED_PRECONDITION,
        RequestReason.IDEMPOTENCY_KEY_REUSED: _C.ALREADY_EXISTS,
        RequestReason.CYCLE_OUTSIDE_CONTRACT: _C.FAILED_PRECONDITION,
        RequestReason.CYCLE_NOT_ENDED: _C.FAILED_PRECONDITION,
        RequestReason.GRACE_NOT_OVER: _C.FAILED_PRECONDITION,
        RequestReason.INVOICES_CONTENDED: _C.ABORTED,
        RequestReason.WATERMARK_BEYOND_LOG: _C.OUT_OF_RANGE,
        RequestReason.WATERMARK_BEFORE_CONTRACT: _C.FAILED_PRECONDITION,
        RequestReason.WATERMARK_BEFORE_INVOICE: _C.FAILED_PRECONDITION,
        RequestReason.PREVIEW_MALFORMED: _C.INVALID_ARGUMENT,
        RequestReason.PREVIEW_STALE: _C.ABORTED,
        RequestReason.PREVIEW_EXPIRED: _C.FAILED_PRECONDITION,
        RequestReason.INCLUDED_CREDIT_REFUSED: _C.FAILED_PRECONDITION,
        RequestReason.EMPTY_SPAN: _C.INVALID_ARGUMENT,
        RequestReason.SIMULATIONS_BUSY: _C.RESOURCE_EXHAUSTED,
        RequestReason.RERATING_NOT_FOUND: _C.NOT_FOUND,
        RequestReason.RERATING_CHANGED: _C.FAILED_PRECONDITION,
        RequestReason.RERATING_INCOMPLETE: _C.FAILED_PRECONDITION,
        RequestReason.HISTORY_BEHIND: _C.UNAVAILABLE,
        RequestReason.NOT_SERVING: _C.UNAVAILABLE,
        RequestReason.LEDGER_UNAVAILABLE: _C.UNAVAILABLE,
        RequestReason.LIMITS_UNAVAILABLE: _C.UNAVAILABLE,
        RequestReason.STORE_UNAVAILABLE: _C.UNAVAILABLE,
    }
)


RETRIED: Final = frozenset({_C.UNAVAILABLE, _C.RESOURCE_EXHAUSTED})
"""Codes after which coming back helps."""


def status_of(known: Known) -> status_pb2.Status:
    """Return the status of a refusal or of a part that is away."""
    match known:
        case LedgerRefused():
            status: status_pb2.Status = known.status
            return status
        case Refusal():
            return _status(known.reason, known.message, metadata=known.metadata)
        case RequestRefused():
            return _status(known.reason, known.message, field=known.field, metadata=known.metadata)
        case LedgerUnavailableError():
            return _status(RequestReason.LEDGER_UNAVAILABLE, "the ledger cannot be reached; try again")
        case StoreUnavailableError():
            return _status(RequestReason.STORE_UNAVAILABLE, "the database cannot be reached; try again")


def internal_status(incident_id: str) -> status_pb2.Status:
    """Return the status of an unexpected error: fixed text and an id to find it in the log."""
    info = error_details_pb2.ErrorInfo(
        domain=ERROR_DOMAIN, reason="INTERNAL", metadata={"incident_id": incident_id}
    )
    return status_pb2.Status(
        code=_number(_C.INTERNAL), message=f"internal error, incident {incident_id}", details=[_packed(info)]
    )


def reason_of(status: status_pb2.Status) -> str:
    """Return the reason in a status, "" if it tells none."""
    info = error_details_pb2.ErrorInfo()
    return next((info.reason for detail in status.details if detail.Unpack(info)), "")


def _status(
    reason: Reason | RequestReason,
    message: str,
    *,
    field: str = "",
    metadata: Mapping[str, str] | None = None,
) -> status_pb2.Status:
    code = CODES[reason]
    details: list[Message] = [
        error_details_pb2.ErrorInfo(domain=ERROR_DOMAIN, reason=reason.value, metadata=metadata or {})
    ]
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if code in RETRIED:
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS)))
    return status_pb2.Status(code=_number(code), message=message, details=[_packed(each) for each in details])


def _number(code: grpc.StatusCode) -> int:
    number: int = code.value[0]
    return number


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
