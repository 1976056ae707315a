"""Journals written for other programs: exact amounts, names they accept, lots, and what is brought forward."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest

from ledger_service.application.exporting import journal_beancount, journal_hledger
from ledger_service.application.exporting.journal_beancount import BeancountText, account_name, commodity
from ledger_service.application.exporting.journal_hledger import HledgerText
from ledger_service.application.exporting.journal_rows import CSV_COLUMNS, CsvText
from ledger_service.application.exporting.journal_texts import JournalText, TextSpan, decimal_text
from ledger_service.domain.finance.accounts import DEFAULT_CHART, Account, Chart
from ledger_service.domain.finance.booked import BookedEntry, LotChange
from ledger_service.domain.finance.journal import JournalEntry, JournalLine
from ledger_service.domain.finance.lots import PaidLot, moved, shared
from ledger_service.domain.values import Asset

CREDIT = Asset("CREDIT", 2)
DAY = date(2026, 3, 1)
ALWAYS = TextSpan(date(2026, 1, 1), date(2027, 1, 1))
LOT = PaidLot("default", "pack", "", "EUR", 10_000_000_000, 300, DAY)
NAME = "wallets/acme/grants/2"


def entry(
    day: date, *lines: JournalLine, before: PaidLot | None = None, after: PaidLot | None = None
) -> BookedEntry:
    """Return an entry of a day, and what it did to the lot."""
    time = datetime(2026, 3, 1, 9, tzinfo=UTC)
    lots = () if after is None else (LotChange(NAME, CREDIT, before, after),)
    booked = JournalEntry(
        "wallets/acme", 7, 9, "wallet.CreditsDebited.v1", time, time, day, day, "default", lines
    )
    return BookedEntry(booked, lots)


def sale() -> BookedEntry:
    """Return the sale of the lot: 3 CREDIT for 10 EUR."""
    return entry(
        DAY,
        JournalLine(Account.CASH, "EUR", 10_000_000_000),
        JournalLine(Account.CONTRACT_LIABILITY, "EUR", -10_000_000_000),
        after=LOT,
    )


def use(day: date, before: PaidLot, units: int) -> BookedEntry:
    """Return the use of units; below zero they come back."""
    after = moved(before, drawn_units=units, expired_units=0)
    nanos = after.usage_nanos - before.usage_nanos
    return entry(
        day,
        JournalLine(Account.CONTRACT_LIABILITY, "EUR", nanos),
        JournalLine(Account.REVENUE_USAGE, "EUR", -nanos),
        before=before,
        after=after,
    )


def text_of(text: JournalText, *entries: BookedEntry) -> str:
    """Return what a wallet's entries are written as."""
    written = "".join(text.entry(each) for each in entries)
    return written + text.opening()


@pytest.mark.parametrize(
    ("amount", "scale", "text"),
    [(0, 0, "0"), (-5, 0, "-5"), (5, 3, "0.005"), (-1_234, 3, "-1.234"), (-1, 2, "-0.01"), (100, 2, "1.00")],
)
def test_decimal_text_is_exact(amount: int, scale: int, text: str) -> None:
    assert decimal_text(amount, scale) == text


def test_beancount_holds_credit_at_a_cost_and_the_rest_in_money() -> None:
    written = text_of(BeancountText(DEFAULT_CHART, ALWAYS), sale(), use(DAY, LOT, 100))

    assert '-3.00 CREDIT {3.33333333333333 EUR, 2026-03-01, "wallets/acme/grants/2"}' in written
    assert "Assets:E-default:Cash  10.000000000 EUR" in written
    assert "Liabilities:E-default:ContractLiability  -0.0000000000000100 EUR" in written
    assert '1.00 CREDIT {3.33333333333333 EUR, 2026-03-01, "wallets/acme/grants/2"}' in written


def test_units_never_move_before_the_day_on_which_they_last_moved() -> None:
    drawn = moved(LOT, drawn_units=300, expired_units=0)
    back = moved(drawn, drawn_units=-300, expired_units=0)
    later = DAY + timedelta(days=9)
    written = text_of(
        BeancountText(DEFAULT_CHART, ALWAYS),
        *(sale(), use(DAY, LOT, 300), use(later, drawn, -300), use(DAY, back, 200)),
    )
    *_, money, units = [each for each in written.split("\n\n") if each]

    assert money.startswith("2026-03-01")
    assert "CREDIT {" not in money
    assert "Income:E-default:Revenue:Usage  -6.666666667 EUR" in money
    assert units.startswith("2026-03-10")
    assert "  2.00 CREDIT {" in units


def test_a_bonus_gives_the_lot_a_new_cost_and_a_new_label() -> None:
    more = shared(LOT, 100)
    written = text_of(BeancountText(DEFAULT_CHART, ALWAYS), sale(), entry(DAY, before=LOT, after=more))

    assert '  3.00 CREDIT {3.33333333333333 EUR, 2026-03-01, "wallets/acme/grants/2"}' in written
    assert '  -4.00 CREDIT {2.50000000000000 EUR, 2026-03-01, "wallets/acme/grants/2#1"}' in written


@pytest.mark.parametrize("text", [BeancountText, HledgerText])
def test_what_was_posted_before_the_span_is_brought_forward_and_what_comes_after_is_not_there(
    text: type[JournalText],
) -> None:
    begin, end = DAY + timedelta(days=1), DAY + timedelta(days=3)
    once = moved(LOT, drawn_units=100, expired_units=0)
    written = text_of(
        text(DEFAULT_CHART, TextSpan(begin, end)),  # type: ignore[call-arg]
        *(sale(), use(begin, LOT, 100), use(end, once, 100)),
    )

    assert [each[:10] for each in written.split("\n\n") if each] == ["2026-03-02", "2026-03-01"]
    assert "10.000000000 EUR" in written
    assert "3.00" in written
    assert "6.66" not in written.replace("-6.66666666666667", "")


def test_hledger_has_money_in_accounts_and_units_beside_them() -> None:
    written = text_of(HledgerText(DEFAULT_CHART, ALWAYS), sale())

    assert written.startswith("2026-03-01 CreditsDebited | wallets/acme  ; version:7, position:9")
    assert "    liabilities:default:ContractLiability  -10.000000000 EUR\n" in written
    assert '    units:outstanding:acme:2  3.00 "CREDIT"\n' in written
    assert '    units:issued  -3.00 "CREDIT"\n' in written


def test_a_text_of_several_lines_cannot_break_hledgers_journal() -> None:
    line = JournalLine(Account.CASH, "EUR", 1, "a\n2026-01-01 b  ; c")
    written = HledgerText(Chart({Account.CASH: "1000  Cash; x\ny"}), ALWAYS).entry(entry(DAY, line))

    assert written.count("\n") == 3
    assert "assets:default:1000 Cash, x y  0.000000001 EUR  ; product:a 2026-01-01 b ; c" in written


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("Cash", "Assets:E-default:Cash"),
        ("1000 Cash", "Assets:E-default:1000-20Cash"),
        ("bank:petty", "Assets:E-default:E-bank:E-petty"),
        ("Bénéfice", "Assets:E-default:B-E9n-E9fice"),
        ("A::B", "Assets:E-default:A:E-:B"),
    ],
)
def test_beancount_gets_names_that_it_knows(name: str, account: str) -> None:
    assert account_name(Account.CASH, Chart({Account.CASH: name}), entity="default") == account


@pytest.mark.parametrize(
    ("code", "name"),
    [("CREDIT", "CREDIT"), ("USD", "USD-C"), ("A", "A-C"), ("X_", "X_-C"), ("API_2", "API_2")],
)
def test_credit_is_never_called_as_a_currency_is(code: str, name: str) -> None:
    assert commodity(code) == name


def test_accounts_of_one_name_are_opened_once() -> None:
    chart = Chart({Account.CASH: "Bank", Account.ACCOUNTS_RECEIVABLE: "Bank"})
    lines = journal_beancount.head(chart, entities=("default",), currencies=("EUR",)).splitlines()

    assert len([line for line in lines if ":Bank" in line]) == 1
    assert journal_hledger.head(chart, entities=("default",), currencies=("EUR",)).count(":Bank ") == 1


def test_csv_quotes_what_needs_it_and_has_an_amount_on_one_side() -> None:
    line = JournalLine(Account.CASH, "EUR", -1, 'a "b", c')
    (row,) = csv.reader(StringIO(CsvText(DEFAULT_CHART, ALWAYS).entry(entry(DAY, line))))
    cells = dict(zip(CSV_COLUMNS, row, strict=True))

    assert (cells["debit"], cells["credit"], cells["product"]) == ("", "0.000000001", 'a "b", c')
