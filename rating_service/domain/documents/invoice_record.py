"""What the ledger is told of an issued invoice."""

from __future__ import annotations

from rating_service.domain.documents.invoice_document import Invoice
from rating_service.domain.documents.ledger_records import InvoiceRecord, RecordedAmount


def invoice_record(invoice: Invoice, invoice_hash: str) -> InvoiceRecord:
    """Return an invoice's record: each line that comes to something, its tax and its total."""
    assert invoice.issue_time is not None, "a preview is not recorded"
    return InvoiceRecord(
        invoice=invoice.name,
        contract=invoice.contract,
        kind=invoice.kind.value,
        cycle_start_time=invoice.cycle.start_time,
        cycle_end_time=invoice.cycle.end_time,
        issue_time=invoice.issue_time,
        watermark_position=invoice.watermark_position,
        document_hash=invoice_hash,
        currency_code=invoice.total.currency_code,
        amounts=tuple(
            RecordedAmount(
                line.key.kind.value,
                line.amount.nanos,
                line.from_time,
                line.to_time,
                line.key.rate_card_phase or line.key.contract_phase,
            )
            for line in invoice.lines
            if line.amount.nanos
        ),
        tax_nanos=sum(tax.amount.nanos for tax in invoice.taxes),
        total_nanos=invoice.total.nanos,
    )
