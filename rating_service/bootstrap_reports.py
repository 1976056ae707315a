"""Builds the reports on usage and credit from their parts."""

from __future__ import annotations

from typing import NamedTuple

import grpc

from rating_service.adapters.ledger.balance_client import BalanceClient
from rating_service.adapters.postgres.invoice_store import PostgresInvoiceStore
from rating_service.adapters.postgres.postgres_pool import Pool
from rating_service.adapters.postgres.usage_reader import PostgresUsageReader
from rating_service.adapters.postgres.usage_store import PostgresUsageStore
from rating_service.application.invoicing.invoice_ports import InvoiceFacts
from rating_service.application.ports import Clock
from rating_service.application.reporting.bill_forecasts import BillForecasts
from rating_service.application.reporting.bills import BillListing
from rating_service.application.reporting.forecasts import Forecasting
from rating_service.application.reporting.remaining_credit import CreditReporting
from rating_service.application.reporting.usage_reports import UsageReporting
from rating_service.projections.follower import Follower
from rating_service.projections.usage_rollup import UsageRollup
from rating_service.rpc.metrics import UNSUMMED_EVENTS
from rating_service.rpc.report_servicer import ReportServicer


class ReportParts(NamedTuple):
    """What answers reports, and what keeps the sums that they are made of."""

    servicer: ReportServicer
    rollup: UsageRollup


def build_reports(
    pool: Pool, channel: grpc.aio.Channel, history: Follower, facts: InvoiceFacts, clock: Clock
) -> ReportParts:
    """Return the parts of reports on what a follower stored, and what invoices are computed from."""
    rollup = UsageRollup(history=history, store=PostgresUsageStore(pool))
    UNSUMMED_EVENTS.set_function(lambda: rollup.lag_events)
    reader = PostgresUsageReader(pool)
    balances = BalanceClient(channel)
    servicer = ReportServicer(
        usage=UsageReporting(history=history, rollup=rollup, reader=reader),
        credit=CreditReporting(history=history, reader=reader, balances=balances, clock=clock),
        forecasting=Forecasting(
            history=history,
            rollup=rollup,
            reader=reader,
            balances=balances,
            bills=BillForecasts(facts),
            clock=clock,
        ),
        bills=BillListing(history=history, store=PostgresInvoiceStore(pool)),
    )
    return ReportParts(servicer, rollup)
