"""Around every call: one canonical log line, metrics, refusals as rich statuses, faults as incidents.

Servicer methods are wrapped once, when the server is built. An interceptor would do the same for every call
anew, at ten times the cost.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from time import perf_counter
from typing import Any, Final, TypeVar

import grpc
import structlog
from grpc_status import rpc_status
from prometheus_client import Counter, Histogram

from ledger_service.application.ports import StoreUnavailableError
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.refusals.service import NotServing
from ledger_service.rpc.refusal_status import STATUS_OF, status_of, status_of_fault

CALLS: Final = Counter("ledger_calls", "Calls answered.", ["method", "code"])
SECONDS: Final = Histogram(
    "ledger_call_seconds",
    "Time from request to answer.",
    ["method"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0),
)
ACTOR_KEY: Final = "x-credits-actor"
ACTOR_LENGTH_MAX: Final = 100

log = structlog.get_logger("call")
Message = TypeVar("Message")
Context = grpc.aio.ServicerContext[Any, Any]
Unary = Callable[[Any, Context], Awaitable[Any]]
Streaming = Callable[[Any, Context], AsyncGenerator[Any, None]]
StreamingCall = Callable[[Any, Context], Awaitable[None]]


def actor_of(context: Context) -> str:
    """Return who calls: the client certificate's name if there is one, else what the caller says of itself."""
    for name in context.auth_context().get("x509_common_name") or ():
        return name.decode(errors="replace")[:ACTOR_LENGTH_MAX]
    for key, value in context.invocation_metadata() or ():
        if key == ACTOR_KEY and isinstance(value, str):
            return value[:ACTOR_LENGTH_MAX]
    return ""


def wrap_unary(method: str, handler: Unary) -> Unary:
    """Return the handler with its line, its metrics and its errors."""
    observe, answered = SECONDS.labels(method).observe, CALLS.labels(method, "OK").inc

    async def call(request: Any, context: Context) -> Any:
        begun = perf_counter()
        try:
            response = await handler(request, context)
        except Exception as error:  # noqa: BLE001
            await _fail(method, error, context, begun)
        seconds = perf_counter() - begun
        observe(seconds)
        answered()
        log.info("call", method=method, code="OK", duration_us=int(seconds * 1_000_000))
        return response

    return call


def wrap_streaming(method: str, handler: Streaming) -> StreamingCall:
    """Return the handler of a stream of answers with its line and its errors; the line comes when the stream ends.

    It takes one request or a stream of them. The answers are written here and not yielded on: so a client that
    goes ends the handler at once, wherever it is, and not when a collector finds it.
    """

    async def call(request: Any, context: Context) -> None:
        begun = perf_counter()
        count = 0
        try:
            async with aclosing(handler(request, context)) as responses:
                async for response in responses:
                    await context.write(response)
                    count += 1
        except asyncio.CancelledError:
            _line(method, "CANCELLED", begun, messages=count)
            raise
        except Exception as error:  # noqa: BLE001
            await _fail(method, error, context, begun, messages=count)
        _line(method, "OK", begun, messages=count)

    return call


async def _fail(method: str, error: Exception, context: Context, begun: float, **fields: object) -> None:
    if isinstance(error, StoreUnavailableError):
        error = NotServing("the database does not answer; try again")
    if isinstance(error, Refusal):
        _line(method, STATUS_OF[type(error)].name, begun, reason=error.reason, field=error.field, **fields)
        await context.abort_with_status(rpc_status.to_status(status_of(error)))
    if isinstance(error, grpc.aio.AbortError):
        raise error
    incident = secrets.token_hex(8)
    log.error("fault", method=method, incident=incident, exc_info=error)
    _line(method, "INTERNAL", begun, incident=incident, **fields)
    await context.abort_with_status(rpc_status.to_status(status_of_fault(incident)))


def _line(method: str, code: str, begun: float, **fields: object) -> None:
    seconds = perf_counter() - begun
    SECONDS.labels(method).observe(seconds)
    CALLS.labels(method, code).inc()
    log.info("call", method=method, code=code, duration_us=int(seconds * 1_000_000), **fields)
