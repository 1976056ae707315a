"""The one place that knows every concrete class: it puts the ledger together and runs it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Iterator
from typing import Final

import grpc
import psycopg
import structlog
from prometheus_client import Gauge, start_http_server
from psycopg_pool import AsyncConnectionPool

from credits.ledger.v1 import (
    contract_service_pb2,
    contract_service_pb2_grpc,
    finance_service_pb2,
    finance_service_pb2_grpc,
    history_service_pb2,
    history_service_pb2_grpc,
    rate_card_service_pb2,
    rate_card_service_pb2_grpc,
    sandbox_service_pb2,
    sandbox_service_pb2_grpc,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
)
from ledger_service.adapters import embedded_postgres, logs
from ledger_service.adapters.chart_file import ChartFileError, read_chart
from ledger_service.adapters.clocks import ManualClock, SystemClock
from ledger_service.adapters.due_wallets import PostgresDueWallets
from ledger_service.adapters.event_log import PostgresEventLog, PostgresLogReader
from ledger_service.adapters.finance_process import FinanceProcesses
from ledger_service.adapters.migrate import MigrationError, migrate
from ledger_service.adapters.open_transfers import PostgresOpenTransfers
from ledger_service.adapters.verification_process import verify_beside
from ledger_service.adapters.view_pool import view_pool
from ledger_service.application.auditing.verification import VerificationProgress
from ledger_service.application.ports import LogReader
from ledger_service.application.procedures.courier import Courier
from ledger_service.application.procedures.sweeper import Sweeper
from ledger_service.application.reading.view_ports import Views
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.finance.accounts import Chart
from ledger_service.projections.bookkeeping.lot_book import PaidLots
from ledger_service.projections.projector import Projector, ProjectorSettings
from ledger_service.projections.rebuild import Progress, rebuild
from ledger_service.projections.reports.journal_views import PostgresFinanceViews
from ledger_service.projections.reports.report_views import PostgresFinanceReports
from ledger_service.projections.verify import verify
from ledger_service.projections.views import PostgresViews
from ledger_service.rpc.agreements.agreement_services import ContractServicer, RateCardServicer
from ledger_service.rpc.finance.finance_service import FinanceServicer
from ledger_service.rpc.history.history_service import HistoryServicer, Verify
from ledger_service.rpc.sandbox_service import SandboxServicer
from ledger_service.rpc.server import Health, ListenError, Security, Service, build_server, listen
from ledger_service.rpc.wallets.wallet_service import WalletServicer
from ledger_service.settings import Settings, StartError, sandbox_start

GC_THRESHOLDS: Final = (100_000, 50, 1_000)
"""Allocations before a young collection, and how many of those before an older one."""
CALLS_WAITING: Final = Gauge("ledger_calls_waiting", "Commands and reads inside that are not answered yet")

log = structlog.get_logger("ledger")


def configure_logs(settings: Settings) -> None:
    """Send log lines to standard output."""
    logs.configure(settings.log_level)


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[str]:
    """Yield the URL of a migrated database; the embedded server runs meanwhile if none was given. Raises StartError."""
    with contextlib.ExitStack() as stack:
        url = settings.database_url
        try:
            if not url:
                url = stack.enter_context(embedded_postgres.start(settings.data_directory)).url
            migrate(url, schema=settings.schema)
        except embedded_postgres.DataDirectoryError as error:
            raise StartError(f"LEDGER_DATA_DIRECTORY: {error}") from error
        except MigrationError as error:
            raise StartError(str(error)) from error
        except psycopg.Error as error:
            raise StartError(f"the database cannot be used: {str(error).splitlines()[0]}") from error
        yield url


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises StartError."""
    stopping = _stop_event()
    with database(settings) as url:
        async with (
            PostgresLogReader(url, schema=settings.schema) as reader,
            view_pool(url) as pool,
        ):
            await _serve(settings, url, reader, pool, stopping)


async def _serve(
    settings: Settings,
    url: str,
    reader: LogReader,
    pool: AsyncConnectionPool,
    stopping: asyncio.Event,
) -> None:
    health = Health()
    writer, clock = _writer(settings, url, lambda serving: _tell(health, serving))
    sweeper = Sweeper(writer, PostgresDueWallets(pool, schema=settings.schema))
    courier = Courier(writer, PostgresOpenTransfers(pool, schema=settings.schema))
    views = PostgresViews(pool, schema=settings.schema)
    finance = PostgresFinanceViews(pool, schema=settings.schema)
    reports = PostgresFinanceReports(pool, schema=settings.schema)
    jobs = FinanceProcesses(url, schema=settings.schema)
    services = _services(
        writer,
        reader,
        views,
        WalletServicer(writer, reader, views, functional_currency=settings.functional_currency),
        FinanceServicer(writer, reader, finance, reports, jobs, chart=_chart(settings)),
        lambda: verify_beside(url, schema=settings.schema),
    )
    if isinstance(clock, ManualClock):
        services.append(_sandbox(SandboxServicer(writer, clock.advance, sweeper.sweep)))
    server = build_server(services, health)
    await health.begin([service.descriptor.full_name for service in services])
    CALLS_WAITING.set_function(lambda: writer.waiting)
    _start_metrics(settings)
    port = _listen(settings, server)
    await server.start()
    _spare_the_collector()
    log.info("listening", host=settings.host, port=port, tls=settings.tls, sandbox=settings.sandbox)
    tasks = [
        asyncio.create_task(writer.run(), name="writer"),
        asyncio.create_task(sweeper.run(interval_seconds=settings.sweep_interval_seconds), name="sweeper"),
        asyncio.create_task(courier.run(), name="courier"),
    ]
    await _until_stopped(stopping, tasks)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.drain_seconds):
            await writer.drain()
    await server.stop(grace=1.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    log.info("stopped")


def _chart(settings: Settings) -> Chart:
    try:
        return read_chart(settings.chart_file)
    except ChartFileError as error:
        raise StartError(f"LEDGER_CHART_FILE: {error}") from error


def _spare_the_collector() -> None:
    """Let the garbage collector look at what is new and not at all that the cache holds.

    States, events and messages form no cycles and are freed by their counts; scanning them took a third of the
    server's time in batches.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _services(
    writer: Writer,
    reader: LogReader,
    views: Views,
    wallets: WalletServicer,
    finance: FinanceServicer,
    verify: Verify,
) -> list[Service]:
    return [
        Service(
            wallet_service_pb2.DESCRIPTOR.services_by_name["WalletService"],
            wallets,
            wallet_service_pb2_grpc.add_WalletServiceServicer_to_server,
        ),
        Service(
            rate_card_service_pb2.DESCRIPTOR.services_by_name["RateCardService"],
            RateCardServicer(writer),
            rate_card_service_pb2_grpc.add_RateCardServiceServicer_to_server,
        ),
        Service(
            contract_service_pb2.DESCRIPTOR.services_by_name["ContractService"],
            ContractServicer(writer, reader),
            contract_service_pb2_grpc.add_ContractServiceServicer_to_server,
        ),
        Service(
            history_service_pb2.DESCRIPTOR.services_by_name["HistoryService"],
            HistoryServicer(writer, reader, views, verify, PaidLots),
            history_service_pb2_grpc.add_HistoryServiceServicer_to_server,
        ),
        Service(
            finance_service_pb2.DESCRIPTOR.services_by_name["FinanceService"],
            finance,
            finance_service_pb2_grpc.add_FinanceServiceServicer_to_server,
        ),
    ]


def _sandbox(servicer: SandboxServicer) -> Service:
    return Service(
        sandbox_service_pb2.DESCRIPTOR.services_by_name["SandboxService"],
        servicer,
        sandbox_service_pb2_grpc.add_SandboxServiceServicer_to_server,
    )


def _listen(settings: Settings, server: grpc.aio.Server) -> int:
    security = Security(settings.tls_certificate_file, settings.tls_key_file, settings.tls_client_ca_file)
    try:
        return listen(server, settings.listen, security)
    except ListenError as error:
        raise StartError(f"LEDGER_LISTEN: {error}") from error


def _writer(
    settings: Settings, url: str, on_serving_change: Callable[[bool], None]
) -> tuple[Writer, ManualClock | SystemClock]:
    clock = ManualClock(sandbox_start(settings)) if settings.sandbox else SystemClock()
    writer = Writer(
        PostgresEventLog(url, schema=settings.schema),
        clock,
        cached_streams_max=settings.cached_streams_max,
        on_serving_change=on_serving_change,
    )
    return writer, clock


def _tell(health: Health, serving: bool) -> None:
    # Kept by name until it is done, so that it is not collected on the way.
    task = asyncio.get_running_loop().create_task(health.set(serving=serving))
    _telling.add(task)
    task.add_done_callback(_telling.discard)


_telling: Final[set[asyncio.Task[None]]] = set()


async def _until_stopped(stopping: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for a signal; a task that ends by itself is a fault and ends the process."""
    stop = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stop}:
        task.result()


def _stop_event() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def _start_metrics(settings: Settings) -> None:
    if settings.metrics_port:
        try:
            start_http_server(settings.metrics_port, addr="127.0.0.1")
        except OSError as error:
            raise StartError(
                f"LEDGER_METRICS_PORT: cannot listen on {settings.metrics_port}: {error}"
            ) from error


def project(settings: Settings) -> None:
    """Run the projector until SIGTERM or SIGINT. Raises StartError."""
    with database(settings) as url:
        projector = Projector(ProjectorSettings(url, settings.schema))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: projector.stop())
        _start_metrics(settings)
        projector.run()


def rebuild_projections(settings: Settings, progress: Progress) -> dict[str, int]:
    """Rebuild every projection from the first event and put it in place. Raises StartError."""
    with database(settings) as url:
        return rebuild(url, schema=settings.schema, progress=progress)


def verify_here(settings: Settings) -> Iterator[VerificationProgress]:
    """Verify the log and the projections in this process. Raises StartError."""
    with database(settings) as url:
        yield from verify(url, schema=settings.schema)
