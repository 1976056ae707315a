"""Options that reports of finance share: which days, which part, and what was known when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from credits.ledger.v1 import finance_reports_pb2, finance_service_pb2_grpc
from ledger_service.cli.client import connect, console, read_instant
from ledger_service.cli.report_output import Column

REPORT_SECONDS_MAX: Final = 3_600.0
"""Longest wait for a report that folds the log."""
Stub = finance_service_pb2_grpc.FinanceServiceStub
Answer = TypeVar("Answer")
From = Annotated[str, typer.Option("--from", help="First day, UTC.")]
To = Annotated[str, typer.Option("--to", help="Day after the last, UTC.")]
On = Annotated[str, typer.Option("--on", help="Day (UTC) at whose beginning things stood so.")]
Currency = Annotated[str, typer.Option(help="ISO 4217 code; all of them if empty.")]
Entity = Annotated[str, typer.Option(help="Legal entity; all of them if empty.")]
Known = Annotated[str, typer.Option("--known", help="As it was known at the beginning of this day, UTC.")]
BAR: Final = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
ENTITY: Final = Column("Entity", "entity")
CURRENCY: Final = Column("Currency", "currency")


def scope_of(
    from_time: str, to_time: str, currency: str, entity: str, known: str
) -> finance_reports_pb2.ReportScope:
    """Return what a report is of, by its options."""
    return finance_reports_pb2.ReportScope(
        from_time=instant(from_time, option="--from"),
        to_time=instant(to_time, option="--to"),
        known_time=instant(known, option="--known"),
        currency_code=currency,
        entity=entity,
    )


def call(ask: Callable[[Stub], Answer], address: str, ca_file: str) -> Answer:
    """Ask, and show meanwhile that something is being done; a refusal ends the command."""
    with connect(address, ca_file) as channel, console.status("Reading the books"):
        return ask(finance_service_pb2_grpc.FinanceServiceStub(channel))


def make_report(
    request: finance_reports_pb2.StreamReportRequest, address: str, ca_file: str
) -> finance_reports_pb2.StreamReportResponse:
    """Let a report be made that folds the log, and show how much of the log is done; a refusal ends the command."""
    errors = Console(stderr=True)
    last = finance_reports_pb2.StreamReportResponse()
    with (
        connect(address, ca_file) as channel,
        Progress(*BAR, console=errors, transient=True, disable=not errors.is_terminal) as progress,
    ):
        task = progress.add_task("Events read", total=None)
        stub = finance_service_pb2_grpc.FinanceServiceStub(channel)
        for last in stub.StreamReport(request, timeout=REPORT_SECONDS_MAX):
            progress.update(task, total=last.events_total, completed=last.event_count)
    return last


def instant(text: str, *, option: str) -> Timestamp | None:
    """Return the instant that an option names, None without one."""
    return read_instant(text, option=option) if text else None
