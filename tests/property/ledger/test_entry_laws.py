"""Laws of entries: those of all events add up to what the journal posts, and their lots to the liability account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_service.application.ports import StoredEvent
from ledger_service.application.reporting.breakage_analysis import BreakageAnalysis
from ledger_service.application.reporting.liability_bands import by_age, by_expiry, obligations
from ledger_service.application.reporting.liability_parts import LiabilityParts, part_moves
from ledger_service.application.reporting.opening_revenue import OpeningRevenue
from ledger_service.application.reporting.revenue_split import RevenueSplit
from ledger_service.domain.finance.accounts import KINDS, Account, AccountKind
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.domain.finance.journal import check_balanced
from ledger_service.projections.bookkeeping.booked_entries import Lock, Surroundings, WalletFold
from ledger_service.projections.bookkeeping.books import Books, flush_all
from ledger_service.projections.bookkeeping.journal import post
from ledger_service.projections.bookkeeping.pool_tallies import PoolTerms
from ledger_service.projections.events.book_events import (
    BookEvent,
    PeriodLocked,
    PoolCreated,
    read_page_events,
)
from tests.fakes import finance_log
from tests.fakes.projection_log import stored
from tests.property.ledger import rule_histories

Sums = dict[tuple[date, date, str, str, str, Account], int]
DAYS = st.integers(0, 60).map(lambda days: date(2026, 3, 1) + timedelta(days=days))


def finance_history(seed: int) -> list[StoredEvent]:
    """Return a history of sales, estimates, refunds and closed periods."""
    return stored(finance_log.play(finance_log.random_acts(seed, 80)))


def rule_history(seed: int) -> list[StoredEvent]:
    """Return a history of holds, transfers, roll-overs and late usage."""
    return rule_histories.stored_as_if_paid(rule_histories.play_acts(rule_histories.random_acts(seed, 60)))


def surroundings_of(events: Sequence[BookEvent]) -> Surroundings:
    """Return what the entries of wallets follow from beside their streams."""
    locks: list[Lock] = []
    pools: dict[str, PoolTerms] = {}
    for event in events:
        match event.change:
            case PeriodLocked(to_day=to_day):
                locks.append(Lock(event.position, event.stream.partition("/")[2], to_day))
            case PoolCreated() as pool:
                pools[event.stream] = PoolTerms(
                    pool.entity or "default",
                    pool.currency_code,
                    "",
                    "",
                    pool.method.value,
                    pool.escheat_fraction,
                )
            case _:
                pass
    return Surroundings(locks, pools)


def entries_of(log: list[StoredEvent]) -> list[BookedEntry]:
    """Return the entries of all events, wallet by wallet."""
    page = read_page_events(log)
    topics = {event.position: event.topic for event in log}
    surroundings = surroundings_of(page.others)
    folds: dict[str, WalletFold] = {}
    found: list[BookedEntry] = []
    for event in page.wallets:
        fold = folds.setdefault(event.wallet, WalletFold(surroundings))
        found += fold.take(event, topics[event.position])
    return found


def posted_by(log: list[StoredEvent]) -> Sums:
    """Return what the journal adds up in one run, but for what pools earn by themselves."""
    books = Books()
    for event in read_page_events(log).in_order():
        post(books, event)
    flush_all(books)
    sums: Sums = {}
    for key, nanos in books.sums.items():
        for account, amount in ((key.flow.debit, nanos), (key.flow.credit, -nanos)):
            place = (key.posting_day, key.effective_day, key.entity, key.currency_code, key.product, account)
            sums[place] = sums.get(place, 0) + amount
    return {place: nanos for place, nanos in sums.items() if nanos}


@pytest.mark.parametrize("history", [finance_history, rule_history])
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_the_entries_of_all_events_add_up_to_the_journal(
    history: Callable[[int], list[StoredEvent]], seed: int
) -> None:
    log = history(seed)
    sums: Sums = {}
    for booked in entries_of(log):
        entry = booked.entry
        check_balanced(entry.lines)
        for line in entry.lines:
            place = (
                *(entry.posting_day, entry.effective_day, entry.entity),
                *(line.currency_code, line.product, line.account),
            )
            sums[place] = sums.get(place, 0) + line.nanos

    assert {place: nanos for place, nanos in sums.items() if nanos} == posted_by(log)


@pytest.mark.parametrize("history", [finance_history, rule_history])
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), day=DAYS)
def test_schedules_add_up_to_the_liability_of_any_day(
    history: Callable[[int], list[StoredEvent]], seed: int, day: date
) -> None:
    parts = LiabilityParts(day)
    account = 0
    for booked in entries_of(history(seed)):
        parts.take(booked)
        if booked.entry.posting_day < day:
            lines = booked.entry.lines
            account -= sum(line.nanos for line in lines if line.account is Account.CONTRACT_LIABILITY)
    parts.end_wallet()
    rows = parts.rows()

    for bands in (
        by_expiry(rows, day),
        by_age(rows, day),
        obligations(rows, day, leave_out_short=True),
        obligations(rows, day, leave_out_short=False),
    ):
        assert sum(band.nanos for band in bands) == account


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), day=DAYS, length=st.integers(1, 40))
def test_revenue_out_of_the_opening_is_bounded_by_it_and_by_all_that_is_recognised(
    seed: int, day: date, length: int
) -> None:
    end = day + timedelta(days=length)
    opening, split, liability = OpeningRevenue(day, end), RevenueSplit(day, end), 0
    for booked in entries_of(finance_history(seed)):
        opening.take(booked)
        split.take(booked)
        if booked.entry.posting_day < day:
            liability += sum(move.nanos for move in part_moves(booked))
    opening.end_wallet()
    rows, revenue = opening.rows(), split.rows()
    deferred = {Account.REVENUE_USAGE, Account.REVENUE_BREAKAGE}

    assert all(KINDS[row.account] is AccountKind.REVENUE for row in revenue)
    assert sum(row.opening_nanos for row in rows) == liability
    assert all(0 <= row.from_opening_nanos <= max(row.opening_nanos, 0) for row in rows)
    assert sum(row.recognised_nanos for row in rows) == sum(
        row.nanos for row in revenue if row.account in deferred
    )


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_a_cohort_uses_no_more_than_it_was_granted(seed: int) -> None:
    analysis = BreakageAnalysis(date(2030, 1, 1))
    for booked in entries_of(finance_history(seed)):
        analysis.take(booked)
    analysis.end_wallet()

    for cohort in analysis.cohorts():
        used = cohort.redeemed_units[-1] if cohort.redeemed_units else 0
        assert 0 <= used <= cohort.granted_units - cohort.refunded_units - cohort.expired_units
        assert cohort.ended_lot_count <= cohort.lot_count
