"""Exports of the journal for other programs, and its reconciliation.

A file that is not whole yet has a note beside it, FILE.part, which says how much of it is good and where to go on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from credits.ledger.v1 import (
    finance_export_pb2,
    finance_service_pb2_grpc,
    history_service_pb2,
    history_service_pb2_grpc,
)
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    CALL_SECONDS_MAX,
    Address,
    AsJson,
    CaFile,
    connect,
    console,
    fail,
    folded,
    print_json,
)
from ledger_service.cli.finance_scope import BAR, Currency, Entity, From, Known, To, scope_of
from ledger_service.cli.parquet_files import Field, ParquetFile, Type

app = typer.Typer()
EVENTS_PER_PAGE: Final = 5_000
JOURNAL_FIELDS: Final = (
    Field("posting_day", Type.DAY),
    Field("effective_day", Type.DAY),
    Field("record_time", Type.TIME),
    Field("stream", Type.TEXT),
    Field("version", Type.INTEGER),
    Field("position", Type.INTEGER),
    Field("event", Type.TEXT),
    Field("entity", Type.TEXT),
    Field("account", Type.TEXT),
    Field("account_kind", Type.TEXT),
    Field("currency_code", Type.TEXT),
    Field("nanos", Type.MONEY),
    Field("product", Type.TEXT),
    Field("model", Type.TEXT),
)
EVENT_FIELDS: Final = (
    Field("position", Type.INTEGER),
    Field("stream", Type.TEXT),
    Field("version", Type.INTEGER),
    Field("topic", Type.TEXT),
    Field("state", Type.TEXT),
)


class Language(Enum):
    """What an export is written in."""

    HLEDGER = "hledger"
    BEANCOUNT = "beancount"
    CSV = "csv"
    PARQUET = "parquet"


class Of(Enum):
    """What a Parquet file holds."""

    JOURNAL = "journal"
    EVENTS = "events"


class _Part(msgspec.Struct, frozen=True):
    """How much of a file is good, and where to go on. `request` is what was asked for."""

    request: bytes
    good_bytes: int
    token: str


FORMATS: Final = {
    Language.HLEDGER: finance_export_pb2.EXPORT_FORMAT_HLEDGER,
    Language.BEANCOUNT: finance_export_pb2.EXPORT_FORMAT_BEANCOUNT,
    Language.CSV: finance_export_pb2.EXPORT_FORMAT_CSV,
    Language.PARQUET: finance_export_pb2.EXPORT_FORMAT_JSON_LINES,
}


@app.command("export")
def export(
    language: Annotated[Language, typer.Argument(help="What to write.")],
    from_time: From,
    to_time: To,
    out: Annotated[Path | None, typer.Option(help="File to write; standard output if none.")] = None,
    of: Annotated[
        Of, typer.Option(help="What a Parquet file holds; events are those of the whole log.")
    ] = Of.JOURNAL,
    resume: Annotated[bool, typer.Option(help="Go on with a file that is not whole.")] = False,
    currency: Currency = "",
    entity: Entity = "",
    known: Known = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
) -> None:
    """Write the journal for hledger, beancount, a general ledger (CSV) or columnar tools (Parquet)."""
    request = finance_export_pb2.ExportRequest(
        format=FORMATS[language], scope=scope_of(from_time, to_time, currency, entity, known)
    )
    if language is Language.PARQUET:
        if out is None or resume:
            fail("parquet: needs --out, and is written in one go")
        _write_parquet(request, out, of, address, ca_file)
        return
    if of is not Of.JOURNAL:
        fail("--of events is written as parquet only")
    if out is None:
        if resume:
            fail("--resume needs --out")
        for part in _parts(request, address, ca_file):
            sys.stdout.buffer.write(part.data)
        return
    _write_file(request, out, address, ca_file, resume=resume)


@app.command("reconcile")
def reconcile(address: Address = ADDRESS_DEFAULT, ca_file: CaFile = "", json: AsJson = False) -> None:
    """Hold the journal against the log and its parts against each other. Exit code 1 if anything differs."""
    last = finance_export_pb2.ReconcileResponse()
    with (
        connect(address, ca_file) as channel,
        Progress(*BAR, console=console, transient=True, disable=json or not console.is_terminal) as progress,
    ):
        task = progress.add_task("Events read", total=None)
        stub = finance_service_pb2_grpc.FinanceServiceStub(channel)
        for last in stub.Reconcile(finance_export_pb2.ReconcileRequest()):
            progress.update(task, total=last.events_total, completed=last.event_count)
    agrees = last.done and not any(check.differing_count for check in last.checks)
    if json:
        print_json(last)
    else:
        table = Table("Check", title=f"Reconciliation at position {last.position:,}")
        table.add_column("Compared", justify="right")
        table.add_column("Differing", justify="right")
        table.add_column("First difference", overflow="fold")
        for check in last.checks:
            style = "red" if check.differing_count else "green"
            counts = f"{check.compared_count:,}", f"[{style}]{check.differing_count:,}[/]"
            table.add_row(check.name, *counts, check.difference)
        console.print(folded(table))
    raise typer.Exit(0 if agrees else 1)


def _write_file(
    request: finance_export_pb2.ExportRequest, out: Path, address: str, ca_file: str, *, resume: bool
) -> None:
    asked = request.SerializeToString(deterministic=True)
    note = out.with_name(f"{out.name}.part")
    written = 0
    if resume:
        begun = _read_note(note)
        if begun.request != asked:
            fail(f"{note}: the file was begun with other options")
        request.page_token, written = begun.token, begun.good_bytes
    with _open(out, written) as file:
        for part in _parts(request, address, ca_file):
            file.write(part.data)
            file.flush()
            written += len(part.data)
            if part.next_page_token:
                note.write_bytes(msgspec.json.encode(_Part(asked, written, part.next_page_token)))
    note.unlink(missing_ok=True)
    console.print(f"{written:,} bytes in {out}")


def _read_note(note: Path) -> _Part:
    try:
        return msgspec.json.decode(note.read_bytes(), type=_Part)
    except OSError as error:
        fail(f"--resume: {note}: {error.strerror}")
    except msgspec.DecodeError:
        fail(f"--resume: {note} is not a note of an export")


@contextmanager
def _open(out: Path, good_bytes: int) -> Iterator[BinaryIO]:
    """Give the file to go on with, at the end of what is good of it."""
    try:
        file = out.open("r+b" if good_bytes else "wb")
    except OSError as error:
        fail(f"{out}: {error.strerror}")
    with file:
        if file.seek(0, 2) < good_bytes:
            fail(f"{out}: is shorter than its note says")
        file.truncate(good_bytes)
        file.seek(good_bytes)
        yield file


def _parts(
    request: finance_export_pb2.ExportRequest, address: str, ca_file: str
) -> Iterator[finance_export_pb2.ExportResponse]:
    # Not on standard output: the journal may go there.
    errors = Console(stderr=True)
    with (
        connect(address, ca_file) as channel,
        Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress,
    ):
        task = progress.add_task("Exporting wallets", total=None)
        stub = finance_service_pb2_grpc.FinanceServiceStub(channel)
        for part in stub.Export(request):
            progress.update(task, total=part.wallets_total, completed=part.wallet_count)
            yield part


def _write_parquet(
    request: finance_export_pb2.ExportRequest, out: Path, of: Of, address: str, ca_file: str
) -> None:
    rows = _events(request, address, ca_file) if of is Of.EVENTS else _lines(request, address, ca_file)
    count = 0
    with ParquetFile(out, EVENT_FIELDS if of is Of.EVENTS else JOURNAL_FIELDS) as file:
        for row in rows:
            file.add(row)
            count += 1
    console.print(f"{count:,} rows in {out}")


def _lines(request: finance_export_pb2.ExportRequest, address: str, ca_file: str) -> Iterator[list[Any]]:
    # A line never ends in another part than it began.
    for part in _parts(request, address, ca_file):
        for line in part.data.splitlines():
            yield list(msgspec.json.decode(line).values())


def _events(
    request: finance_export_pb2.ExportRequest, address: str, ca_file: str
) -> Iterator[tuple[int, str, int, str, str]]:
    """Yield the events of the log that were recorded in the span."""
    since = request.scope.from_time.ToDatetime().isoformat()
    until = request.scope.to_time.ToDatetime().isoformat()
    with connect(address, ca_file) as channel:
        stub = history_service_pb2_grpc.HistoryServiceStub(channel)
        after = 0
        while events := _page(stub, after):
            for event in events:
                recorded = msgspec.json.decode(event.state)["record_time"]
                if since <= recorded < until:
                    yield event.position, event.stream, event.version, event.topic, event.state.decode()
            after = events[-1].position


def _page(stub: history_service_pb2_grpc.HistoryServiceStub, after: int) -> Any:
    request = history_service_pb2.ReadEventsRequest(after=after, page_size=EVENTS_PER_PAGE)
    return stub.ReadEvents(request, timeout=CALL_SECONDS_MAX).events
