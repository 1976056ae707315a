"""Builds the service from its parts and runs it until it is told to stop. Knows every concrete class."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

import psycopg
import structlog
from prometheus_client import start_http_server

from rating_service.adapters.clocks import SystemClock
from rating_service.adapters.embedded_postgres import DataDirectoryError, EmbeddedPostgres
from rating_service.adapters.ledger.ledger_channel import open_channel
from rating_service.adapters.ledger.ledger_client import LedgerClient
from rating_service.adapters.ledger.rerating_client import ReratingClient
from rating_service.adapters.logs import configure_logs
from rating_service.adapters.migrations import SchemaError, migrate
from rating_service.adapters.postgres.history_store import PostgresHistoryStore
from rating_service.adapters.postgres.postgres_pool import open_pool
from rating_service.adapters.postgres.rerating_facts import PostgresReratingFacts
from rating_service.adapters.postgres.settled_phases import PostgresSettledPhases
from rating_service.adapters.simulation_process import SimulationProcess
from rating_service.application.invoicing.run_billing import BillingRunner
from rating_service.application.metering.stream_usage import StreamMetering
from rating_service.application.ports import StoreUnavailableError
from rating_service.application.reratings.rerating import Reratings
from rating_service.application.reratings.rerating_sweep import ReratingSweep
from rating_service.application.simulating.simulate import Simulating
from rating_service.bootstrap_billing import Opened, build_billing, build_invoicing
from rating_service.bootstrap_documents import DocumentParts, build_documents
from rating_service.bootstrap_reports import ReportParts, build_reports
from rating_service.bootstrap_usage import build_usage, open_limiter
from rating_service.projections.facts import UnreadableHistoryError
from rating_service.projections.follower import Follower
from rating_service.rpc.health import HealthReporter
from rating_service.rpc.metrics import LAG_EVENTS, POSITION
from rating_service.rpc.rerating_servicer import ReratingServicer
from rating_service.rpc.server import BoundServer, Certificates, ListenError, build_server
from rating_service.rpc.simulation_servicer import SimulationServicer
from rating_service.settings import Settings

DRAIN_SECONDS: Final = 20.0
"""How long calls in flight may take to finish after SIGTERM."""
PROBE_SECONDS_MAX: Final = 2.0
"""How long the database may take to answer a health probe."""

log = structlog.get_logger("rating.service")


class CannotRunError(Exception):
    """The service cannot start, or cannot go on; the text is one line that says why."""


class Parts(NamedTuple):
    """What runs once everything is built."""

    served: BoundServer
    follower: Follower
    streams: StreamMetering
    health: HealthReporter
    reratings: ReratingSweep
    billing: BillingRunner
    documents: DocumentParts
    reports: ReportParts


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish the calls in flight. Raises CannotRunError."""
    configure_logs(settings.log_level)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        try:
            parts = await build(settings, stack)
        except (DataDirectoryError, SchemaError, StoreUnavailableError, OSError) as cause:
            raise CannotRunError(str(cause)) from cause
        except ListenError as cause:
            raise CannotRunError(f"RATING_LISTEN={cause}") from cause
        start_metrics(parts.follower, settings.metrics_port)
        # A batch makes thousands of short-lived objects and no cycles: with Python's own thresholds the
        # collector takes a tenth of the time.
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
        await run(parts, stop)


async def build(settings: Settings, stack: AsyncExitStack) -> Parts:
    """Return the parts, connected and bound but not yet serving; `stack` takes them down again."""
    url = await database_url(settings, stack)
    pool = await open_pool(url)
    stack.push_async_callback(pool.close)
    channel = open_channel(
        str(settings.ledger_address),
        ca_file=settings.ledger_ca_file,
        certificate_file=settings.tls_certificate_file,
        key_file=settings.tls_key_file,
    )
    stack.push_async_callback(channel.close)
    ledger = LedgerClient(channel)
    history = PostgresHistoryStore(pool)
    follower = Follower(ledger=ledger, store=history)
    opened = Opened(pool, url, channel, ledger, follower)
    computing = build_invoicing(settings, opened, stack)
    billing = build_billing(settings, opened, computing.invoicing, computing.invoices)
    documents = build_documents(settings, opened, computing, billing)
    clock = ledger if settings.sandbox else SystemClock()
    reports = build_reports(pool, channel, follower, computing.facts, clock)
    usage = build_usage(settings, pool, channel, ledger, follower, open_limiter(settings, stack))
    reratings = Reratings(
        ledger=ledger,
        decisions=ReratingClient(channel),
        history=follower,
        facts=PostgresReratingFacts(url),
        clock=ledger if settings.sandbox else SystemClock(),
    )
    served = build_server(
        rating=usage.servicer,
        invoices=documents.servicer,
        reratings=ReratingServicer(reratings),
        reports=reports.servicer,
        simulations=SimulationServicer(Simulating(history=follower, runner=SimulationProcess(url))),
        is_open=lambda: follower.is_caught_up,
        address=str(settings.listen),
        certificates=certificates(settings),
    )
    return Parts(
        served,
        follower,
        usage.streams,
        HealthReporter(served.health, is_ready=readiness(follower, history)),
        ReratingSweep(reratings=reratings, history=follower, store=PostgresSettledPhases(pool)),
        billing.runner,
        documents,
        reports,
    )


async def database_url(settings: Settings, stack: AsyncExitStack) -> str:
    """Return the URL of a database with an up-to-date schema, started if it is the embedded one."""
    url = settings.database_url
    if url is None:
        embedded = await asyncio.to_thread(EmbeddedPostgres, settings.data_directory)
        stack.callback(embedded.stop)
        url = embedded.url
    try:
        await asyncio.to_thread(migrate, url)
    except psycopg.Error as cause:
        reason = str(cause).strip().partition("\n")[0]
        raise CannotRunError(f"RATING_DATABASE_URL: the database cannot be used: {reason}") from cause
    return url


def certificates(settings: Settings) -> Certificates | None:
    """Return the files of the server's certificate, None for plain text."""
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    return Certificates(settings.tls_certificate_file, settings.tls_key_file, settings.tls_client_ca_file)


def readiness(follower: Follower, history: PostgresHistoryStore) -> Callable[[], Awaitable[bool]]:
    """Return a probe: whether the database and the ledger answer and the catalogue was caught up."""

    async def is_ready() -> bool:
        if not follower.is_ready:
            return False
        try:
            async with asyncio.timeout(PROBE_SECONDS_MAX):
                await history.position()
        except (StoreUnavailableError, TimeoutError):
            return False
        return True

    return is_ready


async def run(parts: Parts, stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises CannotRunError when the history cannot be followed any further."""
    await parts.served.server.start()
    log.info("listening", port=parts.served.port)
    following = asyncio.create_task(parts.follower.run(), name="follower")
    sweeping = asyncio.create_task(parts.streams.run(), name="streams")
    settling = asyncio.create_task(parts.reratings.run(), name="reratings")
    billing = asyncio.create_task(parts.billing.run(), name="billing")
    recording = asyncio.create_task(parts.documents.run(), name="documents")
    folding = asyncio.create_task(parts.reports.rollup.run(), name="rollup")
    reporting = asyncio.create_task(parts.health.run(), name="health")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        working = {following, sweeping, settling, billing, recording, folding, reporting}
        await asyncio.wait({*working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        reporting.cancel()
        await parts.health.report(serving=False)
        log.info("draining")
        await parts.served.server.stop(DRAIN_SECONDS)
        stopping.cancel()
        for task in working:
            task.cancel()
        ended = await asyncio.gather(*working, stopping, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, UnreadableHistoryError):
            raise CannotRunError(f"the ledger's history cannot be followed: {outcome}") from outcome
        if isinstance(outcome, Exception):
            raise outcome


def start_metrics(follower: Follower, port: int | None) -> None:
    """Serve metrics on a port of loopback, if one is set. Raises CannotRunError."""
    LAG_EVENTS.set_function(lambda: follower.lag_events)
    POSITION.set_function(lambda: follower.position)
    if port is None:
        return
    try:
        start_http_server(port, addr="127.0.0.1")
    except OSError as cause:
        raise CannotRunError(f"RATING_METRICS_PORT={port}: {cause.strerror}") from cause
