"""Builds what bills contracts from its parts. Beside `bootstrap`, which knows every other concrete class."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import NamedTuple

import grpc

from rating_service.adapters.clocks import SystemClock
from rating_service.adapters.ledger.included_grants import LedgerGrants
from rating_service.adapters.ledger.ledger_client import LedgerClient
from rating_service.adapters.ledger.ledger_documents import LedgerDocuments
from rating_service.adapters.postgres.billing_store import PostgresBillingStore
from rating_service.adapters.postgres.invoice_facts import PostgresInvoiceFacts
from rating_service.adapters.postgres.invoice_store import PostgresInvoiceStore
from rating_service.adapters.postgres.postgres_pool import Pool
from rating_service.adapters.postgres.record_store import PostgresRecordStore
from rating_service.application.invoicing.bill_thresholds import Thresholds
from rating_service.application.invoicing.billing import Billing
from rating_service.application.invoicing.grant_included import IncludedCredit
from rating_service.application.invoicing.invoices import Invoicing
from rating_service.application.invoicing.issue_due import DueInvoices
from rating_service.application.invoicing.ledger_records import LedgerRecords
from rating_service.application.invoicing.list_cycles import CycleListing
from rating_service.application.invoicing.run_billing import BillingRunner
from rating_service.domain.invoicing.billing import Waits
from rating_service.projections.follower import Follower
from rating_service.rpc.causes import cause_of
from rating_service.settings import Settings


class Opened(NamedTuple):
    """What reaches the outside."""

    pool: Pool
    url: str
    channel: grpc.aio.Channel
    ledger: LedgerClient
    follower: Follower


class BillingParts(NamedTuple):
    """What bills contracts."""

    billing: Billing
    cycles: CycleListing
    runner: BillingRunner


class InvoicingParts(NamedTuple):
    """What computes and keeps invoices, and records them in the ledger."""

    invoicing: Invoicing
    invoices: PostgresInvoiceStore
    facts: PostgresInvoiceFacts
    records: LedgerRecords


def build_invoicing(settings: Settings, opened: Opened, stack: AsyncExitStack) -> InvoicingParts:
    """Return the parts that compute and keep invoices; `stack` takes them down again."""
    facts = PostgresInvoiceFacts(opened.url)
    stack.callback(facts.close)
    invoices = PostgresInvoiceStore(opened.pool)
    records = LedgerRecords(store=PostgresRecordStore(opened.pool), ledger=LedgerDocuments(opened.channel))
    invoicing = Invoicing(
        ledger=opened.ledger,
        history=opened.follower,
        facts=facts,
        store=invoices,
        clock=opened.ledger if settings.sandbox else SystemClock(),
        records=records,
        grace=settings.grace,
    )
    return InvoicingParts(invoicing, invoices, facts, records)


def build_billing(
    settings: Settings, opened: Opened, invoicing: Invoicing, invoices: PostgresInvoiceStore
) -> BillingParts:
    """Return the parts that bill contracts."""
    clock = opened.ledger if settings.sandbox else SystemClock()
    store = PostgresBillingStore(opened.pool, opened.url)
    waits = Waits(settings.grace, settings.max_lateness)
    thresholds = Thresholds(store=store, invoicing=invoicing)
    billing = Billing(
        included=IncludedCredit(store=store, grants=LedgerGrants(opened.channel), cause_of=cause_of),
        invoices=DueInvoices(invoicing=invoicing, thresholds=thresholds, waits=waits, cause_of=cause_of),
        thresholds=thresholds,
        ledger=opened.ledger,
        history=opened.follower,
        store=store,
        clock=clock,
        waits=waits,
    )
    cycles = CycleListing(
        history=opened.follower, store=store, invoices=invoices, clock=clock, grace=settings.grace
    )
    runner = BillingRunner(
        billing=billing,
        store=store,
        clock=clock,
        changes=opened.follower.contract_changes,
        interval=settings.billing_interval,
    )
    return BillingParts(billing, cycles, runner)
