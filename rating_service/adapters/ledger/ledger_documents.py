"""The ledger's book of issued documents over gRPC: recording them, and reading what it has recorded."""

from __future__ import annotations

from typing import Final

import grpc
import msgspec

from credits.ledger.v1 import (
    billing_records_pb2,
    contract_service_pb2_grpc,
    history_service_pb2,
    history_service_pb2_grpc,
)
from rating_service.adapters.ledger.ledger_client import call_ledger
from rating_service.adapters.ledger.ledger_messages import write_instant
from rating_service.application.auditing.document_findings import RecordedDocument
from rating_service.application.ports import LedgerRefused, LedgerUnavailableError
from rating_service.domain.agreements.catalogue import BILL_TOPICS
from rating_service.domain.documents.ledger_records import (
    CreditNoteRecord,
    DocumentRecord,
    InvoiceRecord,
    RecordedAmount,
)

PAGE_EVENTS: Final = 1_000
PASSING: Final = frozenset(
    code.value[0]
    for code in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    )
)
"""Codes of refusals that say nothing about the document: the same call may do later."""


class _Document(msgspec.Struct):
    document_hash: str
    invoice: str = ""
    credit_note: str = ""


class _Fact(msgspec.Struct):
    event: _Document


_facts: Final = msgspec.json.Decoder(_Fact)


class LedgerDocuments:
    """DocumentLedger and DocumentFacts over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Call over a channel."""
        self._contracts = contract_service_pb2_grpc.ContractServiceStub(channel)
        self._history = history_service_pb2_grpc.HistoryServiceStub(channel)

    async def record(self, record: DocumentRecord) -> int:
        """Record a document and return the fact's position; again returns the same one.

        Raises LedgerRefused, LedgerUnavailableError.
        """
        try:
            if isinstance(record, InvoiceRecord):
                return (await call_ledger(self._contracts.RecordInvoice, invoice_request(record))).position
            return (await call_ledger(self._contracts.RecordCreditNote, note_request(record))).position
        except LedgerRefused as refused:
            if refused.status.code in PASSING:
                raise LedgerUnavailableError(refused.status.message) from refused
            raise

    async def of_contract(self, contract: str) -> list[RecordedDocument]:
        """Return the facts of a contract's documents. Raises LedgerRefused, LedgerUnavailableError."""
        found: list[RecordedDocument] = []
        request = history_service_pb2.ReadEventsRequest(
            stream=contract, topics=sorted(BILL_TOPICS), page_size=PAGE_EVENTS
        )
        while True:
            events = (await call_ledger(self._history.ReadEvents, request)).events
            found += map(_recorded, events)
            if len(events) < PAGE_EVENTS:
                return found
            request.after = events[-1].version


def invoice_request(record: InvoiceRecord) -> billing_records_pb2.RecordInvoiceRequest:
    """Return the request that records an invoice."""
    request = billing_records_pb2.RecordInvoiceRequest(name=record.contract, idempotency_key=record.document)
    issued = request.issued
    issued.invoice = record.invoice
    issued.kind = billing_records_pb2.InvoiceKind.Value(f"INVOICE_KIND_{record.kind}")
    write_instant(issued.cycle_start_time, record.cycle_start_time)
    write_instant(issued.cycle_end_time, record.cycle_end_time)
    issued.watermark_position = record.watermark_position
    _write_document(issued, record)
    return request


def note_request(record: CreditNoteRecord) -> billing_records_pb2.RecordCreditNoteRequest:
    """Return the request that records a credit note."""
    request = billing_records_pb2.RecordCreditNoteRequest(
        name=record.contract, idempotency_key=record.document
    )
    issued = request.issued
    issued.credit_note = record.credit_note
    issued.invoice = record.invoice
    issued.settlement = billing_records_pb2.NoteSettlement.Value(f"NOTE_SETTLEMENT_{record.settlement}")
    issued.reason = record.reason
    _write_document(issued, record)
    return request


def _write_document(
    issued: billing_records_pb2.IssuedInvoice | billing_records_pb2.IssuedCreditNote, record: DocumentRecord
) -> None:
    issued.document_hash = record.document_hash
    issued.currency_code = record.currency_code
    issued.amounts.extend(map(_amount, record.amounts))
    issued.tax_nanos = record.tax_nanos
    issued.total_nanos = record.total_nanos
    write_instant(issued.issue_time, record.issue_time)


def _amount(amount: RecordedAmount) -> billing_records_pb2.BilledAmount:
    message = billing_records_pb2.BilledAmount(kind=amount.kind, nanos=amount.nanos, product=amount.product)
    if amount.from_time is not None and amount.to_time is not None:
        write_instant(message.from_time, amount.from_time)
        write_instant(message.to_time, amount.to_time)
    return message


def _recorded(event: history_service_pb2.Event) -> RecordedDocument:
    fact = _facts.decode(event.state).event
    return RecordedDocument(fact.credit_note or fact.invoice, event.position, fact.document_hash)
