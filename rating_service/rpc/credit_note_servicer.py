"""The methods of InvoiceService about credit notes and about the verification of documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from credits.ledger.v1.money_pb2 import Money
from credits.rating.v1 import (
    credit_due_pb2,
    credit_note_pb2,
    document_verification_pb2,
    invoice_service_pb2_grpc,
)
from rating_service.application.auditing.verify_documents import DocumentVerification
from rating_service.application.credit_note_ports import NoteFilter
from rating_service.application.crediting.credit_due import CreditDue
from rating_service.application.crediting.credit_notes import CreditNotes
from rating_service.application.invoicing.customer_balance import CustomerBalances
from rating_service.rpc.credit_note_messages import (
    credit_due,
    note_message,
    open_credit,
    read_order,
    read_settlement,
)


class CreditNoteMethods(invoice_service_pb2_grpc.InvoiceServiceServicer):
    """Hands orders to the application and its notes back."""

    _notes: CreditNotes
    _balances: CustomerBalances
    _credit_due: CreditDue
    _verification: DocumentVerification

    async def IssueCreditNote(
        self, request: credit_note_pb2.IssueCreditNoteRequest, context: Any = None
    ) -> credit_note_pb2.IssueCreditNoteResponse:
        """Credit an issued invoice, whole or in part."""
        issued = await self._notes.issue(read_order(request), key=request.idempotency_key)
        return credit_note_pb2.IssueCreditNoteResponse(
            credit_note=note_message(issued), replayed=issued.replayed
        )

    async def GetCreditNote(
        self, request: credit_note_pb2.GetCreditNoteRequest, context: Any = None
    ) -> credit_note_pb2.GetCreditNoteResponse:
        """Read an issued credit note."""
        return credit_note_pb2.GetCreditNoteResponse(
            credit_note=note_message(await self._notes.get(request.name))
        )

    async def ListCreditNotes(
        self, request: credit_note_pb2.ListCreditNotesRequest, context: Any = None
    ) -> credit_note_pb2.ListCreditNotesResponse:
        """List issued credit notes in the order of their issue."""
        page = await self._notes.list(
            NoteFilter(request.invoice, request.contract),
            page_size=request.page_size,
            token=request.page_token,
        )
        return credit_note_pb2.ListCreditNotesResponse(
            credit_notes=map(note_message, page.notes), next_page_token=page.next_page_token
        )

    async def GetCustomerBalance(
        self, request: credit_note_pb2.GetCustomerBalanceRequest, context: Any = None
    ) -> credit_note_pb2.GetCustomerBalanceResponse:
        """Read what credit notes have left for later invoices."""
        balance = await self._balances.of_contract(request.contract)
        return credit_note_pb2.GetCustomerBalanceResponse(
            balances=[Money(currency_code=code, nanos=nanos) for code, nanos in balance.sums.items()],
            credits=map(open_credit, balance.notes),
        )

    async def ListCreditDue(
        self, request: credit_due_pb2.ListCreditDueRequest, context: Any = None
    ) -> credit_due_pb2.ListCreditDueResponse:
        """List what invoices owe that no note has settled."""
        page = await self._credit_due.page(
            request.contract, page_size=request.page_size, token=request.page_token
        )
        return credit_due_pb2.ListCreditDueResponse(
            credits_due=map(credit_due, page.owing), next_page_token=page.next_page_token
        )

    async def SettleCreditDue(
        self, request: credit_due_pb2.SettleCreditDueRequest, context: Any = None
    ) -> credit_due_pb2.SettleCreditDueResponse:
        """Settle what an invoice owes and no earlier one has room for."""
        issued = await self._credit_due.settle_rest(
            request.invoice, settlement=read_settlement(request.settlement), reason=request.reason
        )
        return credit_due_pb2.SettleCreditDueResponse(
            credit_note=note_message(issued), replayed=issued.replayed
        )

    async def VerifyDocuments(
        self, request: document_verification_pb2.VerifyDocumentsRequest, context: Any = None
    ) -> AsyncIterator[document_verification_pb2.VerifyDocumentsResponse]:
        """Compute every issued document again and compare it."""
        async for progress in self._verification.verify(request.contract):
            yield document_verification_pb2.VerifyDocumentsResponse(
                checked_documents=progress.checked_count,
                total_documents=progress.total_count,
                findings=[
                    document_verification_pb2.DocumentFinding(
                        check=found.check.value, document=found.document, description=found.description
                    )
                    for found in progress.findings
                ],
                done=progress.done,
                checked_adjustments=progress.adjustments_count,
            )
