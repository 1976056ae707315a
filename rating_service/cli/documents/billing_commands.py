"""`rating billing run|status`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from credits.rating.v1 import billing_pb2, invoice_service_pb2_grpc
from rating_service.cli.connection import CALL_SECONDS_MAX, open_service, print_message, printed_json
from rating_service.cli.documents.credit_due_table import credits_due
from rating_service.cli.instants import as_timestamp, day

app = typer.Typer(help="Bill cycles by the clock.", no_args_is_help=True)

STATES: Final = ("open", "draft", "issued")
FAILED_EXIT_CODE: Final = 3

Json = Annotated[bool, printed_json()]


@app.command()
def run(
    contract: Annotated[str, typer.Option(help="Only contracts/{contract}; else all that are due.")] = "",
    until: Annotated[str, typer.Option(help="What is due by this instant or day, ISO 8601; else now.")] = "",
    as_json: Json = False,
) -> None:
    """Grant the included credit and issue the invoices that are due; exits 3 if a contract failed.

    Again does nothing again. Ctrl-C ends the run after the contracts at hand.
    """
    request = billing_pb2.RunBillingRequest(contract=contract)
    if until:
        request.until_time.CopyFrom(as_timestamp(until))
    done = _run(request)
    if as_json:
        print_message(done)
    else:
        console = Console(highlight=False)
        console.print(
            f"{done.contracts_done:,} contracts, {done.grants_count:,} grants,"
            f" {done.invoices_count:,} invoices issued"
        )
        if done.failures:
            console.print(_failures(done.failures))
    if done.failures:
        raise typer.Exit(FAILED_EXIT_CODE)


@app.command()
def status(
    contract: Annotated[str, typer.Option(help="Only contracts/{contract}.")] = "",
    state: Annotated[str, typer.Option(help="open, draft, issued or all.")] = "all",
    failed: Annotated[bool, typer.Option("--failed", help="Only of contracts that failed.")] = False,
    page_size: Annotated[int, typer.Option(help="Most cycles to show, 1 to 1,000.")] = 100,
    page_token: Annotated[str, typer.Option(help="Token of the page before.")] = "",
    as_json: Json = False,
) -> None:
    """List billing cycles, how far each is, and why one could not be billed; and what invoices still owe."""
    request = billing_pb2.ListCyclesRequest(
        contract=contract, state=_state(state), only_failed=failed, page_size=page_size, page_token=page_token
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.ListCycles(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    console = Console(highlight=False)
    console.print(_cycles(answer.cycles))
    if answer.credits_due:
        console.print(credits_due(answer.credits_due))
    if answer.next_page_token:
        console.print(f"more: --page-token {answer.next_page_token}", style="dim")


def _run(request: billing_pb2.RunBillingRequest) -> billing_pb2.RunBillingResponse:
    """Return the last report of a run, with all invoices and failures; a bar on stderr if somebody looks."""
    done = billing_pb2.RunBillingResponse()
    invoices: list[str] = []
    failures: list[billing_pb2.BillingFailure] = []
    columns = (TextColumn("Billing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        open_service() as channel,
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
    ):
        bar = progress.add_task("Billing", total=None)
        for done in invoice_service_pb2_grpc.InvoiceServiceStub(channel).RunBilling(request):
            invoices += done.invoices
            failures += done.failures
            progress.update(bar, completed=done.contracts_done, total=done.contracts_count)
    return billing_pb2.RunBillingResponse(
        contracts_count=done.contracts_count,
        contracts_done=done.contracts_done,
        grants_count=done.grants_count,
        invoices_count=done.invoices_count,
        invoices=invoices,
        failures=failures,
    )


def _failures(failures: Iterable[billing_pb2.BillingFailure]) -> Table:
    table = Table(title="failed", title_justify="left")
    for heading in ("contract", "cycle from", "reason", "why"):
        table.add_column(heading, overflow="fold")
    table.add_column("times", justify="right", overflow="fold")
    for each in failures:
        cycle = day(each.cycle_start_time) if each.HasField("cycle_start_time") else "included credit"
        table.add_row(each.contract, cycle, each.reason, each.message, str(each.attempts))
    return table


def _cycles(cycles: Iterable[billing_pb2.BillingCycle]) -> Table:
    table = Table()
    for heading in ("contract", "cycle", "state", "issued from", "invoice or failure"):
        table.add_column(heading, overflow="fold")
    for each in cycles:
        failure = f"[red]{each.failure.reason}[/red] {each.failure.message}"
        table.add_row(
            each.contract,
            f"{day(each.cycle_start_time)} to {day(each.cycle_end_time)}",
            billing_pb2.CycleState.Name(each.state).removeprefix("CYCLE_STATE_").lower(),
            day(each.issue_time),
            failure if each.HasField("failure") else each.invoice,
        )
    return table


def _state(text: str) -> billing_pb2.CycleState.ValueType:
    if text == "all":
        return billing_pb2.CYCLE_STATE_UNSPECIFIED
    if text not in STATES:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(STATES)}, all", param_hint="--state")
    return billing_pb2.CycleState.Value(f"CYCLE_STATE_{text.upper()}")
