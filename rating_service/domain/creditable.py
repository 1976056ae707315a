"""An issued invoice as credit notes see it."""

from __future__ import annotations

from rating_service.domain.credit_note import Creditable, CreditableLine, CreditableTax
from rating_service.domain.invoice_document import Invoice
from rating_service.domain.invoice_lines import SETTLING_KINDS


def creditable(invoice: Invoice, invoice_hash: str) -> Creditable:
    """Return what may be credited of an invoice: all lines but those of no money and those that settle."""
    return Creditable(
        invoice=invoice.name,
        invoice_hash=invoice_hash,
        contract=invoice.contract,
        customer=invoice.customer,
        currency_code=invoice.total.currency_code,
        total_nanos=invoice.total.nanos,
        lines=tuple(
            CreditableLine(
                line.line_id,
                line.key.kind.value,
                line.description,
                line.amount.nanos,
                line.from_time,
                line.to_time,
            )
            for line in invoice.lines
            if line.amount.nanos and line.key.kind not in SETTLING_KINDS
        ),
        taxes=tuple(
            CreditableTax(tax.rate.name, tax.rate.percent, tax.rate.jurisdiction, tax.amount.nanos)
            for tax in invoice.taxes
        ),
        owed_nanos=invoice.credit_due.nanos if invoice.credit_due else 0,
    )
