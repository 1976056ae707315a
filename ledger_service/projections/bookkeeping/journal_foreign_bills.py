"""Bills in a foreign currency: booked in the functional currency of the entity, at the rate in force at their issue.

The receivable is booked at that rate, to the nano for the bill as a whole. What a bill clears is cleared at what it was
carried at: unbilled overage, what was billed ahead in mid-cycle, commitments at the rate of their own bill, credit that
is owed. The difference is an exchange difference; what is neither is left by rounding. Contract liability is not
measured again, so it ends at zero.

A credit note takes back what its invoice booked, at the rate of that; what it owes is owed at the rate of its own
issue, unless it is set off against the receivable of its invoice.

Where no rate is in force, the average of what is carried stands in; where nothing is carried, the bill stays in its own
currency, as overage without a rate did. What was booked so is cleared so, before anything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import Final

import msgspec

from ledger_service.domain.events import BilledAmount
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.billing import (
    BILLED_AHEAD,
    BILLED_CREDIT,
    BILLED_OVERAGE,
    BILLED_TAX,
    CLEARING,
    DRAW_DOWN,
    ROUNDED,
    ROUNDED_BILL,
    SETTLED_BY,
    SETTLING,
    THRESHOLD_CREDIT,
    Moved,
    billed,
    credited,
    credited_tax,
    drawn_down,
    prepaid_until,
)
from ledger_service.domain.finance.carried import ATTO, average, exchange_difference
from ledger_service.domain.finance.exchange import converted
from ledger_service.domain.finance.journal import Flow, Movement
from ledger_service.domain.finance.methods import round_half_up
from ledger_service.domain.finance.postings import EXCHANGE_BILLED
from ledger_service.domain.values import InvoiceKind, NoteSettlement
from ledger_service.projections.bookkeeping.books import Books, ContractRow, Unbilled, add_moved
from ledger_service.projections.bookkeeping.exchange import OWN_OF, BillName, CarriedKey, CarriedKind, RateKey
from ledger_service.projections.events.book_events import BookEvent, Credited, Invoiced
from ledger_service.projections.events.wallet_events import utc_day

CENT_NANOS: Final = 10_000_000
FLOW_OF: Final = {
    CarriedKind.UNBILLED: BILLED_OVERAGE,
    CarriedKind.AHEAD: BILLED_AHEAD,
    CarriedKind.CREDIT: BILLED_CREDIT,
}


class _Bill(msgspec.Struct):
    """A bill while it is posted. Mutable: it adds up what is booked, so that the whole is rounded once."""

    books: Books
    event: BookEvent
    currency_code: str
    own: str
    rate: Fraction
    nanos: int = 0
    booked_nanos: int = 0

    @property
    def row(self) -> ContractRow:
        """Return the contract."""
        return self.books.contracts[self.event.stream]

    def worth(self, nanos: int) -> int:
        """Return what a further amount adds to the bill in the functional currency."""
        self.nanos += nanos
        before, self.booked_nanos = self.booked_nanos, converted(self.nanos, self.rate)
        return self.booked_nanos - before

    def post(self, moved: Iterable[Moved], product: str, *, currency_code: str = "") -> None:
        """Post amounts in the functional currency, or another that is named."""
        entity = self.books.entities[self.row.wallet]
        record_day = utc_day(self.event.record_time)
        add_moved(
            self.books, entity, currency_code or self.own, moved, record_day=record_day, product=product
        )


def invoice_rate(books: Books, event: BookEvent, invoice: Invoiced) -> str:
    """Return at which rate an invoice is booked, a fraction as text; empty: in its own currency."""
    exchange, wallet = books.exchange, books.contracts[event.stream].wallet
    entity, currency = books.entities[wallet], invoice.currency_code
    if not exchange.foreign_to(entity, currency, event.position):
        return ""
    rate = exchange.rate(RateKey(entity, currency), invoice.issue_time, event.position)
    if rate:
        return rate
    holders = {
        CarriedKind.UNBILLED: wallet,
        CarriedKind.AHEAD: event.stream,
        CarriedKind.CREDIT: event.stream,
    }
    for kind, holder in holders.items():
        carried = exchange.carried_of(CarriedKey(holder, kind, currency))
        if carried.nanos:
            return str(average(carried))
    return ""


def post_foreign_invoice(books: Books, event: BookEvent, invoice: Invoiced, rate: str) -> None:
    """Bill a contract in a foreign currency."""
    bill = _begin(books, event, invoice.currency_code, rate)
    row = bill.row
    for amount in invoice.amounts:
        end = prepaid_until(amount, invoice.issue_time)
        if end is not None:
            row.commitment_end, row.commitment_rate = end, rate
        _post_amount(bill, amount, invoice)
    day = utc_day(invoice.issue_time)
    if invoice.tax_nanos:
        bill.post([Moved(BILLED_TAX, day, bill.worth(invoice.tax_nanos))], "")
    if invoice.kind is not InvoiceKind.THRESHOLD and any(each.kind in CLEARING for each in invoice.amounts):
        _round(bill, invoice)
    books.exchange.book_bill(BillName(event.stream, invoice.invoice), rate)


def post_foreign_credit_note(books: Books, event: BookEvent, note: Credited, rate: str) -> None:
    """Take back what a credit note names of an invoice that was booked at a rate."""
    bill = _begin(books, event, note.currency_code, rate)
    for amount in note.amounts:
        own = msgspec.structs.replace(amount, nanos=bill.worth(amount.nanos))
        bill.post(credited(own, note.issue_time, note.settlement), amount.product)
    day = utc_day(note.issue_time)
    if note.tax_nanos:
        bill.post([Moved(credited_tax(note.settlement), day, bill.worth(note.tax_nanos))], "")
    if note.settlement is not NoteSettlement.OFFSET:
        owed = Flow(Movement.EXCHANGE, Account.EXCHANGE_DIFFERENCE, SETTLED_BY[note.settlement])
        bill.post([Moved(owed, day, _owed(bill, note) - bill.booked_nanos)], "")


def _begin(books: Books, event: BookEvent, currency_code: str, rate: str) -> _Bill:
    entity = books.entities[books.contracts[event.stream].wallet]
    own = books.exchange.book_currency(entity, event.position)
    return _Bill(books, event, currency_code, own, Fraction(rate))


def _owed(bill: _Bill, note: Credited) -> int:
    """Return what a credit note owes, at the rate of its issue."""
    exchange = bill.books.exchange
    key = RateKey(bill.books.entities[bill.row.wallet], note.currency_code)
    text = exchange.rate(key, note.issue_time, bill.event.position)
    rate = Fraction(text) if text else bill.rate
    if note.settlement is not NoteSettlement.CREDIT:
        return converted(bill.nanos, rate)
    carried = CarriedKey(bill.event.stream, CarriedKind.CREDIT, note.currency_code)
    return exchange.move(carried, bill.nanos, rate, bill.own).nanos


def carried_kind(amount: BilledAmount, invoice: Invoiced) -> CarriedKind | None:
    """Return what an amount of an invoice clears, or what another invoice will clear; None if it is neither."""
    if invoice.kind is InvoiceKind.THRESHOLD or amount.kind == THRESHOLD_CREDIT:
        return CarriedKind.AHEAD
    if amount.kind in CLEARING:
        return CarriedKind.UNBILLED
    return CarriedKind.CREDIT if amount.kind in SETTLING else None


def _post_amount(bill: _Bill, amount: BilledAmount, invoice: Invoiced) -> None:
    day, kind, row = utc_day(invoice.issue_time), carried_kind(amount, invoice), bill.row
    if kind is not None:
        rest = amount.nanos - _clear_own(bill, kind, amount, day=day)
        _settle(bill, kind, msgspec.structs.replace(amount, nanos=rest), day=day)
    elif amount.kind == DRAW_DOWN and (row.commitment_rate or row.commitment_end is None):
        _draw_down(bill, amount, day=day)
    elif amount.kind == DRAW_DOWN:
        # The commitment was billed in its own currency.
        moved = billed(amount, invoice.issue_time, kind=invoice.kind, commitment_end=row.commitment_end)
        bill.post(moved, amount.product, currency_code=bill.currency_code)
    else:
        own = msgspec.structs.replace(amount, nanos=bill.worth(amount.nanos))
        moved = billed(own, invoice.issue_time, kind=invoice.kind, commitment_end=row.commitment_end)
        bill.post(moved, amount.product)


def _clear_own(bill: _Bill, kind: CarriedKind, amount: BilledAmount, *, day: date) -> int:
    """Clear what was booked in the bill's currency in it, and return how much of the amount that is."""
    wallet, exchange = Unbilled(bill.row.wallet, bill.currency_code), bill.books.exchange
    if kind is CarriedKind.UNBILLED:
        there = bill.books.unbilled_of(wallet)
    else:
        there = -exchange.carried_of(CarriedKey(bill.event.stream, OWN_OF[kind], bill.currency_code)).nanos
    if there * amount.nanos <= 0:
        return 0
    nanos = amount.nanos if abs(amount.nanos) <= abs(there) else there
    bill.post([Moved(FLOW_OF[kind], day, nanos)], amount.product, currency_code=bill.currency_code)
    if kind is CarriedKind.UNBILLED:
        bill.books.unbilled[wallet] = bill.books.unbilled.get(wallet, 0) - nanos
    else:
        exchange.note_own(bill.event.stream, kind, bill.currency_code, nanos)
    return nanos


def _settle(bill: _Bill, kind: CarriedKind, amount: BilledAmount, *, day: date) -> None:
    """Make an amount a receivable at the rate of the bill, and move what it is the other side of as that is carried."""
    # A receivable takes the place of unbilled overage, and stands against what is owed.
    unbilled = kind is CarriedKind.UNBILLED
    sign, holder = (-1, bill.row.wallet) if unbilled else (1, bill.event.stream)
    key = CarriedKey(holder, kind, bill.currency_code)
    move = bill.books.exchange.move(key, sign * amount.nanos, bill.rate, bill.own)
    receivable, carried = bill.worth(amount.nanos), sign * move.nanos
    difference = exchange_difference(amount.nanos, bill.rate, sign * move.exact)
    bill.post([Moved(FLOW_OF[kind], day, carried)], amount.product)
    _post_difference(bill, amount, day=day, difference=difference, rounding=receivable - carried - difference)


def _draw_down(bill: _Bill, amount: BilledAmount, *, day: date) -> None:
    rate = Fraction(bill.row.commitment_rate) if bill.row.commitment_rate else bill.rate
    drawn = converted(-amount.nanos, rate)
    receivable = bill.worth(amount.nanos)
    difference = exchange_difference(amount.nanos, bill.rate, round_half_up(amount.nanos * rate * ATTO))
    bill.post(drawn_down(drawn, day, bill.row.commitment_end or day), amount.product)
    _post_difference(bill, amount, day=day, difference=difference, rounding=receivable + drawn - difference)


def _post_difference(bill: _Bill, amount: BilledAmount, *, day: date, difference: int, rounding: int) -> None:
    moved = [Moved(EXCHANGE_BILLED, day, difference), Moved(ROUNDED_BILL, day, rounding)]
    bill.post(moved, amount.product)


def _round(bill: _Bill, invoice: Invoiced) -> None:
    """Let go of what the invoice leaves of overage below a cent."""
    day, books = utc_day(invoice.issue_time), bill.books
    wallet = Unbilled(bill.row.wallet, bill.currency_code)
    left = books.unbilled_of(wallet)
    if left and abs(left) < CENT_NANOS:
        bill.post([Moved(ROUNDED, day, left)], "", currency_code=bill.currency_code)
        books.unbilled[wallet] = books.unbilled.get(wallet, 0) - left
    key = CarriedKey(wallet.wallet, CarriedKind.UNBILLED, bill.currency_code)
    carried = books.exchange.carried_of(key)
    if carried.nanos and abs(carried.nanos) < CENT_NANOS:
        move = books.exchange.move(key, -carried.nanos, bill.rate, bill.own)
        bill.post([Moved(ROUNDED, day, -move.nanos)], "")
