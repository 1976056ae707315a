"""What happens around every call: the gate, refusals as statuses, one line in the log, and the metrics.

Methods are wrapped once, when the server is built; an interceptor would wrap each call anew, which costs more
than everything that is done here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

import grpc
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status

from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.rpc.metrics import CALL_SECONDS, CALLED_ITEMS
from rating_service.rpc.statuses import KNOWN, internal_status, reason_of, status_of

METHODS: Final = {
    "credits.rating.v1.RatingService": (
        "RecordUsage",
        "BatchRecordUsage",
        "QuoteUsage",
        "StreamUsage",
        "ListQuarantine",
        "RetryQuarantine",
        "DismissQuarantine",
        "Authorize",
        "Settle",
        "CancelAuthorization",
    ),
    "credits.rating.v1.InvoiceService": (
        "PreviewInvoice",
        "IssueInvoice",
        "GetInvoice",
        "ListInvoices",
        "TraceLine",
        "IssueCreditNote",
        "GetCreditNote",
        "ListCreditNotes",
        "GetCustomerBalance",
        "ListCreditDue",
        "SettleCreditDue",
        "VerifyDocuments",
        "RunBilling",
        "ListCycles",
        "PreviewPlanChange",
        "CommitPlanChange",
        "MigrateContracts",
    ),
    "credits.rating.v1.ReratingService": (
        "ShowRerating",
        "AcceptRerating",
        "RejectRerating",
    ),
    "credits.rating.v1.UsageReportService": (
        "GetUsage",
        "GetRemainingCredit",
        "GetForecast",
        "ListBills",
        "CheckUsage",
    ),
    "credits.rating.v1.SimulationService": ("SimulateRateCard",),
}
"""Methods by service; a test compares them with the protos."""

STREAMS: Final = frozenset(
    {
        "StreamUsage",
        "VerifyDocuments",
        "RunBilling",
        "MigrateContracts",
        "ShowRerating",
        "AcceptRerating",
        "SimulateRateCard",
    }
)
"""Methods whose answers are streams."""

Method = Callable[[Any, Any], Awaitable[Any]]
StreamMethod = Callable[[Any, Any], AsyncIterator[Any]]
log = structlog.get_logger("rating.call")


def wrap(method: Method, name: str, *, is_open: Callable[[], bool]) -> Method:
    """Return the method with all that belongs around it.

    Calls are refused with NOT_SERVING until `is_open`: before that, answers would be wrong, not just late.
    """

    async def call(request: Any, context: Any) -> Any:
        started = perf_counter()
        code = grpc.StatusCode.CANCELLED
        reason = ""
        try:
            answer, status = await _answer(method, request, is_open=is_open)
            code, reason = _code_and_reason(status)
        finally:
            _account(name, code, reason, seconds=perf_counter() - started, count=_item_count(request))
        if status is not None:
            await context.abort_with_status(rpc_status.to_status(status))
        return answer

    return call


def wrap_stream(method: StreamMethod, name: str, *, is_open: Callable[[], bool]) -> StreamMethod:
    """Return a method that answers by a stream with all that belongs around it; it counts its answers.

    What it refuses after some answers ends the stream with the status.
    """

    async def call(requests: Any, context: Any) -> AsyncIterator[Any]:
        started = perf_counter()
        code, status, count = grpc.StatusCode.CANCELLED, None, 0
        try:
            if is_open():
                async for answer in method(requests, None):
                    count += 1
                    yield answer
            else:
                status = status_of(_not_serving())
            code, _ = _code_and_reason(status)
        except KNOWN as known:
            status = status_of(known)
            code, _ = _code_and_reason(status)
        except Exception:
            incident_id = uuid4().hex
            log.exception("unexpected_error", incident_id=incident_id)
            status = internal_status(incident_id)
            code = grpc.StatusCode.INTERNAL
        finally:
            reason = "" if status is None else reason_of(status)
            _account(name, code, reason, seconds=perf_counter() - started, count=count)
        if status is not None:
            await context.abort_with_status(rpc_status.to_status(status))

    return call


async def _answer(
    method: Method, request: Any, *, is_open: Callable[[], bool]
) -> tuple[Any, status_pb2.Status | None]:
    """Return the answer, or the status of why there is none."""
    try:
        if not is_open():
            raise _not_serving()
        return await method(request, None), None
    except KNOWN as known:
        return None, status_of(known)
    except Exception:
        incident_id = uuid4().hex
        log.exception("unexpected_error", incident_id=incident_id)
        return None, internal_status(incident_id)


def _not_serving() -> RequestRefused:
    return RequestRefused(RequestReason.NOT_SERVING, "the service is still reading the history")


def _account(name: str, code: grpc.StatusCode, reason: str, *, seconds: float, count: int) -> None:
    CALL_SECONDS.labels(name, code.name).observe(seconds)
    CALLED_ITEMS.labels(name).inc(count)
    fields = {"reason": reason} if reason else {}
    log.info(
        "call", method=name, code=code.name, duration_us=round(seconds * 1_000_000), count=count, **fields
    )


def _item_count(request: Any) -> int:
    """Return how many usages a batch holds, 1 for any other request."""
    return len(request.usages) if hasattr(request, "usages") else 1


def _code_and_reason(status: status_pb2.Status | None) -> tuple[grpc.StatusCode, str]:
    if status is None:
        return grpc.StatusCode.OK, ""
    return rpc_status.to_status(status).code, reason_of(status)
