"""InvoiceService on the wire."""

from __future__ import annotations

from typing import Any

from credits.rating.v1 import invoice_service_pb2
from rating_service.application.auditing.verify_documents import DocumentVerification
from rating_service.application.changing_plans.migrate_contracts import Migration
from rating_service.application.changing_plans.plan_changes import PlanChanging
from rating_service.application.crediting.credit_due import CreditDue
from rating_service.application.crediting.credit_notes import CreditNotes
from rating_service.application.invoicing.billing import Billing
from rating_service.application.invoicing.customer_balance import CustomerBalances
from rating_service.application.invoicing.invoices import Invoicing
from rating_service.application.invoicing.list_cycles import CycleListing
from rating_service.application.invoicing.trace_line import LineTracing
from rating_service.rpc.billing_servicer import BillingServicer
from rating_service.rpc.credit_note_servicer import CreditNoteMethods
from rating_service.rpc.invoice_messages import given_taxes, invoice
from rating_service.rpc.messages import line_debit, line_event, read_instant, required_instant
from rating_service.rpc.plan_change_servicer import PlanChangeServicer


class InvoiceServicer(CreditNoteMethods, BillingServicer, PlanChangeServicer):
    """Hands requests to the application and its invoices back."""

    def __init__(
        self,
        *,
        invoicing: Invoicing,
        tracing: LineTracing,
        billing: Billing,
        cycles: CycleListing,
        notes: CreditNotes,
        balances: CustomerBalances,
        credit_due: CreditDue,
        verification: DocumentVerification,
        changing: PlanChanging,
        migration: Migration,
    ) -> None:
        """Serve an application."""
        self._invoicing = invoicing
        self._tracing = tracing
        self._billing = billing
        self._cycles = cycles
        self._notes = notes
        self._balances = balances
        self._credit_due = credit_due
        self._verification = verification
        self._changing = changing
        self._migration = migration

    async def PreviewInvoice(
        self, request: invoice_service_pb2.PreviewInvoiceRequest, context: Any = None
    ) -> invoice_service_pb2.PreviewInvoiceResponse:
        """Compute the invoice of a cycle without issuing it."""
        preview = await self._invoicing.preview(
            request.contract,
            read_instant(request.cycle_time, field="cycle_time") if request.HasField("cycle_time") else None,
            min_position=request.min_position,
            watermark_position=request.watermark_position,
            taxes=given_taxes(request),
        )
        return invoice_service_pb2.PreviewInvoiceResponse(invoice=invoice(preview))

    async def IssueInvoice(
        self, request: invoice_service_pb2.IssueInvoiceRequest, context: Any = None
    ) -> invoice_service_pb2.IssueInvoiceResponse:
        """Issue the invoice of an ended cycle, once."""
        issued = await self._invoicing.issue(
            request.contract,
            required_instant(request),
            waive_grace=request.waive_grace,
            taxes=given_taxes(request),
        )
        return invoice_service_pb2.IssueInvoiceResponse(invoice=invoice(issued), replayed=issued.replayed)

    async def GetInvoice(
        self, request: invoice_service_pb2.GetInvoiceRequest, context: Any = None
    ) -> invoice_service_pb2.GetInvoiceResponse:
        """Read an issued invoice."""
        return invoice_service_pb2.GetInvoiceResponse(
            invoice=invoice(await self._invoicing.get(request.name))
        )

    async def ListInvoices(
        self, request: invoice_service_pb2.ListInvoicesRequest, context: Any = None
    ) -> invoice_service_pb2.ListInvoicesResponse:
        """List issued invoices by name."""
        page = await self._invoicing.list(
            contract=request.contract, page_size=request.page_size, token=request.page_token
        )
        return invoice_service_pb2.ListInvoicesResponse(
            invoices=map(invoice, page.invoices), next_page_token=page.next_page_token
        )

    async def TraceLine(
        self, request: invoice_service_pb2.TraceLineRequest, context: Any = None
    ) -> invoice_service_pb2.TraceLineResponse:
        """List what is behind a line."""
        page = await self._tracing.trace(
            request.name, request.line_id, page_size=request.page_size, token=request.page_token
        )
        return invoice_service_pb2.TraceLineResponse(
            debits=map(line_debit, page.debits),
            events=map(line_event, page.events),
            next_page_token=page.next_page_token,
        )
