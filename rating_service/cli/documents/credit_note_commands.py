"""`rating credit-note issue|show|list|balance|due|settle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from credits.rating.v1 import credit_due_pb2, credit_note_pb2, invoice_service_pb2_grpc
from rating_service.cli.amounts import figure, money, read_money
from rating_service.cli.connection import CALL_SECONDS_MAX, open_service, print_message, printed_json
from rating_service.cli.documents.credit_due_table import credits_due
from rating_service.cli.documents.credit_note_page import SETTLEMENTS, credit_note_page
from rating_service.cli.documents.document_page import html
from rating_service.cli.instants import as_timestamp, day

app = typer.Typer(help="Take back what was invoiced.", no_args_is_help=True)

WORDS: Final = ("refund", "credit", "offset")

Json = Annotated[bool, printed_json()]


@app.command()
def issue(
    invoice: Annotated[str, typer.Argument(help="invoices/{invoice}")],
    key: Annotated[str, typer.Option(help="Names the call: again with the same key gives the same note.")],
    settlement: Annotated[str, typer.Option(help="refund, credit (for later invoices) or offset.")],
    reason: Annotated[str, typer.Option(help="Why, for the customer.")],
    line: Annotated[
        list[str] | None,
        typer.Option(
            "--line",
            "-l",
            help="A line: 3 (all that is left), 3=12.50 USD, or 3@2026-02-11 (unused from then on). Repeatable.",
        ),
    ] = None,
    net: Annotated[str, typer.Option(help="An amount before tax over all lines, as 12.50 USD.")] = "",
    whole: Annotated[bool, typer.Option("--whole", help="All that is left of the invoice.")] = False,
    as_json: Json = False,
) -> None:
    """Credit an issued invoice: lines, an amount, or all that is left of it. Never more than was invoiced."""
    request = credit_note_pb2.IssueCreditNoteRequest(
        invoice=invoice,
        idempotency_key=key,
        settlement=_settlement(settlement),
        reason=reason,
        lines=[_line(text) for text in line or []],
        net_amount=read_money(net) if net else None,
        whole=whole,
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.IssueCreditNote(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
    else:
        print_note(answer.credit_note, remark="issued before" if answer.replayed else "issued now")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="creditNotes/{credit_note}")],
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write a page to this file instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show an issued credit note, or set it as a page that a browser shows and prints."""
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        request = credit_note_pb2.GetCreditNoteRequest(name=name)
        note = stub.GetCreditNote(request, timeout=CALL_SECONDS_MAX).credit_note
    if html_file is not None:
        html_file.write_text(html(credit_note_page(note)), encoding="utf-8")
    if as_json:
        print_message(note)
    elif html_file is None:
        print_note(note)


@app.command("list")
def list_notes(
    invoice: Annotated[str, typer.Option(help="Only on this invoice.")] = "",
    contract: Annotated[str, typer.Option(help="Only of this contract.")] = "",
    page_size: Annotated[int, typer.Option(help="Most notes to show, 1 to 1,000.")] = 100,
    page_token: Annotated[str, typer.Option(help="Token of the page before.")] = "",
    as_json: Json = False,
) -> None:
    """List issued credit notes in the order of their issue."""
    request = credit_note_pb2.ListCreditNotesRequest(
        invoice=invoice, contract=contract, page_size=page_size, page_token=page_token
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.ListCreditNotes(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    table = Table()
    table.add_column("credit note", overflow="fold")
    for heading in ("issued", "settlement", "reason"):
        table.add_column(heading, overflow="fold")
    table.add_column("total", justify="right", no_wrap=True, min_width=12)
    for note in answer.credit_notes:
        settled = credit_note_pb2.Settlement.Name(note.settlement).removeprefix("SETTLEMENT_").lower()
        table.add_row(note.name, day(note.issue_time), settled, escape(note.reason), money(note.total))
    console = Console()
    console.print(table)
    if answer.next_page_token:
        console.print(f"more: --page-token {answer.next_page_token}", style="dim")


@app.command()
def balance(
    contract: Annotated[str, typer.Argument(help="contracts/{contract}")], as_json: Json = False
) -> None:
    """Show what credit notes have left for later invoices of a contract."""
    request = credit_note_pb2.GetCustomerBalanceRequest(contract=contract)
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.GetCustomerBalance(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    sums = " and ".join(money(each) for each in answer.balances) or "nothing"
    console = Console(highlight=False)
    console.print(f"[bold]{sums}[/bold] for later invoices of {contract}")
    if answer.credits:
        table = Table()
        table.add_column("credit note", overflow="fold")
        table.add_column("issued", overflow="fold")
        table.add_column("total", justify="right", overflow="fold")
        table.add_column("open", justify="right", overflow="fold")
        for each in answer.credits:
            table.add_row(each.credit_note, day(each.issue_time), money(each.total), money(each.open))
        console.print(table)


@app.command()
def due(
    contract: Annotated[str, typer.Option(help="Only of contracts/{contract}.")] = "",
    page_size: Annotated[int, typer.Option(help="Most invoices to show, 1 to 1,000.")] = 100,
    page_token: Annotated[str, typer.Option(help="Token of the page before.")] = "",
    as_json: Json = False,
) -> None:
    """List what invoices owe their customers and no credit note has settled."""
    request = credit_due_pb2.ListCreditDueRequest(
        contract=contract, page_size=page_size, page_token=page_token
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.ListCreditDue(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    console = Console(highlight=False)
    console.print(credits_due(answer.credits_due) if answer.credits_due else "nothing is owed")
    if answer.next_page_token:
        console.print(f"more: --page-token {answer.next_page_token}", style="dim")


@app.command()
def settle(
    invoice: Annotated[str, typer.Argument(help="invoices/{invoice} that owes its customer something")],
    settlement: Annotated[str, typer.Option(help="refund (paid out) or credit (for later invoices).")],
    reason: Annotated[str, typer.Option(help="Why, for the customer.")],
    as_json: Json = False,
) -> None:
    """Settle what an invoice owes and no earlier invoice has room for. Again shows the same note."""
    request = credit_due_pb2.SettleCreditDueRequest(
        invoice=invoice, settlement=_settlement(settlement), reason=reason
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.SettleCreditDue(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
    else:
        print_note(answer.credit_note, remark="issued before" if answer.replayed else "issued now")


def print_note(note: credit_note_pb2.CreditNote, *, remark: str = "") -> None:
    """Print a credit note: what it is about, its lines and taxes, and what it can be checked by."""
    console = Console(highlight=False)
    console.print(f"[bold]{note.name}[/bold]" + (f"  [dim]{remark}[/dim]" if remark else ""))
    head = Table.grid(padding=(0, 2))
    head.add_row("on", note.invoice)
    head.add_row("customer", note.customer)
    head.add_row("issued", day(note.issue_time))
    head.add_row("settlement", SETTLEMENTS[note.settlement].lower())
    head.add_row("reason", escape(note.reason))
    console.print(head)
    table = Table(show_footer=True)
    table.add_column("line", justify="right", overflow="fold")
    table.add_column("what", "total", footer_style="bold", overflow="fold")
    table.add_column("amount", money(note.total), justify="right", overflow="fold", footer_style="bold")
    for line in note.lines:
        table.add_row(line.line_id, escape(line.description), figure(line.amount))
    for tax in note.taxes:
        table.add_row("", escape(f"{tax.name} {tax.percent} %"), figure(tax.amount))
    console.print(table)
    recorded = (
        f"recorded at position {note.recorded_position}" if note.recorded_position else "not recorded yet"
    )
    console.print(f"[dim]{recorded}; SHA-256 {note.hash}[/dim]")


def _settlement(text: str) -> credit_note_pb2.Settlement.ValueType:
    if text not in WORDS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(WORDS)}", param_hint="--settlement")
    return credit_note_pb2.Settlement.Value(f"SETTLEMENT_{text.upper()}")


def _line(text: str) -> credit_note_pb2.LineCredit:
    line_id, mark, part = text.partition("=")
    if mark:
        return credit_note_pb2.LineCredit(line_id=line_id, amount=read_money(part))
    line_id, mark, part = text.partition("@")
    unused = as_timestamp(part) if mark else None
    return credit_note_pb2.LineCredit(line_id=line_id, unused_from_time=unused)
