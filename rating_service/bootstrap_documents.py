"""Builds what sees to issued documents from its parts. Beside `bootstrap`, which knows every other concrete class."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from rating_service.adapters.clocks import SystemClock
from rating_service.adapters.ledger.adjustment_records import FollowedAdjustments, LedgerAdjustments
from rating_service.adapters.ledger.ledger_documents import LedgerDocuments
from rating_service.adapters.postgres.credit_balance_store import PostgresCreditBalances
from rating_service.adapters.postgres.credit_note_store import PostgresCreditNoteStore
from rating_service.adapters.postgres.document_index import PostgresDocumentIndex
from rating_service.adapters.postgres.rerating_facts import PostgresReratingFacts
from rating_service.application.auditing.verify_adjustments import AdjustmentVerification
from rating_service.application.auditing.verify_documents import DocumentVerification
from rating_service.application.crediting.credit_due import CreditDue
from rating_service.application.crediting.credit_notes import CreditNotes
from rating_service.application.invoicing.customer_balance import CustomerBalances
from rating_service.application.invoicing.ledger_records import LedgerRecords
from rating_service.application.invoicing.trace_line import LineTracing
from rating_service.bootstrap_billing import BillingParts, InvoicingParts, Opened
from rating_service.bootstrap_plans import build_plan_changes
from rating_service.rpc.invoice_servicer import InvoiceServicer
from rating_service.settings import Settings


class DocumentParts(NamedTuple):
    """What serves invoices and credit notes, and sees to those that were issued."""

    servicer: InvoiceServicer
    records: LedgerRecords
    credit_due: CreditDue

    async def run(self) -> None:
        """Record what was issued in the ledger, and credit what invoices owe, for ever."""
        await asyncio.gather(self.records.run(), self.credit_due.run())


def build_documents(
    settings: Settings, opened: Opened, computing: InvoicingParts, billing: BillingParts
) -> DocumentParts:
    """Return the parts that serve documents and see to them."""
    invoicing, invoices, facts, records = computing
    clock = opened.ledger if settings.sandbox else SystemClock()
    ledger = LedgerDocuments(opened.channel)
    store = PostgresCreditNoteStore(opened.pool)
    index = PostgresDocumentIndex(opened.pool)
    notes = CreditNotes(
        invoicing=invoicing, store=store, records=records, history=opened.follower, clock=clock
    )
    credit_due = CreditDue(notes=notes, store=store, invoicing=invoicing, owing=index)

    async def catch_up() -> None:
        await credit_due.sweep()
        await records.sweep()

    verification = DocumentVerification(
        again=invoicing,
        invoices=invoices,
        notes=store,
        index=index,
        facts=ledger,
        adjustments=AdjustmentVerification(
            index=FollowedAdjustments(opened.pool),
            ledger=LedgerAdjustments(opened.channel),
            usage=PostgresReratingFacts(opened.url),
            agreements=facts,
        ),
        history=opened.follower,
        catch_up=catch_up,
    )
    plans = build_plan_changes(settings, opened)
    servicer = InvoiceServicer(
        invoicing=invoicing,
        tracing=LineTracing(invoicing=invoicing, facts=facts, store=invoices),
        billing=billing.billing,
        cycles=billing.cycles,
        notes=notes,
        balances=CustomerBalances(PostgresCreditBalances(opened.pool)),
        credit_due=credit_due,
        verification=verification,
        changing=plans.changing,
        migration=plans.migration,
    )
    return DocumentParts(servicer, records, credit_due)
