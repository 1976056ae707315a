"""Closing the month: an invoice for every customer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from credits.rating.v1 import invoice_service_pb2
from deploy.demo.accounts import cycles
from deploy.demo.customers import Customer
from deploy.demo.report import InvoiceFigures, LineFigures
from deploy.demo.services import CALL_SECONDS_MAX, Services, instant_of, stamp
from deploy.demo.timeline import Timeline

Invoice = invoice_service_pb2.Invoice


def issue_invoices(
    services: Services,
    customers: Sequence[Customer],
    timeline: Timeline,
    *,
    on_progress: Callable[[int], None],
) -> list[Invoice]:
    """Issue every customer's invoice of every month played."""
    issued: list[Invoice] = []
    for start, _ in cycles(timeline):
        for customer in customers:
            issued.append(issue(services, customer.contract, start).invoice)
            on_progress(1)
    return issued


def issue(
    services: Services, contract: str, cycle_time: datetime
) -> invoice_service_pb2.IssueInvoiceResponse:
    """Issue one invoice, or read it if it was issued."""
    request = invoice_service_pb2.IssueInvoiceRequest(contract=contract, cycle_time=stamp(cycle_time))
    return services.invoices.IssueInvoice(request, timeout=CALL_SECONDS_MAX)


def invoice_figures(invoice: Invoice) -> InvoiceFigures:
    """Return an invoice as plain values."""
    return InvoiceFigures(
        name=invoice.name,
        plan=invoice.plan,
        customer=invoice.customer,
        cycle_start_time=instant_of(invoice.cycle_start_time),
        cycle_end_time=instant_of(invoice.cycle_end_time),
        currency_code=invoice.total.currency_code,
        total_nanos=invoice.total.nanos,
        included_units=invoice.included_units,
        included_used_units=invoice.included_used_units,
        lines=[line_figures(line) for line in invoice.lines],
        hash=invoice.hash,
    )


def line_figures(line: invoice_service_pb2.InvoiceLine) -> LineFigures:
    """Return an invoice line as plain values."""
    return LineFigures(
        kind=invoice_service_pb2.LineKind.Name(line.kind).removeprefix("LINE_KIND_"),
        description=line.description,
        contract_phase=line.contract_phase,
        rate_card_phase=line.rate_card_phase,
        amount_units=line.amount_units,
        unit_price=line.unit_price.price,
        amount_nanos=line.amount.nanos,
        debit_count=line.debit_count,
        quantities=dict(sorted(line.quantities.items())),
    )
