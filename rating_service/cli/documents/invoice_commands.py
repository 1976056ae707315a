"""`rating invoice preview|issue|show|list|trace`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from credits.rating.v1 import invoice_service_pb2, invoice_service_pb2_grpc
from rating_service.cli.amounts import money, units
from rating_service.cli.connection import CALL_SECONDS_MAX, open_service, print_message, printed_json
from rating_service.cli.documents.document_page import html
from rating_service.cli.documents.invoice_page import invoice_page
from rating_service.cli.documents.invoice_table import print_invoice
from rating_service.cli.documents.tax_options import NoTax, Taxes, given_taxes
from rating_service.cli.instants import as_timestamp, day

app = typer.Typer(help="Preview, issue and read invoices.", no_args_is_help=True)

Contract = Annotated[str, typer.Argument(help="contracts/{contract}")]
CycleTime = Annotated[str, typer.Argument(help="Any instant or day within the cycle, ISO 8601.")]
Name = Annotated[str, typer.Argument(help="invoices/{invoice}")]
Json = Annotated[bool, printed_json()]
HtmlFile = Annotated[Path | None, typer.Option("--html", help="Write a page to this file instead.")]
PageSize = Annotated[int, typer.Option(help="Most entries to show, 1 to 1,000.")]
PageToken = Annotated[str, typer.Option(help="Token of the page before.")]


@app.command()
def preview(
    contract: Contract,
    cycle_time: Annotated[
        str, typer.Argument(help="Any instant or day within the cycle, ISO 8601. Default: now.")
    ] = "",
    watermark: Annotated[int, typer.Option(help="As it was known at this position of the log.")] = 0,
    tax: Taxes = None,
    no_tax: NoTax = False,
    as_json: Json = False,
) -> None:
    """Show the invoice of a cycle as it would be issued now, or as it was issued."""
    request = invoice_service_pb2.PreviewInvoiceRequest(
        contract=contract,
        cycle_time=as_timestamp(cycle_time) if cycle_time else None,
        watermark_position=watermark,
        taxes=given_taxes(tax, no_tax=no_tax),
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.PreviewInvoice(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
    else:
        print_invoice(answer.invoice)


@app.command()
def issue(
    contract: Contract,
    cycle_time: CycleTime,
    waive_grace: Annotated[bool, typer.Option(help="Do not wait for late usage.")] = False,
    tax: Taxes = None,
    no_tax: NoTax = False,
    as_json: Json = False,
) -> None:
    """Issue the invoice of a cycle that has ended; a second time shows the same invoice."""
    request = invoice_service_pb2.IssueInvoiceRequest(
        contract=contract,
        cycle_time=as_timestamp(cycle_time),
        waive_grace=waive_grace,
        taxes=given_taxes(tax, no_tax=no_tax),
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.IssueInvoice(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
    else:
        print_invoice(answer.invoice, note="issued before" if answer.replayed else "issued now")


@app.command()
def show(name: Name, html_file: HtmlFile = None, as_json: Json = False) -> None:
    """Show an issued invoice, or set it as a page that a browser shows and prints."""
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.GetInvoice(invoice_service_pb2.GetInvoiceRequest(name=name), timeout=CALL_SECONDS_MAX)
    if html_file is not None:
        html_file.write_text(html(invoice_page(answer.invoice)), encoding="utf-8")
    if as_json:
        print_message(answer)
    elif html_file is None:
        print_invoice(answer.invoice)


@app.command("list")
def list_invoices(
    contract: Annotated[str, typer.Option(help="Only of this contract.")] = "",
    page_size: PageSize = 100,
    page_token: PageToken = "",
    as_json: Json = False,
) -> None:
    """List issued invoices by name."""
    request = invoice_service_pb2.ListInvoicesRequest(
        contract=contract, page_size=page_size, page_token=page_token
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.ListInvoices(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    table = Table()
    table.add_column("invoice", overflow="fold")
    for heading in ("customer", "cycle", "issued"):
        table.add_column(heading, overflow="fold")
    table.add_column("total", justify="right", no_wrap=True)
    for found in answer.invoices:
        cycle = f"{day(found.cycle_start_time)} to {day(found.cycle_end_time)}"
        table.add_row(found.name, found.customer, cycle, day(found.issue_time), money(found.total))
    _print_page(table, answer.next_page_token)


@app.command()
def trace(
    name: Name,
    line_id: Annotated[str, typer.Argument(help="Line of the invoice.")],
    page_size: PageSize = 100,
    page_token: PageToken = "",
    as_json: Json = False,
) -> None:
    """List what is behind a line: its debits, or the events of a line that no debit is behind."""
    request = invoice_service_pb2.TraceLineRequest(
        name=name, line_id=line_id, page_size=page_size, page_token=page_token
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.TraceLine(request, timeout=CALL_SECONDS_MAX)
        asset = stub.GetInvoice(
            invoice_service_pb2.GetInvoiceRequest(name=name), timeout=CALL_SECONDS_MAX
        ).invoice.asset
    if as_json:
        print_message(answer)
        return
    if answer.events:
        _print_page(_events(answer.events), answer.next_page_token)
        return
    table = Table()
    table.add_column("position", justify="right", overflow="fold")
    for heading in ("debit", "usage", "when"):
        table.add_column(heading, overflow="fold")
    table.add_column("amount", justify="right", overflow="fold")
    for found in answer.debits:
        table.add_row(
            str(found.position),
            found.debit,
            found.usage,
            day(found.effective_time),
            units(found.amount_units, asset),
        )
    _print_page(table, answer.next_page_token)


def _events(events: Iterable[invoice_service_pb2.LineEvent]) -> Table:
    table = Table()
    table.add_column("position", justify="right", overflow="fold")
    table.add_column("stream", overflow="fold")
    table.add_column("version", justify="right", overflow="fold")
    table.add_column("event", overflow="fold")
    for found in events:
        table.add_row(str(found.position), found.stream, str(found.version), found.topic)
    return table


def _print_page(table: Table, next_page_token: str) -> None:
    console = Console()
    console.print(table)
    if next_page_token:
        console.print(f"more: --page-token {next_page_token}", style="dim")
