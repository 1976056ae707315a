"""An invoice as a person reads it."""

from __future__ import annotations

from fractions import Fraction

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import invoice_service_pb2
from rating_service.cli.amounts import money, units
from rating_service.cli.documents.invoice_page import SETTLING
from rating_service.cli.instants import day


def print_invoice(invoice: invoice_service_pb2.Invoice, *, note: str = "") -> None:
    """Print an invoice: who and when, the lines, the total, and what it can be checked by."""
    console = Console(highlight=False)
    title = invoice.name or "Preview"
    console.print(f"[bold]{title}[/bold]" + (f"  [dim]{note}[/dim]" if note else ""))
    console.print(_head(invoice))
    console.print(_lines(invoice))
    if invoice.included_units:
        used = units(invoice.included_used_units, invoice.asset)
        left = units(invoice.included_left_units, invoice.asset)
        adjusting = ""
        if invoice.included_adjusting_units:
            adjusting = f" ({units(invoice.included_adjusting_units, invoice.asset)} by adjustments of earlier cycles)"
        whole = units(invoice.included_units, invoice.asset)
        console.print(f"Included: {used} used of {whole}{adjusting}, {left} left")
    if invoice.purchases:
        console.print(_purchases(invoice))
    for commitment in invoice.commitments:
        console.print(_commitment(commitment))
    console.print(f"[dim]Facts up to position {invoice.watermark_position}; SHA-256 {invoice.hash}[/dim]")


def _head(invoice: invoice_service_pb2.Invoice) -> Table:
    head = Table.grid(padding=(0, 2))
    head.add_row("customer", invoice.customer)
    head.add_row("contract", f"{invoice.contract} on {invoice.plan}")
    head.add_row(
        "cycle", f"{day(invoice.cycle_start_time)} to {day(invoice.cycle_end_time)} (end not included)"
    )
    if invoice.HasField("issue_time"):
        head.add_row("issued", day(invoice.issue_time))
    return head


def _purchases(invoice: invoice_service_pb2.Invoice) -> Table:
    table = Table(title="Bought and paid", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("grant", "when", "reference"):
        table.add_column(heading, overflow="fold")
    table.add_column("units", justify="right", overflow="fold")
    table.add_column("paid", justify="right", overflow="fold")
    for bought in invoice.purchases:
        table.add_row(
            bought.grant,
            day(bought.effective_time),
            escape(bought.reference),
            units(bought.amount_units, invoice.asset),
            money(bought.paid),
        )
    return table


def _commitment(commitment: invoice_service_pb2.InvoiceCommitment) -> str:
    used = Fraction(commitment.used_nanos)
    spent = money(money_pb2.Money(currency_code=commitment.amount.currency_code, nanos=round(used)))
    span = f"{day(commitment.from_time)} to {day(commitment.to_time)}"
    return f"Commitment {span}: {spent} used of {money(commitment.amount)}"


def _lines(invoice: invoice_service_pb2.Invoice) -> Table:
    table = Table(box=SIMPLE_HEAD, show_footer=True)
    table.add_column("#", justify="right", overflow="fold")
    table.add_column("what", "total", footer_style="bold", overflow="fold")
    table.add_column("units", justify="right", overflow="fold")
    table.add_column("price", justify="right", overflow="fold")
    table.add_column("debits", justify="right", overflow="fold")
    table.add_column("amount", money(invoice.total), justify="right", overflow="fold", footer_style="bold")
    for line in invoice.lines:
        if line.kind in SETTLING:
            continue
        used = units(line.amount_units, invoice.asset) if line.amount_units else ""
        price = f"{line.unit_price.price} {line.unit_price.currency_code}" if line.unit_price.price else ""
        debits = f"{line.debit_count:,}" if line.debit_count else ""
        table.add_row(line.line_id, _what(line), used, price, debits, money(line.amount))
    _add_sums(table, invoice)
    return table


def _add_sums(table: Table, invoice: invoice_service_pb2.Invoice) -> None:
    """Add net, taxes and what settles below the lines, if there is any of it."""
    settling = [line for line in invoice.lines if line.kind in SETTLING]
    if not invoice.taxes and not settling:
        return
    table.add_section()
    table.add_row("", "net", "", "", "", money(invoice.net), style="dim")
    for tax in invoice.taxes:
        where = f", {tax.rate.jurisdiction}" if tax.rate.jurisdiction else ""
        table.add_row(
            "", escape(f"{tax.rate.name} {tax.rate.percent} %{where}"), "", "", "", money(tax.amount)
        )
    for line in settling:
        table.add_row(line.line_id, _what(line), "", "", "", money(line.amount))


def _what(line: invoice_service_pb2.InvoiceLine) -> str:
    """Return the line's description, its dimensions below it."""
    if line.details:
        details = [_detail(detail) for detail in line.details]
    else:
        details = [f"  {name} {quantity:,}" for name, quantity in sorted(line.quantities.items())]
    return escape("\n".join([line.description, *details]))


def _detail(detail: invoice_service_pb2.LineDetail) -> str:
    price = f" at {detail.unit_price}" if detail.unit_price else f", {detail.model}"
    size = f" per {detail.unit_size:,}" if detail.unit_size > 1 else ""
    factor = f" × {detail.multiplier}" if detail.multiplier != "1" else ""
    return f"  {detail.dimension} {detail.quantity:,}{price}{size}{factor}"
