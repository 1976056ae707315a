"""Closing the month: an invoice for every customer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from credits.ledger.v1 import history_service_pb2
from credits.rating.v1 import invoice_service_pb2
from deploy.demo.accounts import cycles
from deploy.demo.customers import Customer
from deploy.demo.report import InvoiceFigures, LineFigures
from deploy.demo.services import CALL_SECONDS_MAX, DemoFailed, Services, instant_of, stamp
from deploy.demo.timeline import Timeline

Invoice = invoice_service_pb2.Invoice
RECORD_TOPIC: Final = "contract.InvoiceIssued.v1"
RECORDS_MAX: Final = 5_000
"""Far more than the demo has invoices."""
RECORDS_POLL_SECONDS: Final = 0.05


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


def await_records(services: Services, count: int) -> None:
    """Return once the ledger was told of so many invoices, which happens behind their issue. Raises DemoFailed."""
    request = history_service_pb2.ReadEventsRequest(topics=[RECORD_TOPIC], page_size=RECORDS_MAX)
    deadline = time.monotonic() + CALL_SECONDS_MAX
    while (found := len(services.history.ReadEvents(request, timeout=CALL_SECONDS_MAX).events)) < count:
        if time.monotonic() > deadline:
            raise DemoFailed(f"the ledger was told of {found} of {count} invoices")
        time.sleep(RECORDS_POLL_SECONDS)


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
    is_adjustment = line.kind == invoice_service_pb2.LINE_KIND_ADJUSTMENT
    return LineFigures(
        kind=kind_text(line.kind),
        description=line.description,
        contract_phase=line.contract_phase,
        rate_card_phase=line.rate_card_phase,
        amount_units=line.amount_units,
        unit_price=line.unit_price.price,
        amount_nanos=line.amount.nanos,
        debit_count=line.debit_count,
        quantities=dict(sorted(line.quantities.items())),
        adjusted_kind=kind_text(line.adjusted_kind) if is_adjustment else "",
        adjusted_invoice=line.adjusted.invoice,
    )


def kind_text(kind: invoice_service_pb2.LineKind.ValueType) -> str:
    """Return a kind of line as a word."""
    return invoice_service_pb2.LineKind.Name(kind).removeprefix("LINE_KIND_")
