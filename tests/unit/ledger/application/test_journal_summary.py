"""The journal by what it was for: each lot's own product, what it was used for, and the model."""

from __future__ import annotations

from datetime import date

import msgspec

from ledger_service.application.reporting.journal_summary import JournalSummary
from ledger_service.domain.commands import Debit, SaleTerms
from ledger_service.domain.finance.accounts import Account
from tests.builders import WALLET, Book, after
from tests.fakes.finance_log import priced
from tests.promises import entries_in, stored_in
from tests.sales import opened, sale

Row = tuple[str, str, str, int]
FROM, TO = date(2026, 1, 1), date(2027, 1, 1)


def summed(book: Book, account: Account) -> set[Row]:
    """Return product, feature, model and credits less debits of an account."""
    count = JournalSummary(FROM, TO)
    for booked in entries_in(stored_in(book)):
        count.take(msgspec.structs.replace(booked, model="large") if booked.feature else booked)
    return {
        (row.product, row.feature, row.model, row.credit_nanos - row.debit_nanos)
        for row in count.rows()
        if row.account is account
    }


def use(units: int) -> Debit:
    """Return usage of a feature."""
    return Debit(WALLET, charge=priced(units, "1"), delivered=True, feature="chat")


def test_usage_of_two_lots_stands_under_the_product_of_each() -> None:
    book = opened()
    book.run(sale(1_000, terms=SaleTerms(product="small-pack"), expire_time=after(days=5)))
    book.run(sale(3_000, terms=SaleTerms(product="large-pack"), expire_time=after(days=9)))
    book.run(use(150), after(days=1))

    assert summed(book, Account.REVENUE_USAGE) == {
        ("small-pack", "chat", "large", 1_000),
        ("large-pack", "chat", "large", 1_500),
    }
    assert summed(book, Account.CONTRACT_LIABILITY) == {
        ("small-pack", "", "", 1_000),
        ("small-pack", "chat", "large", -1_000),
        ("large-pack", "", "", 3_000),
        ("large-pack", "chat", "large", -1_500),
    }


def test_overage_is_of_no_product() -> None:
    book = opened()
    book.run(sale(1_000, terms=SaleTerms(product="pack")))
    book.run(use(1_100), after(days=1))

    assert summed(book, Account.REVENUE_OVERAGE) == {("", "chat", "large", 1_000_000)}
    assert summed(book, Account.UNBILLED_RECEIVABLE) == {("", "chat", "large", -1_000_000)}


def test_breakage_is_of_what_was_sold() -> None:
    book = opened()
    terms = SaleTerms(product="pack", expected_breakage="0.5")
    book.run(sale(1_000, terms=terms))
    book.run(use(10), after(days=1))

    assert summed(book, Account.REVENUE_USAGE) == {("pack", "chat", "large", 100)}
    assert summed(book, Account.REVENUE_BREAKAGE) == {("pack", "chat", "large", 100)}
