"""Refunds and chargebacks: what leaves a lot because it is paid back, and the payment of what is owed.

A refund is owed until it is settled, unless it was paid at once. Of a sale in a foreign currency the liability stays at
the rate of its receipt; what the refund costs more or less at its own rate is an exchange difference.

Tax goes back beside it, out of what is owed to the state, at the rate of its receipt too. In the entity's own currency
it is the difference of cumulative figures, each rounded half up, so that the parts add up to what was received. What a
bank took back of it for credit that was used is owed by the customer, and stays owed to the state.
"""

from __future__ import annotations

from ledger_service.domain.finance.journal import Flow
from ledger_service.domain.finance.lots import PaidLot, refunded, tax_returned
from ledger_service.domain.finance.postings import (
    EXCHANGE_OWED,
    EXCHANGE_PAID,
    RECEIVABLE,
    RECEIVABLE_LOWERED,
    REFUND_OWED,
    REFUND_PAID,
    SETTLEMENT,
    TAX_LOWERED,
    TAX_OWED,
    TAX_PAID,
    TAX_ROUNDED,
    Days,
    key_of,
)
from ledger_service.domain.values import Money
from ledger_service.projections.bookkeeping.books import Books, LotKey, OpenLot, change, flush
from ledger_service.projections.bookkeeping.journal_sales import in_own_currency
from ledger_service.projections.events.estimate_events import RefundPaid
from ledger_service.projections.events.movement_events import ChargedBack, Lowered
from ledger_service.projections.events.wallet_events import Change, Refunded, WalletEvent


def post_refund(books: Books, event: WalletEvent, told: Refunded, days: Days) -> None:
    """Take a refund off the liability."""
    held = _held(books, event, told.grant_version)
    if held is None:
        return
    lot = flush(books, held)
    nanos = in_own_currency(told.refund.nanos, lot.exchange_rate)
    after = refunded(lot, units=told.amount_units, nanos=nanos)
    change(books, held, after, days, refund=REFUND_PAID if told.paid else REFUND_OWED)
    paid = in_own_currency(told.refund.nanos, told.exchange_rate or lot.exchange_rate)
    difference = paid - (after.refunded_nanos - lot.refunded_nanos)
    if told.tax is not None:
        tax = _give_back(books, held, told.tax.nanos, days, TAX_PAID if told.paid else TAX_OWED)
        difference += in_own_currency(told.tax.nanos, told.exchange_rate or lot.exchange_rate) - tax
    if difference:
        flow = EXCHANGE_PAID if told.paid else EXCHANGE_OWED
        books.add(key_of(lot, flow, days, open_day=books.open_day(lot.entity)), difference)


def post_chargeback(books: Books, event: WalletEvent, told: ChargedBack, days: Days) -> None:
    """Take what the bank took back off the liability; what was used already is a receivable."""
    held = _held(books, event, told.grant_version)
    if held is None:
        return
    lot = flush(books, held)
    receivable = in_own_currency(told.receivable.nanos, lot.exchange_rate)
    nanos = in_own_currency(told.amount.nanos, lot.exchange_rate) - receivable
    after = refunded(lot, units=told.revoked_units, nanos=nanos)
    change(books, held, after, days, refund=REFUND_PAID)
    owed = told.tax_receivable.nanos if told.tax_receivable is not None else 0
    if told.tax is not None:
        _give_back(books, held, told.tax.nanos - owed, days, TAX_PAID)
        receivable += in_own_currency(owed, lot.exchange_rate)
    books.add(key_of(lot, RECEIVABLE, days, open_day=books.open_day(lot.entity)), receivable)


def post_lowered(books: Books, event: WalletEvent, told: Lowered, days: Days) -> None:
    """Take units that came back to a lot that was charged back off the receivable."""
    held = _held(books, event, told.grant_version)
    if held is not None:
        lot = flush(books, held)
        nanos = in_own_currency(told.reduction.nanos, lot.exchange_rate)
        after = refunded(lot, units=told.amount_units, nanos=nanos)
        change(books, held, after, days, refund=RECEIVABLE_LOWERED)
        if told.tax is not None:
            _give_back(books, held, told.tax.nanos, days, TAX_LOWERED)


def move_tax(books: Books, held: OpenLot, tax: Money | None, days: Days, *, sign: int) -> None:
    """Let tax move on to the lot that units become elsewhere; below zero, it came back. It stays owed to the state.

    There it is rounded by itself; what that leaves of the tax here is rounding.
    """
    if tax is None:
        return
    before: PaidLot = held.lot
    nanos = sign * tax.nanos
    after = tax_returned(before, nanos)
    change(books, held, after, days)
    here = after.in_own_currency(after.returned_tax_nanos) - before.in_own_currency(before.returned_tax_nanos)
    there = sign * before.in_own_currency(tax.nanos)
    if here != there:
        key = key_of(after, TAX_ROUNDED, days, open_day=books.open_day(after.entity))
        books.add(key, here - there)


def _give_back(books: Books, held: OpenLot, nanos: int, days: Days, flow: Flow) -> int:
    """Post tax that goes back, and return how much it is in the entity's own currency."""
    before: PaidLot = held.lot
    after = tax_returned(before, nanos)
    change(books, held, after, days)
    own = after.in_own_currency(after.returned_tax_nanos) - before.in_own_currency(before.returned_tax_nanos)
    if own:
        books.add(key_of(after, flow, days, open_day=books.open_day(after.entity)), own)
    return own


def post_settlement(books: Books, event: WalletEvent, told: Change, days: Days) -> None:
    """Pay what a refund owes. Whatever else an event is, it moves no money."""
    if not isinstance(told, RefundPaid):
        return
    held = _held(books, event, told.grant_version)
    if held is not None:
        lot: PaidLot = held.lot
        rate = told.exchange_rate or lot.exchange_rate
        nanos = in_own_currency(told.refund.nanos, rate)
        if told.tax is not None:
            nanos += in_own_currency(told.tax.nanos, rate)
        books.add(key_of(lot, SETTLEMENT, days, open_day=books.open_day(lot.entity)), nanos)


def _held(books: Books, event: WalletEvent, version: int) -> OpenLot | None:
    return books.lots.get(LotKey(event.wallet, version))
