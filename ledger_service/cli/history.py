"""Commands over the log: events, verify, projections."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.progress import Progress
from rich.table import Table

from credits.ledger.v1 import (
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
    folded,
    print_json,
)

app = typer.Typer()


@app.command()
def events(
    stream: Annotated[str, typer.Option(help="Only this stream, for instance wallets/acme.")] = "",
    after: Annotated[
        int, typer.Option(help="Position (of the log) or version (of the stream) to begin after.")
    ] = 0,
    limit: Annotated[int, typer.Option(help="Most events to show.")] = 50,
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Show events as stored."""
    with connect(address, ca_file) as channel:
        stub = history_service_pb2_grpc.HistoryServiceStub(channel)
        request = history_service_pb2.ReadEventsRequest(stream=stream, after=after, page_size=limit)
        response = stub.ReadEvents(request, timeout=CALL_SECONDS_MAX)
    table = Table("Position", "Stream", "Version", "Topic", "State")
    for event in response.events:
        text = event.state.decode()
        if json:
            fields = {"position": event.position, "stream": event.stream, "version": event.version}
            print(
                msgspec.json.encode(
                    {**fields, "topic": event.topic, "state": msgspec.Raw(event.state)}
                ).decode()
            )
        table.add_row(str(event.position), event.stream, str(event.version), event.topic, text)
    if not json:
        console.print(folded(table))


@app.command()
def verify(address: Address = ADDRESS_DEFAULT, ca_file: CaFile = "", json: AsJson = False) -> None:
    """Check the whole log, every charge and every projection. Exit code 1 if anything is not as it must be."""
    findings: list[history_service_pb2.Finding] = []
    last = history_service_pb2.VerifyHistoryResponse()
    with (
        connect(address, ca_file) as channel,
        Progress(console=console, transient=True, disable=json or not console.is_terminal) as progress,
    ):
        task = progress.add_task("Verifying", total=None)
        stub = history_service_pb2_grpc.HistoryServiceStub(channel)
        for last in stub.VerifyHistory(history_service_pb2.VerifyHistoryRequest()):
            findings += last.findings
            progress.update(task, total=last.total_events, completed=last.checked_events)
    if json:
        print_json(last)
        for finding in findings:
            print_json(finding)
    else:
        for finding in findings:
            console.print(
                f"[red]{finding.check}[/] {finding.subject} at {finding.position}: {finding.description}"
            )
        verdict = f"[red]{len(findings)} findings[/]" if findings else "[green]all as it must be[/]"
        compared = ", ".join(last.projections)
        console.print(
            f"{last.checked_events:,} events in {last.stream_count:,} streams, "
            f"{_show_charges(last)}, projections {compared}: {verdict}"
        )
    raise typer.Exit(1 if findings or not last.done else 0)


def _show_charges(verified: history_service_pb2.VerifyHistoryResponse) -> str:
    repriced = f"{verified.repriced_charges:,} charges priced again"
    return (
        f"{repriced} ({verified.unpriced_charges:,} name no phase)" if verified.unpriced_charges else repriced
    )


@app.command()
def projections(address: Address = ADDRESS_DEFAULT, ca_file: CaFile = "", json: AsJson = False) -> None:
    """Show how far each projection has come."""
    with connect(address, ca_file) as channel:
        stub = history_service_pb2_grpc.HistoryServiceStub(channel)
        response = stub.ListProjections(
            history_service_pb2.ListProjectionsRequest(), timeout=CALL_SECONDS_MAX
        )
    if json:
        print_json(response)
        return
    table = Table("Projection", "Position", "Head", "Lag")
    for each in response.projections:
        table.add_row(each.name, f"{each.position:,}", f"{each.head_position:,}", f"{each.lag_events:,}")
    console.print(folded(table))
