"""An invoice as a page: the lines first, then taxes and what is due, then what lies behind the lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final

from credits.ledger.v1.money_pb2 import Money
from credits.rating.v1 import invoice_service_pb2
from rating_service.cli.amounts import MINUS, figure, money, units
from rating_service.cli.documents.document_page import NUMBER, Cell, Column, Fact, Page, Row, Sum, Table
from rating_service.cli.instants import day, span

TITLES: Final = {
    invoice_service_pb2.INVOICE_KIND_THRESHOLD: "Interim invoice",
    invoice_service_pb2.INVOICE_KIND_FINAL: "Final invoice",
    invoice_service_pb2.INVOICE_KIND_ADVANCE: "Invoice in advance",
}
SETTLING: Final = frozenset(
    {invoice_service_pb2.LINE_KIND_CREDIT_APPLIED, invoice_service_pb2.LINE_KIND_CREDIT_DUE}
)
"""Lines that stand below the taxes: no tax is reckoned on them."""

EXACT: Final = Context(prec=200)
"""More digits than exact amounts have, so that shifting the point rounds nothing."""

Invoice = invoice_service_pb2.Invoice
Line = invoice_service_pb2.InvoiceLine


def invoice_page(invoice: Invoice) -> Page:
    """Return an invoice as it is set; a preview is called so."""
    title = TITLES.get(invoice.kind, "Invoice")
    return Page(
        title=title if invoice.name else f"{title} (preview)",
        name=invoice.name or f"{invoice.contract}, not issued",
        total_label="Amount due",
        total=figure(invoice.total),
        currency=invoice.total.currency_code,
        facts=_facts(invoice),
        tables=(_summary(invoice), *_details(invoice)),
        proof=(
            Fact("Document", f"SHA-256 {invoice.hash}"),
            Fact("Computed from", f"the ledger's history up to position {invoice.watermark_position:,}"),
        ),
    )


def _facts(invoice: Invoice) -> tuple[Fact, ...]:
    issued = day(invoice.issue_time) if invoice.HasField("issue_time") else "not yet"
    included: tuple[Fact, ...] = ()
    if invoice.included_units:
        used = units(invoice.included_used_units, invoice.asset)
        text = f"{used} used of {units(invoice.included_units, invoice.asset)}"
        if invoice.included_adjusting_units:
            adjusting = units(invoice.included_adjusting_units, invoice.asset)
            text += f", {adjusting} of them by adjustments of earlier cycles"
        included = (Fact("Included credit", text),)
    return (
        Fact("Customer", invoice.customer),
        Fact("Contract", invoice.contract),
        Fact("Plan", invoice.plan),
        Fact("Issued", issued),
        Fact("Cycle", span(invoice.cycle_start_time, invoice.cycle_end_time)),
        *included,
    )


def _summary(invoice: Invoice) -> Table:
    return Table(
        columns=(
            Column("Description"),
            Column("Units", NUMBER),
            Column("Price", NUMBER),
            Column(f"Amount {invoice.total.currency_code}", NUMBER),
        ),
        rows=tuple(_line(line, invoice) for line in invoice.lines if line.kind not in SETTLING),
        role="summary",
        sums=tuple(_sums(invoice)),
    )


def _line(line: Line, invoice: Invoice) -> Row:
    used = units(line.amount_units, invoice.asset) if line.amount_units else ""
    price = f"{line.unit_price.price} {line.unit_price.currency_code}" if line.unit_price.price else ""
    return Row(
        (
            Cell(line.description, _other_span(line, invoice)),
            Cell(used),
            Cell(price),
            Cell(figure(line.amount)),
        ),
        "below-zero" if line.amount.nanos < 0 else "",
    )


def _other_span(line: Line, invoice: Invoice) -> str:
    """Return when a line's service was given, unless that is the whole cycle or in its description."""
    if line.HasField("adjusted"):
        return ""
    whole = line.from_time == invoice.cycle_start_time and line.to_time == invoice.cycle_end_time
    return span(line.from_time, line.to_time) if line.HasField("from_time") and not whole else ""


def _sums(invoice: Invoice) -> Iterator[Sum]:
    if invoice.taxes or any(line.kind in SETTLING for line in invoice.lines):
        yield Sum("Net", figure(invoice.net))
    for tax in invoice.taxes:
        where = f" ({tax.rate.jurisdiction})" if tax.rate.jurisdiction else ""
        yield Sum(f"{tax.rate.name} {tax.rate.percent} %{where} on {figure(tax.net)}", figure(tax.amount))
    for line in invoice.lines:
        if line.kind in SETTLING:
            source = f", {line.source}" if line.source and line.source not in line.description else ""
            yield Sum(line.description + source, figure(line.amount))
    yield Sum(f"Amount due in {invoice.total.currency_code}", figure(invoice.total), "grand")


def _details(invoice: Invoice) -> Iterator[Table]:
    for line in invoice.lines:
        if line.details:
            yield _usage(line, invoice)
    if invoice.purchases:
        yield _purchases(invoice)
    if invoice.commitments:
        yield _commitments(invoice.commitments)


def _usage(line: Line, invoice: Invoice) -> Table:
    rows = [
        Row(
            (
                Cell(detail.dimension.replace("_", " "), "" if detail.model == "unit" else detail.model),
                Cell(f"{detail.quantity:,}"),
                Cell(_price(detail), f"× {detail.multiplier}" if detail.multiplier not in ("", "1") else ""),
                Cell(f"{detail.charge_count:,}"),
                Cell(_whole(detail.exact_units, invoice.asset.scale)),
            )
        )
        for detail in line.details
    ]
    return Table(
        columns=(
            Column("Dimension"),
            Column("Quantity", NUMBER),
            Column(f"Price in {invoice.asset.code}", NUMBER),
            Column("Charges", NUMBER),
            Column(invoice.asset.code, NUMBER),
        ),
        rows=tuple(rows),
        title=line.description,
        note=f"{line.debit_count:,} debits, {units(line.amount_units, invoice.asset)} paid with credit",
    )


def _price(detail: invoice_service_pb2.LineDetail) -> str:
    if not detail.unit_price:
        return "by tier"
    return detail.unit_price if detail.unit_size == 1 else f"{detail.unit_price} per {detail.unit_size:,}"


def _purchases(invoice: Invoice) -> Table:
    rows = [
        Row(
            (
                Cell(day(each.effective_time)),
                Cell(each.grant, each.reference),
                Cell(units(each.amount_units, invoice.asset)),
                Cell(money(each.paid)),
            )
        )
        for each in invoice.purchases
    ]
    return Table(
        columns=(Column("Date"), Column("Grant"), Column("Credit", NUMBER), Column("Paid", NUMBER)),
        rows=tuple(rows),
        title="Credit bought",
        note="Paid when it was bought; nothing of it is due here.",
    )


def _commitments(commitments: Sequence[invoice_service_pb2.InvoiceCommitment]) -> Table:
    rows = [
        Row(
            (
                Cell(span(each.from_time, each.to_time), "paid in advance" if each.prepaid else ""),
                Cell(money(each.amount)),
                Cell(_used(each)),
            )
        )
        for each in commitments
    ]
    return Table(
        columns=(Column("Period"), Column("Committed", NUMBER), Column("Used", NUMBER)),
        rows=tuple(rows),
        title="Commitment",
    )


def _used(commitment: invoice_service_pb2.InvoiceCommitment) -> str:
    """Return what a commitment has come to, to the nano; what is exact may be a fraction."""
    nanos = int(Fraction(commitment.used_nanos or "0"))
    return money(Money(currency_code=commitment.amount.currency_code, nanos=nanos))


def _whole(exact_units: str, scale: int) -> str:
    """Return exact units in whole assets, unrounded."""
    whole = EXACT.scaleb(Decimal(exact_units or "0"), -scale)
    return f"{whole:,f}".replace("-", MINUS)
