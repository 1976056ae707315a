"""A credit note as a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from credits.rating.v1 import credit_note_pb2
from rating_service.cli.amounts import figure
from rating_service.cli.documents.document_page import NUMBER, Cell, Column, Fact, Page, Row, Sum, Table
from rating_service.cli.instants import day, span

SETTLEMENTS: Final = {
    credit_note_pb2.SETTLEMENT_REFUND: "Paid back",
    credit_note_pb2.SETTLEMENT_CREDIT: "Kept for later invoices",
    credit_note_pb2.SETTLEMENT_OFFSET: "Set against the invoice",
}


def credit_note_page(note: credit_note_pb2.CreditNote) -> Page:
    """Return a credit note as it is set."""
    return Page(
        title="Credit note",
        name=note.name,
        total_label="Credited",
        total=figure(note.total),
        currency=note.total.currency_code,
        facts=(
            Fact("Customer", note.customer),
            Fact("Contract", note.contract),
            Fact("Issued", day(note.issue_time)),
            Fact("Credits", note.invoice),
            Fact("Settlement", SETTLEMENTS[note.settlement]),
            Fact("Reason", note.reason),
        ),
        tables=(_lines(note),),
        proof=(
            Fact("Document", f"SHA-256 {note.hash}"),
            Fact("Known", f"the ledger's history up to position {note.watermark_position:,}"),
            Fact("Recorded", f"at position {note.recorded_position:,} of the ledger's log")
            if note.recorded_position
            else Fact("Recorded", "not yet"),
        ),
    )


def _lines(note: credit_note_pb2.CreditNote) -> Table:
    return Table(
        columns=(Column("Line"), Column("Credited"), Column(f"Amount {note.total.currency_code}", NUMBER)),
        rows=tuple(
            Row((Cell(line.line_id), Cell(line.description, _span(line)), Cell(figure(line.amount))))
            for line in note.lines
        ),
        role="summary",
        sums=tuple(_sums(note)),
    )


def _span(line: credit_note_pb2.CreditNoteLine) -> str:
    if not line.HasField("from_time"):
        return ""
    return span(line.from_time, line.to_time)


def _sums(note: credit_note_pb2.CreditNote) -> Iterator[Sum]:
    if note.taxes:
        yield Sum("Net", figure(note.net))
    for tax in note.taxes:
        where = f" ({tax.jurisdiction})" if tax.jurisdiction else ""
        yield Sum(f"{tax.name} {tax.percent} %{where}", figure(tax.amount))
    yield Sum(f"Credited in {note.total.currency_code}", figure(note.total), "grand")
