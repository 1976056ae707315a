"""The part of ContractService that records invoices and credit notes."""

from __future__ import annotations

from credits.ledger.v1 import billing_records_pb2, contract_service_pb2_grpc
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import AnyCommand, Request
from ledger_service.domain.events import CreditNoteIssued, InvoiceIssued
from ledger_service.rpc.agreements.billing_record_messages import (
    read_record_credit_note,
    read_record_invoice,
    write_issued_credit_note,
    write_issued_invoice,
)
from ledger_service.rpc.calls import Context, actor_of


class BillingRecordServicer(contract_service_pb2_grpc.ContractServiceServicer):
    """Records what rating has issued."""

    _writer: Writer

    async def RecordInvoice(
        self, request: billing_records_pb2.RecordInvoiceRequest, context: Context
    ) -> billing_records_pb2.RecordInvoiceResponse:
        """Record an invoice."""
        outcome = await self._record(read_record_invoice(request), request.idempotency_key, context)
        event = outcome.fact.event
        assert isinstance(event, InvoiceIssued)
        return billing_records_pb2.RecordInvoiceResponse(
            issued=write_issued_invoice(event), replayed=outcome.replayed, position=outcome.position
        )

    async def RecordCreditNote(
        self, request: billing_records_pb2.RecordCreditNoteRequest, context: Context
    ) -> billing_records_pb2.RecordCreditNoteResponse:
        """Record a credit note."""
        outcome = await self._record(read_record_credit_note(request), request.idempotency_key, context)
        event = outcome.fact.event
        assert isinstance(event, CreditNoteIssued)
        return billing_records_pb2.RecordCreditNoteResponse(
            issued=write_issued_credit_note(event), replayed=outcome.replayed, position=outcome.position
        )

    async def _record(self, command: AnyCommand, key: str, context: Context) -> Outcome:
        outcome = await self._writer.submit(Request(command, key, actor_of(context)))
        assert outcome is not None, "a keyed command records something"
        return outcome
