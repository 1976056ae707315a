"""Positions: whose credit and whose overage it is where a wallet had one contract after another."""

from __future__ import annotations

from datetime import date

from ledger_service.application.reading.agreed_contracts import AgreedContract, AgreedFact
from ledger_service.application.reporting.contract_positions import ContractPosition, WalletPositions
from tests.builders import CONTRACT, WALLET, Book, after, end_contract, sign_contract
from tests.promises import EUR, entries_in, signed_book, stored_in, terms, use
from tests.sales import sale

SECOND = "contracts/second"


def contracts_in(book: Book) -> list[AgreedContract]:
    """Return what was recorded of both contracts."""
    return [
        AgreedContract(
            name,
            "default",
            [AgreedFact(each.version, each.fact) for each in book.log if each.stream == name],
        )
        for name in (CONTRACT, SECOND)
    ]


def positions_on(book: Book, day: date, known: date | None = None) -> dict[str, tuple[int, int]]:
    """Return liability and unbilled receivable of a day by contract, in euros."""
    count = WalletPositions(WALLET, contracts_in(book), day, known_before=known)
    for booked in entries_in(stored_in(book)):
        if known is None or booked.entry.record_time.date() < known:
            count.take(booked)
    return {
        each.source: (each.liability_nanos // EUR, each.unbilled_nanos // EUR) for each in count.positions()
    }


def two_contracts() -> Book:
    """Return overage under one contract, none between, and credit and overage under the next."""
    book = signed_book(terms())
    use(book, 7, after(days=1))
    book.run(end_contract(after(days=10)), after(days=9))
    use(book, 2, after(days=12))
    book.run(sign_contract(contract=SECOND, start_time=after(days=20)), after(days=15))
    use(book, 5, after(days=21))
    book.run(sale(60 * EUR, 60), after(days=22))
    return book


def test_overage_is_of_the_contract_in_whose_time_it_was_used() -> None:
    assert positions_on(two_contracts(), date(2026, 6, 1)) == {
        CONTRACT: (0, 7),
        WALLET: (0, 2),
        SECOND: (60, 5),
    }


def test_credit_is_of_the_contract_that_binds_the_wallet_on_the_day() -> None:
    book = signed_book(terms())
    book.run(sale(60 * EUR, 60), after(days=1))
    book.run(end_contract(after(days=10)), after(days=9))
    book.run(sign_contract(contract=SECOND, start_time=after(days=20)), after(days=15))

    assert positions_on(book, date(2026, 3, 5)) == {CONTRACT: (60, 0)}
    assert positions_on(book, date(2026, 3, 15)) == {CONTRACT: (60, 0)}, "the last one before"
    assert positions_on(book, date(2026, 4, 1)) == {SECOND: (60, 0)}
    assert positions_on(book, date(2026, 4, 1), date(2026, 3, 14)) == {CONTRACT: (60, 0)}


def test_a_position_is_net() -> None:
    asset = ContractPosition(CONTRACT, WALLET, "default", "EUR", 3, 10)

    assert asset.net_nanos == 7
