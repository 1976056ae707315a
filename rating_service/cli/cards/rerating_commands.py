"""`rating rerating show|accept|reject`: what a rate card phase that is proposed for the past changes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Final

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from credits.rating.v1 import rerating_service_pb2, rerating_service_pb2_grpc
from rating_service.cli.connection import open_service, print_json, print_message, printed_json
from rating_service.cli.instants import day

app = typer.Typer(help="Rate card phases for the past, and what they change.", no_args_is_help=True)

Phase = Annotated[str, typer.Argument(help="rateCards/{rate_card}/phases/{phase}")]
Json = Annotated[bool, printed_json()]
ROWS_MAX: Final = 50
"""Cycles in the table for people; --json has all of them."""


@app.command()
def show(phase: Phase, as_json: Json = False) -> None:
    """Show what recorded usage was charged and what it would cost under a phase; nothing is changed."""
    request = rerating_service_pb2.ShowReratingRequest(name=phase)
    cycles: list[rerating_service_pb2.CycleRerating] = []
    summary = rerating_service_pb2.Rerating()
    with open_service() as channel:
        stub = rerating_service_pb2_grpc.ReratingServiceStub(channel)
        for answer in _with_progress(stub.ShowRerating(request), "pricing again", "checked_cycles"):
            if answer.HasField("cycle"):
                cycles.append(answer.cycle)
            if answer.HasField("rerating"):
                summary = answer.rerating
    if as_json:
        print_json({"rerating": _tree(summary), "cycles": [_tree(cycle) for cycle in cycles]})
    else:
        _print_rerating(summary, cycles)


@app.command()
def accept(
    phase: Phase,
    token: Annotated[str, typer.Option(help="Token of what was shown: other figures are refused.")] = "",
    as_json: Json = False,
) -> None:
    """Accept a phase and put right what it changes; one that broke off is accepted again."""
    request = rerating_service_pb2.AcceptReratingRequest(name=phase, token=token)
    posted: list[rerating_service_pb2.PostedAdjustment] = []
    position = 0
    with open_service() as channel:
        stub = rerating_service_pb2_grpc.ReratingServiceStub(channel)
        for answer in _with_progress(stub.AcceptRerating(request), "putting right", "adjusted_cycles"):
            if answer.HasField("adjustment"):
                posted.append(answer.adjustment)
            position = answer.position or position
    if as_json:
        print_json({"name": phase, "position": position, "adjustments": [_tree(each) for each in posted]})
        return
    if posted:
        _print_posted(phase, posted)
    print(f"{phase}: in force for its time; {len(posted)} adjustments posted")


@app.command()
def reject(phase: Phase, as_json: Json = False) -> None:
    """Reject a phase: it will not be in force."""
    request = rerating_service_pb2.RejectReratingRequest(name=phase)
    with open_service() as channel:
        answer = rerating_service_pb2_grpc.ReratingServiceStub(channel).RejectRerating(request)
    if as_json:
        print_message(answer)
    else:
        print(f"{answer.name}: {'was rejected before' if answer.replayed else 'rejected'}")


def _with_progress(answers: Any, title: str, done: str) -> Iterator[Any]:
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(title, total=None)
        for answer in answers:
            progress.update(task, total=answer.total_cycles or None, completed=getattr(answer, done))
            yield answer


def _tree(message: Message) -> Any:
    text = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return json.loads(json.dumps(text))


def _print_rerating(
    summary: rerating_service_pb2.Rerating, cycles: list[rerating_service_pb2.CycleRerating]
) -> None:
    asset = summary.asset
    span = f"from {day(summary.from_time)}"
    if summary.HasField("to_time"):
        span += f" to {day(summary.to_time)}"
    state = rerating_service_pb2.ReratingState.Name(summary.state).removeprefix("RERATING_STATE_").lower()
    table = Table(title=f"{summary.name} {span}, {state}; in {asset.code}")
    table.add_column("contract", overflow="fold")
    table.add_column("cycle from", overflow="fold")
    for column in ("usages", "charged", "adjusted", "would cost", "difference"):
        table.add_column(column, justify="right", overflow="fold")
    for cycle in cycles[:ROWS_MAX]:
        figures = (cycle.charged_units, cycle.adjusted_units, cycle.rated_units, cycle.difference_units)
        table.add_row(
            cycle.contract,
            day(cycle.cycle_start_time),
            f"{cycle.differing_count:,} of {cycle.usage_count:,}",
            *(_whole(text, asset.scale) for text in figures),
        )
    console = Console()
    console.print(table)
    if len(cycles) > ROWS_MAX:
        console.print(f"and {len(cycles) - ROWS_MAX:,} more cycles; --json has all of them")
    for cycle in cycles[:ROWS_MAX]:
        for usage in cycle.unrateable:
            console.print(f"cannot be priced: {usage.usage} ({usage.debit}): {usage.reason}, {usage.message}")
    more, less = _whole(summary.more_units, asset.scale), _whole(summary.less_units, asset.scale)
    console.print(f"{summary.differing_cycles:,} cycles differ: {more} more and {less} less {asset.code}")
    console.print(f"token {summary.token}", highlight=False)


def _print_posted(phase: str, posted: list[rerating_service_pb2.PostedAdjustment]) -> None:
    table = Table(title=f"Adjustments of {phase}, in units")
    table.add_column("contract", overflow="fold")
    table.add_column("cycle from", overflow="fold")
    for column in ("difference", "charged", "given back"):
        table.add_column(column, justify="right", overflow="fold")
    table.add_column("explained by", overflow="fold")
    for each in posted[:ROWS_MAX]:
        table.add_row(
            each.contract,
            day(each.cycle_start_time),
            f"{Decimal(each.difference_units):,f}",
            f"{each.charged_units:,}",
            f"{each.returned_units:,}",
            each.debit,
        )
    Console().print(table)


def _whole(text: str, scale: int) -> str:
    """Return exact units in whole assets."""
    return f"{Decimal(text or '0').scaleb(-scale).normalize():,f}"
