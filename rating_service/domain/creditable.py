"""An issued invoice as credit notes see it."""

from __future__ import annotations

from rating_service.domain.credit_note import Creditable, CreditableLine
from rating_service.domain.invoice import Invoice


def creditable(invoice: Invoice, invoice_hash: str) -> Creditable:
    """Return what may be credited of an invoice. Lines of no money are left out: nothing of them is invoiced."""
    return Creditable(
        invoice=invoice.name,
        invoice_hash=invoice_hash,
        contract=invoice.contract,
        customer=invoice.customer,
        currency_code=invoice.total.currency_code,
        lines=tuple(
            CreditableLine(line.line_id, line.key.kind.value, line.description, line.amount.nanos)
            for line in invoice.lines
            if line.amount.nanos
        ),
    )
