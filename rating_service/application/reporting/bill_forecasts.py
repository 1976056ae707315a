"""What the invoice of a running cycle is heading for: the very function that bills, with the overage that is to come.

Overage that is projected is taken for one more debit, now, at the overage price of the phase in force. So base fee and
seats, minimum and maximum, commitments, tax, adjustments of earlier cycles and what was invoiced or credited before
are what they would be on the invoice, and no rule of theirs is told twice. Nothing is issued or stored.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final, NamedTuple

from rating_service.application.invoicing.invoice_basis import InvoiceOrder
from rating_service.application.invoicing.invoice_computation import basis_of, invoice_on
from rating_service.application.invoicing.invoice_ports import InvoiceFacts
from rating_service.domain.agreements.agreement import Contract, Money
from rating_service.domain.debits import DebitFact
from rating_service.domain.documents.invoice_lines import LineKind
from rating_service.domain.invoicing.invoice import Invoice
from rating_service.domain.refusals import Refusal

BILL_METHOD: Final = (
    "The invoice as it would be issued at the cycle's end: fees, minimum, maximum, commitments, taxes and adjustments"
    " as agreed and known now; overage so far at its own prices, overage to come at the price of the phase in force."
)


class ProjectedLine(NamedTuple):
    """What the lines of one kind come to."""

    kind: LineKind
    amount: Money


class ProjectedBill(NamedTuple):
    """A running cycle's invoice as projected: kinds in the order of an invoice, tax and total."""

    lines: list[ProjectedLine]
    tax: Money
    total: Money


class BillForecasts:
    """Projects invoices."""

    def __init__(self, facts: InvoiceFacts) -> None:
        """Compute from what was followed."""
        self._facts = facts

    async def project(
        self, contract: Contract, now: datetime, *, position: int, further_units: int
    ) -> ProjectedBill | None:
        """Return the projected invoice of the cycle that holds an instant, as known at a position.

        None if the cycle has its invoice, or would have one in two currencies.
        """
        return await asyncio.to_thread(self._project, contract, now, position, further_units)

    def _project(
        self, contract: Contract, now: datetime, position: int, further_units: int
    ) -> ProjectedBill | None:
        further = DebitFact(position, contract.wallet, 0, now, further_units, further_units)
        order = InvoiceOrder(
            contract.name, now, position, as_known=True, expected=(further,) if further_units else ()
        )
        with self._facts.open() as facts:
            basis = basis_of(facts, order)
            if basis.closed_by is not None:
                return None
            try:
                return _projected(invoice_on(facts, basis, order))
            except Refusal:
                return None


def _projected(invoice: Invoice) -> ProjectedBill:
    sums: dict[LineKind, int] = {}
    for line in invoice.lines:
        sums[line.key.kind] = sums.get(line.key.kind, 0) + line.amount.nanos
    currency = invoice.total.currency_code
    lines = [ProjectedLine(kind, Money(currency, nanos)) for kind, nanos in sums.items() if nanos]
    return ProjectedBill(lines, invoice.tax or Money(currency, 0), invoice.total)
