"""The arithmetic of reports: bands of time at their boundaries, and breakage of lots that have ended."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from ledger_service.application.reporting.breakage_analysis import BreakageAnalysis
from ledger_service.application.reporting.liability_bands import (
    add_months,
    by_age,
    by_expiry,
    is_short,
    obligations,
)
from ledger_service.application.reporting.liability_parts import LiabilityParts, LiabilityRow, PartKind
from ledger_service.domain.commands import Debit
from tests.builders import NOW, WALLET, extend
from tests.fakes.projection_log import stored
from tests.promises import entries_in
from tests.sales import opened, sale

DAY = timedelta(days=1)
ON = date(2026, 3, 31)


def row(
    *, begin: date | None = ON, end: date | None = None, kind: PartKind = PartKind.LOT, nanos: int = 5
) -> LiabilityRow:
    """Return liability of one lot."""
    return LiabilityRow(kind, "default", "EUR", begin, end, 1, nanos)


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2026, 3, 31), 12, date(2027, 3, 31)),
        (date(2026, 12, 5), 1, date(2027, 1, 5)),
        (date(2026, 11, 30), 1, date(2026, 12, 30)),
    ],
)
def test_months_end_where_a_month_is_short(day: date, months: int, later: date) -> None:
    assert add_months(day, months) == later


@pytest.mark.parametrize(
    ("end", "label"),
    [
        (date(2026, 4, 29), "0 to 1 months"),
        (date(2026, 4, 30), "1 to 2 months"),
        (date(2029, 3, 30), "24 to 36 months"),
        (date(2029, 3, 31), "over 36 months"),
        (None, "no expiry"),
    ],
)
def test_bands_by_expiry_are_half_open(end: date | None, label: str) -> None:
    assert [band.label for band in by_expiry([row(end=end)], ON)] == [label]


@pytest.mark.parametrize(
    ("begin", "label"),
    [
        (date(2026, 3, 1), "0 to 30 days"),
        (date(2026, 2, 28), "31 to 60 days"),
        (date(2025, 3, 31), "181 to 365 days"),
        (date(2025, 3, 30), "over 365 days"),
    ],
)
def test_bands_by_age_hold_their_last_day(begin: date, label: str) -> None:
    assert [band.label for band in by_age([row(begin=begin)], ON)] == [label]


def test_pools_and_what_has_no_date_have_bands_of_their_own() -> None:
    rows = [row(begin=None, kind=PartKind.POOL, nanos=-2), row(begin=None, kind=PartKind.OVER_TIME, nanos=9)]

    assert [(band.label, band.nanos) for band in by_expiry(rows, ON)] == [("no date", 9), ("pools", -2)]


@pytest.mark.parametrize(
    ("end", "short"), [(date(2027, 4, 1), True), (date(2027, 4, 2), False), (None, False)]
)
def test_a_contract_of_at_most_a_year_may_be_left_out(end: date | None, short: bool) -> None:
    assert is_short(row(end=end)) is short


def test_what_is_left_out_is_told_beside_the_rest() -> None:
    rows = [row(end=date(2026, 9, 1), nanos=3), row(end=date(2028, 9, 1), nanos=4)]
    labels = [(band.label, band.nanos) for band in obligations(rows, ON, leave_out_short=True)]

    assert labels == [("24 to 36 months", 4), ("contracts of at most a year (50-14(a))", 3)]


def test_usage_of_a_day_that_is_told_after_later_usage_brings_none_of_it_along() -> None:
    ledger = opened()
    ledger.run(sale(100))
    ledger.run(Debit(WALLET, 60), NOW + 5 * DAY)
    ledger.run(Debit(WALLET, 40, NOW + DAY), NOW + 6 * DAY)
    early, late = BreakageAnalysis((NOW + 2 * DAY).date()), BreakageAnalysis((NOW + 9 * DAY).date())
    for booked in entries_in(stored(ledger)):
        early.take(booked)
        late.take(booked)
    early.end_wallet()
    late.end_wallet()
    [cohort], [suggestion] = early.cohorts(), early.suggestions()

    assert (cohort.redeemed_units, cohort.ended_lot_count) == ((40,), 0)
    assert (suggestion.lot_count, suggestion.used_units) == (0, 0)
    assert [(each.lot_count, each.used_units) for each in late.suggestions()] == [(1, 100)]


def test_usage_that_is_told_after_an_extension_does_not_bring_it_to_the_day_before() -> None:
    ledger = opened()
    ledger.run(sale(100, expire_time=NOW + 20 * DAY))
    ledger.run(extend(2, NOW + 200 * DAY), NOW + 5 * DAY)
    ledger.run(Debit(WALLET, 40, NOW + DAY), NOW + 6 * DAY)
    ends: list[list[date | None]] = []
    for on in (NOW + 2 * DAY, NOW + 6 * DAY):
        parts = LiabilityParts(on.date())
        for booked in entries_in(stored(ledger)):
            parts.take(booked)
        parts.end_wallet()
        ends.append([each.end_day for each in parts.rows()])

    assert ends == [[(NOW + 20 * DAY).date()], [(NOW + 200 * DAY).date()]]
