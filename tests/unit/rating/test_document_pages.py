"""Invoices and credit notes as pages: whole in themselves, escaped, and true to the document."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import credit_note_pb2, invoice_service_pb2
from rating_service.cli.documents.credit_note_page import credit_note_page
from rating_service.cli.documents.document_page import html
from rating_service.cli.documents.invoice_page import invoice_page

CENT = 10_000_000


def usd(cents: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code="USD", nanos=cents * CENT)


def line(
    line_id: str, kind: invoice_service_pb2.LineKind.ValueType, description: str, cents: int
) -> invoice_service_pb2.InvoiceLine:
    return invoice_service_pb2.InvoiceLine(
        line_id=line_id, kind=kind, description=description, amount=usd(cents)
    )


def invoice() -> invoice_service_pb2.Invoice:
    """Return an invoice with one line of each sort that a page treats apart."""
    usage = line("2", invoice_service_pb2.LINE_KIND_USAGE, "Usage paid with credit, main", 0)
    usage.details.add(
        dimension="input_tokens",
        quantity=1_284_203_994,
        unit_price="2.5",
        unit_size=1_000_000,
        multiplier="1.8",
        model="unit",
        exact_units="5778917973.000000000000000000000000001",
        charge_count=12,
    )
    adjustment = line("3", invoice_service_pb2.LINE_KIND_ADJUSTMENT, "Adjustment of invoices/acme-1", -1880)
    adjustment.adjusted.invoice = "invoices/acme-1"
    applied = line("4", invoice_service_pb2.LINE_KIND_CREDIT_APPLIED, "Credit of creditNotes/acme-1-1", -500)
    message = invoice_service_pb2.Invoice(
        name="invoices/acme-2",
        contract="contracts/acme",
        customer="customers/<b>acme</b>",
        plan="plans/pro",
        watermark_position=4711,
        hash="ab" * 32,
        asset=money_pb2.Asset(code="CREDIT", scale=6),
        lines=[
            line("1", invoice_service_pb2.LINE_KIND_BASE_FEE, "Base fee", 2000),
            usage,
            adjustment,
            applied,
        ],
        net=usd(120),
        total=usd(0),
    )
    message.taxes.add(
        rate=invoice_service_pb2.InvoiceTaxRate(name="VAT", percent="20", jurisdiction="AT"),
        net=usd(120),
        amount=usd(24),
    )
    message.cycle_start_time.FromDatetime(datetime(2026, 2, 1, tzinfo=UTC))
    message.cycle_end_time.FromDatetime(datetime(2026, 3, 1, tzinfo=UTC))
    return message


def note() -> credit_note_pb2.CreditNote:
    """Return a note whose reason would be markup."""
    return credit_note_pb2.CreditNote(
        name="creditNotes/acme-2-1",
        invoice="invoices/acme-2",
        settlement=credit_note_pb2.SETTLEMENT_CREDIT,
        reason="<script>alert('x')</script>",
        lines=[credit_note_pb2.CreditNoteLine(line_id="1", description="Base fee", amount=usd(536))],
        taxes=[credit_note_pb2.CreditNoteTax(name="VAT", percent="20", amount=usd(107))],
        net=usd(536),
        total=usd(643),
        hash="cd" * 32,
    )


def text_of(page: str) -> str:
    """Return what a reader sees, each run of white space as one space."""
    body = page.partition("<body>")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


def test_a_page_needs_nothing_from_anywhere() -> None:
    for page in (html(invoice_page(invoice())), html(credit_note_page(note()))):
        assert re.findall(r"<(?:link|script|img|iframe|object)\b|https?:|url\(|@import|src=", page) == []
        assert "@page { size: A4" in page


def test_everything_from_a_document_is_escaped() -> None:
    assert "customers/&lt;b&gt;acme&lt;/b&gt;" in html(invoice_page(invoice()))
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html(credit_note_page(note()))


def test_an_invoice_shows_lines_then_taxes_then_what_settles_and_what_is_due() -> None:
    text = text_of(html(invoice_page(invoice())))
    order = ["Base fee 20.00", "Adjustment of invoices/acme-1 −18.80", "Net 1.20"]
    order += ["VAT 20 % (AT) on 1.20 0.24", "Credit of creditNotes/acme-1-1 −5.00", "Amount due in USD 0.00"]

    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "2026-02-01 until 2026-03-01" in text
    assert f"SHA-256 {'ab' * 32}" in text
    assert "position 4,711" in text


def test_usage_is_shown_by_dimension_without_rounding() -> None:
    text = text_of(html(invoice_page(invoice())))

    assert "input tokens 1,284,203,994 2.5 per 1,000,000 × 1.8 12" in text
    assert "5,778.917973000000000000000000000000001" in text


def test_a_credit_note_shows_net_tax_and_what_becomes_of_it() -> None:
    text = text_of(html(credit_note_page(note())))

    assert "Net 5.36 VAT 20 % 1.07 Credited in USD 6.43" in text
    assert "Kept for later invoices" in text


def test_a_preview_is_called_so() -> None:
    preview = invoice()
    preview.name = ""

    assert "Invoice (preview) contracts/acme, not issued" in text_of(html(invoice_page(preview)))
