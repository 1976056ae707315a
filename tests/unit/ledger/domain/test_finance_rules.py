"""The small rules of finance, each at its boundary."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain.commands import (
    CloseAccountingPeriod,
    LockAccountingPeriod,
    ReviseBreakageEstimate,
)
from ledger_service.domain.events import BreakageEstimateRevised
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.allocation import allocate
from ledger_service.domain.finance.estimates import check_estimate, check_fraction, estimate_of
from ledger_service.domain.finance.journal import (
    JournalLine,
    Posting,
    PostingKey,
    UnbalancedError,
    check_balanced,
    lines_of,
)
from ledger_service.domain.finance.methods import pool_breakage_nanos
from ledger_service.domain.finance.postings import BREAKAGE, USAGE
from ledger_service.domain.finance.schedule import earned_by_day
from ledger_service.domain.refusals import (
    BreakageEstimateOutOfRange,
    FieldMalformed,
    FractionOutOfRange,
    PeriodAlreadyClosed,
    PeriodNotOver,
    PeriodOutOfOrder,
    TimesOutOfOrder,
)
from tests.builders import MICROSECOND, WALLET, Book, book, debit, events_of, grant, open_wallet, refund

PERIODS = "accountingPeriods/default"
NANOS = st.integers(0, 10**12)


# Allocation


def test_one_price_is_divided_by_standalone_prices() -> None:
    assert allocate(300_000, [300_000, 75_000]) == [240_000, 60_000]


@pytest.mark.parametrize(
    ("price", "standalone", "parts"),
    [(100, [1, 1, 1], [34, 33, 33]), (1, [1, 2], [0, 1]), (5, [0, 7], [0, 5]), (0, [1, 1], [0, 0])],
)
def test_what_rounding_leaves_goes_to_the_largest_remainder_and_then_to_the_first(
    price: int, standalone: list[int], parts: list[int]
) -> None:
    assert allocate(price, standalone) == parts


@given(NANOS, st.lists(NANOS, min_size=1, max_size=6).filter(any))
def test_the_parts_add_up_to_the_price(price: int, standalone: list[int]) -> None:
    parts = allocate(price, standalone)

    assert sum(parts) == price
    assert all(
        abs(part - Fraction(price * each, sum(standalone))) < 1
        for part, each in zip(parts, standalone, strict=True)
    )


# Recognition over time


def test_a_day_earns_its_seconds() -> None:
    start = datetime(2026, 2, 27, 18, tzinfo=UTC)

    assert list(earned_by_day(240, start, start + timedelta(days=2))) == [
        (date(2026, 2, 27), 30),
        (date(2026, 2, 28), 120),
        (date(2026, 3, 1), 90),
    ]


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**6), st.integers(1, 40 * 86_400))
def test_the_days_add_up_to_the_price_and_lie_within_the_span(nanos: int, offset: int, seconds: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=offset)
    end = start + timedelta(seconds=seconds)
    days = list(earned_by_day(nanos, start, end))

    assert sum(earned for _, earned in days) == nanos
    assert all(start.date() <= day <= (end - MICROSECOND).date() for day, _ in days)
    assert [day for day, _ in days] == sorted({day for day, _ in days})


# Estimates


@pytest.mark.parametrize(("text", "allowed"), [("0", True), ("0.999999999999999999", True), ("1", False)])
def test_an_expected_breakage_lies_from_0_to_below_1(text: str, allowed: bool) -> None:
    if allowed:
        check_estimate(expected_breakage=text, expected_redeemed_units=0, of_units=9)
        assert estimate_of(expected_breakage=text, expected_redeemed_units=0, of_units=9) == Fraction(text)
    else:
        with pytest.raises(BreakageEstimateOutOfRange):
            check_estimate(expected_breakage=text, expected_redeemed_units=0, of_units=9)


@pytest.mark.parametrize(("units", "allowed"), [(-1, False), (1, True), (9, True), (10, False)])
def test_units_expected_to_be_used_lie_from_1_to_all_of_them(units: int, allowed: bool) -> None:
    if allowed:
        check_estimate(expected_breakage="", expected_redeemed_units=units, of_units=9)
        assert estimate_of(expected_breakage="", expected_redeemed_units=units, of_units=9) == 1 - Fraction(
            units, 9
        )
    else:
        with pytest.raises(BreakageEstimateOutOfRange):
            check_estimate(expected_breakage="", expected_redeemed_units=units, of_units=9)


@pytest.mark.parametrize(("units", "allowed"), [(1, True), (8, True), (9, False)])
def test_units_that_were_paid_back_are_not_expected_to_be_used(units: int, allowed: bool) -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=100), debit(3), refund(2, 2))
    command = ReviseBreakageEstimate(WALLET, (2,), expected_redeemed_units=units)

    if allowed:
        assert events_of(ledger.run(command)) == [BreakageEstimateRevised((2,), "", units, 8)]
    else:
        with pytest.raises(BreakageEstimateOutOfRange):
            ledger.run(command)


@pytest.mark.parametrize("text", ["0." + "1" * 19, "1e-3", "--1", " 0.1", "0,1", "NaN"])
def test_what_is_no_plain_decimal_of_18_decimals_is_refused(text: str) -> None:
    with pytest.raises(FieldMalformed):
        check_estimate(expected_breakage=text, expected_redeemed_units=0, of_units=9)


@pytest.mark.parametrize("text", ["-0.1", "1.000000000000000001"])
def test_a_fraction_lies_from_0_to_1(text: str) -> None:
    with pytest.raises(FractionOutOfRange):
        check_fraction(text, field="fraction")
    with pytest.raises(FractionOutOfRange):
        check_fraction("0", field="fraction", positive=True)
    check_fraction("0", field="fraction")
    check_fraction("1", field="fraction", positive=True)


# Pools


@pytest.mark.parametrize(
    ("usage", "lots", "breakage"),
    [(0, 0, 0), (400, 0, 100), (1_600, 0, 400), (1_900, 0, 100), (2_000, 0, 0), (400, 60, 40), (400, 300, 0)],
)
def test_a_pool_earns_by_use_up_to_what_its_lots_recognise_and_never_takes_back_what_they_have(
    usage: int, lots: int, breakage: int
) -> None:
    assert breakage == pool_breakage_nanos(
        recognisable_nanos=2_000, usage_nanos=usage, lot_breakage_nanos=lots, numerator=1, denominator=5
    )


# Entries


def test_an_entry_adds_up_accounts_and_leaves_out_what_comes_to_nothing() -> None:
    def posting(flow: object, nanos: int) -> Posting:
        day = date(2026, 3, 1)
        return Posting(PostingKey(flow, day, day, day, "EUR", "default", ""), nanos)  # type: ignore[arg-type]

    lines = lines_of([posting(USAGE, 15), posting(BREAKAGE, -15)])

    assert [(line.account, line.nanos) for line in lines] == [
        (Account.REVENUE_USAGE, -15),
        (Account.REVENUE_BREAKAGE, 15),
    ]


def test_lines_that_do_not_balance_in_each_currency_are_found() -> None:
    with pytest.raises(UnbalancedError):
        check_balanced([JournalLine(Account.CASH, "EUR", 5), JournalLine(Account.ROUNDING, "USD", -5)])


# Periods

JANUARY, FEBRUARY, MARCH, APRIL = (date(2026, month, 1) for month in (1, 2, 3, 4))
LATER = datetime(2026, 6, 1, tzinfo=UTC)


def locked(*spans: tuple[date, date]) -> Book:
    """Return a book in which periods were closed in order."""
    ledger = Book()
    for from_day, to_day in spans:
        ledger.run(LockAccountingPeriod(PERIODS, from_day, to_day), LATER)
        ledger.run(CloseAccountingPeriod(PERIODS, from_day, to_day, 7, "ab" * 32), LATER)
    return ledger


@pytest.mark.parametrize(("shift", "allowed"), [(-MICROSECOND, False), (timedelta(0), True)])
def test_a_period_is_locked_once_it_is_over_and_not_a_moment_before(shift: timedelta, allowed: bool) -> None:
    end = datetime(2026, 2, 1, tzinfo=UTC) + shift
    command = LockAccountingPeriod(PERIODS, JANUARY, FEBRUARY)
    if allowed:
        assert Book().run(command, end)
    else:
        with pytest.raises(PeriodNotOver):
            Book().run(command, end)


@pytest.mark.parametrize(
    ("from_day", "to_day", "refusal"),
    [
        (FEBRUARY, FEBRUARY, TimesOutOfOrder),
        (JANUARY, FEBRUARY, PeriodAlreadyClosed),
        (JANUARY, MARCH, PeriodAlreadyClosed),
        (date(2026, 1, 31), MARCH, PeriodAlreadyClosed),
        (date(2026, 2, 2), MARCH, PeriodOutOfOrder),
        (MARCH, APRIL, PeriodOutOfOrder),
    ],
)
def test_periods_follow_each_other_without_gap_and_are_never_reopened(
    from_day: date, to_day: date, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        locked((JANUARY, FEBRUARY)).run(LockAccountingPeriod(PERIODS, from_day, to_day), LATER)


def test_a_period_that_is_locked_is_closed_before_the_next_one_is() -> None:
    ledger = Book()
    ledger.run(LockAccountingPeriod(PERIODS, JANUARY, FEBRUARY), LATER)

    with pytest.raises(PeriodOutOfOrder):
        ledger.run(LockAccountingPeriod(PERIODS, FEBRUARY, MARCH), LATER)


def test_a_period_is_closed_once_also_when_later_ones_are() -> None:
    ledger = locked((JANUARY, FEBRUARY), (FEBRUARY, MARCH))

    for from_day, to_day in ((JANUARY, FEBRUARY), (FEBRUARY, MARCH)):
        with pytest.raises(PeriodAlreadyClosed):
            ledger.run(CloseAccountingPeriod(PERIODS, from_day, to_day, 9, "cd" * 32), LATER)
