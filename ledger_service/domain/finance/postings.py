"""Postings: what a lot's change moves between accounts, as the difference between the lot before and after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final, NamedTuple

from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.journal import Flow, Movement, Posting, PostingKey
from ledger_service.domain.finance.lots import PaidLot

SALE: Final = Flow(Movement.SALE, Account.CASH, Account.CONTRACT_LIABILITY)
TAX: Final = Flow(Movement.TAX, Account.CASH, Account.SALES_TAX_PAYABLE)
USAGE: Final = Flow(Movement.USAGE, Account.CONTRACT_LIABILITY, Account.REVENUE_USAGE)
BREAKAGE: Final = Flow(Movement.BREAKAGE, Account.CONTRACT_LIABILITY, Account.REVENUE_BREAKAGE)
ESCHEAT: Final = Flow(Movement.ESCHEAT, Account.CONTRACT_LIABILITY, Account.UNCLAIMED_PROPERTY_PAYABLE)
REFUND_OWED: Final = Flow(Movement.REFUND, Account.CONTRACT_LIABILITY, Account.REFUND_LIABILITY)
REFUND_PAID: Final = Flow(Movement.REFUND, Account.CONTRACT_LIABILITY, Account.CASH)
SETTLEMENT: Final = Flow(Movement.SETTLEMENT, Account.REFUND_LIABILITY, Account.CASH)
RECEIVABLE: Final = Flow(Movement.REFUND, Account.ACCOUNTS_RECEIVABLE, Account.CASH)
RECEIVABLE_LOWERED: Final = Flow(Movement.REFUND, Account.CONTRACT_LIABILITY, Account.ACCOUNTS_RECEIVABLE)
EXCHANGE_OWED: Final = Flow(Movement.EXCHANGE, Account.EXCHANGE_DIFFERENCE, Account.REFUND_LIABILITY)
EXCHANGE_PAID: Final = Flow(Movement.EXCHANGE, Account.EXCHANGE_DIFFERENCE, Account.CASH)
TAX_OWED: Final = Flow(Movement.TAX, Account.SALES_TAX_PAYABLE, Account.REFUND_LIABILITY)
TAX_PAID: Final = Flow(Movement.TAX, Account.SALES_TAX_PAYABLE, Account.CASH)
TAX_LOWERED: Final = Flow(Movement.REFUND, Account.SALES_TAX_PAYABLE, Account.ACCOUNTS_RECEIVABLE)
TAX_ROUNDED: Final = Flow(Movement.ROUNDING, Account.SALES_TAX_PAYABLE, Account.ROUNDING)
EXCHANGE_BILLED: Final = Flow(Movement.EXCHANGE, Account.ACCOUNTS_RECEIVABLE, Account.EXCHANGE_DIFFERENCE)
PRODUCT: Final = Flow(Movement.PRODUCT, Account.CASH, Account.REVENUE_PRODUCT)
PLAN: Final = Flow(Movement.PLAN, Account.CONTRACT_LIABILITY, Account.REVENUE_PLAN)
OVERAGE: Final = Flow(Movement.OVERAGE, Account.UNBILLED_RECEIVABLE, Account.REVENUE_OVERAGE)


class Days(NamedTuple):
    """When something counts, by both clocks, and what it was for."""

    effective_day: date
    record_day: date
    product: str = ""


def differences(
    before: PaidLot, after: PaidLot, days: Days, *, open_day: date, refund: Flow = REFUND_OWED
) -> Iterator[Posting]:
    """Yield what a lot's change posts. `open_day` is the first day of the first open period.

    Nothing counts before the lot is effective, so that contract liability is never negative.
    """
    usage = after.usage_nanos - before.usage_nanos
    breakage = after.breakage_nanos - before.breakage_nanos
    if usage:
        yield Posting(key_of(after, USAGE, days, open_day=open_day), usage)
    if breakage:
        yield Posting(key_of(after, BREAKAGE, days, open_day=open_day), breakage)
    if after.refunded_nanos != before.refunded_nanos:
        nanos = after.refunded_nanos - before.refunded_nanos
        yield Posting(key_of(after, refund, days, open_day=open_day), nanos)
    if after.escheated_nanos != before.escheated_nanos:
        nanos = after.escheated_nanos - before.escheated_nanos
        yield Posting(key_of(after, ESCHEAT, days, open_day=open_day), nanos)


def key_of(lot: PaidLot, flow: Flow, days: Days, *, open_day: date) -> PostingKey:
    """Return where a lot's amount is added up."""
    effective_day = max(days.effective_day, lot.effective_day)
    return PostingKey(
        flow,
        max(effective_day, open_day),
        effective_day,
        days.record_day,
        lot.currency_code,
        lot.entity,
        days.product or lot.product,
    )
