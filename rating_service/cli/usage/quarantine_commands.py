"""`rating quarantine list|retry|dismiss`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Annotated, Final

import typer
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from credits.rating.v1 import quarantine_pb2, rating_service_pb2_grpc
from rating_service.cli.connection import (
    CALL_SECONDS_MAX,
    open_service,
    print_json,
    print_message,
    printed_json,
)
from rating_service.cli.instants import day

app = typer.Typer(help="Usage that could not be rated.", no_args_is_help=True)

PAGE_ENTRIES: Final = 100
"""Entries retried by one call, so that each ends well within its time."""
STATES: Final = ("waiting", "recorded", "dismissed")

Names = Annotated[list[str], typer.Argument(help="quarantinedUsages/{quarantined_usage}")]
Reason = Annotated[str, typer.Option(help="Only those of this reason, for instance UNKNOWN_CONTRACT.")]
Contract = Annotated[str, typer.Option(help="Only those of contracts/{contract}.")]
Json = Annotated[bool, printed_json()]


@app.command("list")
def list_entries(
    reason: Reason = "",
    contract: Contract = "",
    state: Annotated[str, typer.Option(help="waiting, recorded, dismissed or all.")] = "waiting",
    page_size: Annotated[int, typer.Option(help="Most entries to show, 1 to 1,000.")] = 100,
    page_token: Annotated[str, typer.Option(help="Token of the page before.")] = "",
    as_json: Json = False,
) -> None:
    """List usage in quarantine."""
    request = quarantine_pb2.ListQuarantineRequest(
        page_size=page_size, page_token=page_token, reason=reason, contract=contract, state=_state(state)
    )
    with open_service() as channel:
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        answer = stub.ListQuarantine(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    if not answer.quarantined_usages:
        print("nothing is in quarantine")
    _print_entries(answer.quarantined_usages)
    if answer.next_page_token:
        print(f"More: --page-token {answer.next_page_token}")


@app.command()
def retry(
    names: Names = [],  # noqa: B006, typer copies it
    reason: Reason = "",
    contract: Contract = "",
    accept_late: Annotated[bool, typer.Option(help="Record also what was received too late.")] = False,
    as_json: Json = False,
) -> None:
    """Rate usage again and debit it: the entries named, or all that wait and fit the options.

    Exits 1 if a name is not there or was recorded or dismissed before; what is left waiting is no error.
    """
    with open_service() as channel:
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        results = list(_retried(stub, names, reason, contract, accept_late=accept_late))
    recorded = sum(result.HasField("debit") for result in results)
    if as_json:
        print_json(
            {
                "recorded": recorded,
                "left": len(results) - recorded,
                "results": [MessageToDict(result, preserving_proto_field_name=True) for result in results],
            }
        )
    else:
        print(f"{recorded} recorded, {len(results) - recorded} left")
        _print_results(result for result in results if not result.HasField("debit"))
    _exit_if_refused(results)


@app.command()
def dismiss(
    names: Names,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    actor: Annotated[str, typer.Option(help="Who; it is kept.")],
    as_json: Json = False,
) -> None:
    """Give up on usage: it stays in quarantine and will not be charged."""
    request = quarantine_pb2.DismissQuarantineRequest(names=names, reason=reason, actor=actor)
    with open_service() as channel:
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        answer = stub.DismissQuarantine(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
    else:
        _print_results(answer.results)
    _exit_if_refused(answer.results)


def _retried(
    stub: rating_service_pb2_grpc.RatingServiceStub,
    names: list[str],
    reason: str,
    contract: str,
    *,
    accept_late: bool,
) -> Iterator[quarantine_pb2.QuarantineResult]:
    """Yield results page by page, with a bar on stderr if somebody looks."""
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("Retrying", total=len(names) or None)
        parts = [names[at : at + PAGE_ENTRIES] for at in range(0, len(names), PAGE_ENTRIES)] or [[]]
        token = ""
        while parts:
            request = quarantine_pb2.RetryQuarantineRequest(
                names=parts[0],
                page_size=PAGE_ENTRIES,
                page_token=token,
                reason=reason,
                contract=contract,
                accept_late=accept_late,
            )
            answer = stub.RetryQuarantine(request, timeout=CALL_SECONDS_MAX)
            yield from answer.results
            progress.advance(bar, len(answer.results))
            token = answer.next_page_token
            if not token:
                parts.pop(0)


def _state(text: str) -> quarantine_pb2.QuarantineState.ValueType:
    if text == "all":
        return quarantine_pb2.QUARANTINE_STATE_UNSPECIFIED
    if text not in STATES:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(STATES)}, all", param_hint="--state")
    return quarantine_pb2.QuarantineState.Value(f"QUARANTINE_STATE_{text.upper()}")


def _print_results(results: Iterable[quarantine_pb2.QuarantineResult]) -> None:
    rows = list(results)
    _print_entries([row.quarantined_usage for row in rows if not row.HasField("error")])
    for row in rows:
        if row.HasField("error"):
            print(row.error.message)


def _exit_if_refused(results: Iterable[quarantine_pb2.QuarantineResult]) -> None:
    """Exit 1 if an entry is not there or stands otherwise than was asked for."""
    if any(result.HasField("error") for result in results):
        raise typer.Exit(1)


def _print_entries(entries: Iterable[quarantine_pb2.QuarantinedUsage]) -> None:
    table = Table()
    table.add_column("name", no_wrap=True)
    table.add_column("usage", overflow="fold", ratio=2)
    table.add_column("why", overflow="fold", ratio=3)
    rows = list(entries)
    for entry in rows:
        happened = day(entry.effective_time) if entry.HasField("effective_time") else "no time read"
        table.add_row(
            f"{entry.name}\n{_standing(entry)}",
            f"{entry.usage_id}\n{entry.contract}\n{happened}",
            f"{entry.reason}\n{entry.message}",
        )
    if rows:
        Console(highlight=False).print(table)


def _standing(entry: quarantine_pb2.QuarantinedUsage) -> str:
    """Return the state of an entry, and how often it was driven again."""
    state = quarantine_pb2.QuarantineState.Name(entry.state).removeprefix("QUARANTINE_STATE_").lower()
    return f"{state}, retried {entry.retry_count} times" if entry.retry_count else state
