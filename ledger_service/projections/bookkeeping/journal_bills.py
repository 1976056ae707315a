"""Bills in the journal: what invoices and credit notes post for a contract, in the books of its wallet's entity.

What an invoice of overage leaves unbilled below a cent is the difference between what usage cost and what a bill may
say. Bills in a foreign currency are those of journal_foreign_bills.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger_service.domain.finance.billing import (
    BILLED_TAX,
    CLEARING,
    ROUNDED,
    Moved,
    billed,
    credited,
    credited_tax,
    prepaid_until,
)
from ledger_service.domain.values import InvoiceKind, NoteSettlement
from ledger_service.projections.bookkeeping.books import Books, Unbilled, add_moved
from ledger_service.projections.bookkeeping.exchange import BillName, CarriedKind
from ledger_service.projections.bookkeeping.journal_foreign_bills import (
    CENT_NANOS,
    carried_kind,
    invoice_rate,
    post_foreign_credit_note,
    post_foreign_invoice,
)
from ledger_service.projections.events.book_events import BookEvent, Credited, Invoiced
from ledger_service.projections.events.wallet_events import utc_day


def post_invoice(books: Books, event: BookEvent, invoice: Invoiced) -> None:
    """Bill a contract."""
    rate = invoice_rate(books, event, invoice)
    if rate:
        post_foreign_invoice(books, event, invoice, rate)
        return
    row = books.contracts[event.stream]
    wallet = Unbilled(row.wallet, invoice.currency_code)
    for amount in invoice.amounts:
        end = prepaid_until(amount, invoice.issue_time)
        if end is not None:
            row.commitment_end, row.commitment_rate = end, ""
        moved = list(billed(amount, invoice.issue_time, kind=invoice.kind, commitment_end=row.commitment_end))
        _post(books, event, invoice.currency_code, moved, amount.product)
        # What is billed over time comes and goes by itself; the rest waits for another bill, or this one.
        kind = carried_kind(amount, invoice)
        if kind is CarriedKind.UNBILLED:
            _clear(books, wallet, amount.nanos)
        elif kind is not None:
            books.exchange.note_own(event.stream, kind, invoice.currency_code, amount.nanos)
    day = utc_day(invoice.issue_time)
    if invoice.tax_nanos:
        _post(books, event, invoice.currency_code, [Moved(BILLED_TAX, day, invoice.tax_nanos)], "")
    if invoice.kind is not InvoiceKind.THRESHOLD and any(each.kind in CLEARING for each in invoice.amounts):
        left = books.unbilled_of(wallet)
        if left and abs(left) < CENT_NANOS:
            _post(books, event, invoice.currency_code, [Moved(ROUNDED, day, left)], "")
            _clear(books, wallet, left)


def post_credit_note(books: Books, event: BookEvent, note: Credited) -> None:
    """Take back what a credit note names."""
    rate = books.exchange.bill_rates.get(BillName(event.stream, note.invoice))
    if rate:
        post_foreign_credit_note(books, event, note, rate)
        return
    for amount in note.amounts:
        moved = credited(amount, note.issue_time, note.settlement)
        _post(books, event, note.currency_code, moved, amount.product)
    if note.tax_nanos:
        tax = Moved(credited_tax(note.settlement), utc_day(note.issue_time), note.tax_nanos)
        _post(books, event, note.currency_code, [tax], "")
    if note.settlement is NoteSettlement.CREDIT:
        nanos = sum(amount.nanos for amount in note.amounts) + note.tax_nanos
        books.exchange.note_own(event.stream, CarriedKind.CREDIT, note.currency_code, nanos)


def _clear(books: Books, wallet: Unbilled, nanos: int) -> None:
    books.unbilled[wallet] = books.unbilled.get(wallet, 0) - nanos


def _post(books: Books, event: BookEvent, currency_code: str, moved: Iterable[Moved], product: str) -> None:
    entity = books.entities[books.contracts[event.stream].wallet]
    add_moved(books, entity, currency_code, moved, record_day=utc_day(event.record_time), product=product)
