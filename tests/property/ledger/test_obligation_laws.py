"""Laws of obligations and positions: their parts add up to the accounts on any day, by either clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_service.application.reading.agreed_contracts import AgreedContract
from ledger_service.application.reporting.contract_positions import ContractPositions, WalletPositions
from ledger_service.application.reporting.journal_summary import JournalSummary
from ledger_service.application.reporting.liability_bands import (
    Band,
    ObligationPart,
    obligation_totals,
    obligations,
)
from ledger_service.application.reporting.liability_parts import LiabilityRow, PartKind
from ledger_service.application.reporting.opening_revenue import OpeningRevenue
from ledger_service.application.reporting.remaining_obligation import RemainingObligation
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.application.reporting.revenue_split import RevenueSplit
from ledger_service.domain.agreement.promises import fees, term_at
from ledger_service.domain.events import Fact
from ledger_service.domain.finance.accounts import KINDS, Account, AccountKind
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.domain.finance.journal import Movement
from tests.builders import CONTRACT, WALLET, Book
from tests.fakes.projection_log import MemoryJournal
from tests.promises import agreed_in, entries_in, random_book, stored_in

SEEDS = st.integers(0, 10**6)
DAYS = st.integers(-30, 250).map(lambda days: date(2026, 3, 1) + timedelta(days=days))
RECOGNISED = {Movement.USAGE, Movement.BREAKAGE, Movement.PLAN, Movement.DRAW_DOWN}
LATER = datetime(2040, 1, 1, tzinfo=UTC)


def account_on(entries: Iterable[BookedEntry], account: Account, day: date) -> int:
    """Return the debits of an account before a day."""
    return sum(
        line.nanos
        for booked in entries
        if booked.entry.posting_day < day
        for line in booked.entry.lines
        if line.account is account
    )


def rows_of(
    entries: Iterable[BookedEntry], contracts: list[AgreedContract], day: date, known: date | None = None
) -> list[LiabilityRow]:
    """Return the rows of an obligation."""
    count = RemainingObligation(ReportScope(day - timedelta(days=1), day, LATER, known_before=known))
    count.begin_wallet(contracts)
    for booked in entries:
        if known is None or booked.entry.record_time.date() < known:
            count.take(booked)
    count.end_wallet()
    return count.rows()


def recorded_before(book: Book, day: date) -> Book:
    """Return a book that ends before a day."""
    cut = Book()
    cut.log = [each for each in book.log if each.fact.record_time.date() < day]
    return cut


@settings(max_examples=40)
@given(seed=SEEDS, day=DAYS)
def test_the_parts_of_an_obligation_add_up_and_its_liability_is_the_account(seed: int, day: date) -> None:
    book = random_book(seed)
    entries = list(entries_in(stored_in(book)))
    rows = rows_of(entries, agreed_in(book), day)
    bands: dict[tuple[bool, bool], list[Band]] = {
        (short, usage): obligations(rows, day, leave_out_short=short, count_usage=usage)
        for short in (False, True)
        for usage in (False, True)
    }

    for each in bands.values():
        owed = [b for b in each if b.part in {ObligationPart.CREDIT, ObligationPart.BILLED_AHEAD}]
        assert sum(band.nanos for band in owed) == -account_on(entries, Account.CONTRACT_LIABILITY, day)
        counted = sum(band.nanos for band in each if not band.is_left_out)
        assert sum(total.obligation_nanos for total in obligation_totals(each)) == counted
    assert len({sum(band.nanos for band in each) for each in bands.values()}) == 1, (
        "expedients move, and add nothing"
    )
    unbilled = [row for row in rows if row.kind.value in {"COMMITMENT", "FEES", "USAGE"}]
    assert all(row.nanos > 0 for row in unbilled), "nothing is promised below zero"


@settings(max_examples=40)
@given(seed=SEEDS, day=DAYS)
def test_all_that_is_billed_ahead_has_the_days_on_which_it_is_earned(seed: int, day: date) -> None:
    book = random_book(seed)
    rows = rows_of(list(entries_in(stored_in(book))), agreed_in(book), day)
    ahead = [row for row in rows if row.kind is PartKind.OVER_TIME]

    assert all(row.end_day is not None and row.end_day >= day and row.nanos > 0 for row in ahead)


@settings(max_examples=40)
@given(seed=SEEDS, day=DAYS, length=st.integers(1, 200))
def test_what_a_period_recognised_is_all_revenue_that_the_journal_took_off_the_liability(
    seed: int, day: date, length: int
) -> None:
    log, end, store = stored_in(random_book(seed)), day + timedelta(days=length), MemoryJournal()
    opening = OpeningRevenue(day, end)
    for booked in entries_in(log):
        opening.take(booked)
    opening.end_wallet()
    store.apply([log])
    recognised = sum(
        nanos
        for key, nanos in store.sums.items()
        if key.flow.debit is Account.CONTRACT_LIABILITY
        and key.flow.movement in RECOGNISED
        and day <= key.posting_day < end
    )

    assert sum(row.recognised_nanos for row in opening.rows()) == recognised


@settings(max_examples=30)
@given(seed=SEEDS, day=DAYS, known=DAYS)
def test_what_was_known_on_a_day_is_what_a_log_that_ends_there_says(
    seed: int, day: date, known: date
) -> None:
    book = random_book(seed)
    before = recorded_before(book, known)
    entries = list(entries_in(stored_in(book)))

    assert rows_of(entries, agreed_in(book), day, known) == rows_of(
        list(entries_in(stored_in(before))), agreed_in(before), day
    )


@settings(max_examples=30)
@given(seed=SEEDS, day=DAYS, parts=st.lists(st.integers(1, 200), min_size=1, max_size=4))
def test_what_is_promised_for_a_time_is_promised_for_its_parts(
    seed: int, day: date, parts: list[int]
) -> None:
    contract: Any = random_book(seed).states[CONTRACT]
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = at + timedelta(days=sum(parts))
    whole = sum((each.nanos for each in fees(contract, at, end)), Fraction(0))
    pieces, begin = Fraction(0), at
    for days in parts:
        span = begin + timedelta(days=days)
        pieces += sum((each.nanos for each in fees(contract, begin, span)), Fraction(0))
        begin = span

    assert whole == pieces
    assert term_at(contract, at).to_time >= at


@settings(max_examples=40)
@given(seed=SEEDS, day=DAYS)
def test_positions_add_up_to_the_accounts_and_are_net_by_contract(seed: int, day: date) -> None:
    book = random_book(seed)
    entries = list(entries_in(stored_in(book)))
    totals = ContractPositions(day, known_before=None)
    totals.begin_wallet(WALLET, agreed_in(book))
    single = WalletPositions(WALLET, agreed_in(book), day, known_before=None)
    for booked in entries:
        totals.take(booked)
        single.take(booked)
    totals.end_wallet()
    rows = totals.rows()

    assert sum(row.liability_nanos for row in rows) == -account_on(entries, Account.CONTRACT_LIABILITY, day)
    assert sum(row.unbilled_nanos for row in rows) == account_on(entries, Account.UNBILLED_RECEIVABLE, day)
    for row in rows:
        assert row.unbilled_nanos - row.liability_nanos == row.net_asset_nanos - row.net_liability_nanos
    positions = single.positions()
    assert sum(max(each.net_nanos, 0) for each in positions) == sum(row.net_asset_nanos for row in rows)
    assert len({(each.source, each.currency_code) for each in positions}) == len(positions)
    assert {each.source for each in positions} <= {CONTRACT, WALLET}


@settings(max_examples=30)
@given(seed=SEEDS, day=DAYS, length=st.integers(1, 200))
def test_sums_of_the_journal_are_its_entries_and_hold_the_revenue(seed: int, day: date, length: int) -> None:
    end = day + timedelta(days=length)
    summary, revenue = JournalSummary(day, end), RevenueSplit(day, end)
    entries = list(entries_in(stored_in(random_book(seed))))
    for booked in entries:
        summary.take(booked)
        revenue.take(booked)
    sums = summary.rows()

    for account in Account:
        moved = account_on(entries, account, end) - account_on(entries, account, day)
        assert sum(row.debit_nanos - row.credit_nanos for row in sums if row.account is account) == moved
    assert sum(row.debit_nanos for row in sums) == sum(row.credit_nanos for row in sums)
    earned = [row for row in sums if KINDS[row.account] is AccountKind.REVENUE]
    assert sum(row.credit_nanos - row.debit_nanos for row in earned) == sum(
        row.nanos for row in revenue.rows()
    )
    assert all(row.feature == "chat" for row in earned if row.account is Account.REVENUE_OVERAGE)


def test_random_contracts_promise_something_of_every_kind() -> None:
    day = date(2026, 4, 1)
    kinds: set[str] = set()
    for seed in range(60):
        book = random_book(seed)
        assert all(isinstance(each.fact, Fact) for each in book.log)
        kinds |= {row.kind.value for row in rows_of(entries_in(stored_in(book)), agreed_in(book), day)}

    assert kinds >= {"LOT", "OVER_TIME", "COMMITMENT", "FEES", "USAGE"}
