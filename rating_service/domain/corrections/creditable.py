"""An issued invoice as credit notes see it."""

from __future__ import annotations

from collections.abc import Sequence

from rating_service.domain.documents.credit_note import Creditable, CreditableLine, CreditableTax
from rating_service.domain.documents.invoice_document import Invoice
from rating_service.domain.documents.invoice_lines import SETTLING_KINDS
from rating_service.domain.invoicing.credited_fees import returned_by_line


def creditable(invoice: Invoice, invoice_hash: str, later: Sequence[Invoice] = ()) -> Creditable:
    """Return what may be credited of an invoice: all lines but those of no money and those that settle.

    `later` are the invoices that have closed cycles since, in the order of issue.
    """
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
        returned=returned_by_line(invoice, later),
    )
