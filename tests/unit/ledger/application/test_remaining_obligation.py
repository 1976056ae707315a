"""The remaining performance obligation by its parts: what is promised, less what was billed or used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import msgspec
import pytest

from ledger_service.application.reporting.liability_bands import (
    Band,
    ObligationPart,
    obligation_totals,
    obligations,
)
from ledger_service.application.reporting.opening_revenue import OpeningRevenue
from ledger_service.application.reporting.remaining_obligation import RemainingObligation
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.domain.events import BilledAmount
from ledger_service.domain.finance.accounts import Account
from tests.bills import record_credit_note
from tests.builders import Book, end_contract, schedule_phase
from tests.promises import EUR, agreed_in, bill, credit, entries_in, signed_book, stored_in, terms, use

START = datetime(2026, 1, 1, tzinfo=UTC)
FEB, MAR, APR, JUL = (datetime(2026, month, 1, tzinfo=UTC) for month in (2, 3, 4, 7))
NEXT = datetime(2027, 1, 1, tzinfo=UTC)
ON = date(2026, 3, 1)
"""Two months of a year are over."""


def of(book: Book, on: date = ON, *, short: bool = False, usage: bool = False, **scope: object) -> list[Band]:
    """Return the obligation of a day."""
    asked = ReportScope(date(2026, 1, 1), on, NEXT, **scope)  # type: ignore[arg-type]
    count = RemainingObligation(asked)
    count.begin_wallet(agreed_in(book))
    for booked in entries_in(stored_in(book)):
        if asked.known_before is None or booked.entry.record_time.date() < asked.known_before:
            count.take(booked)
    count.end_wallet()
    return obligations(count.rows(), on, leave_out_short=short, count_usage=usage)


def parts(bands: Sequence[Band]) -> dict[str, int]:
    """Return what counts by part, in euros, rounded down."""
    found: dict[str, int] = {}
    for band in bands:
        if not band.is_left_out and band.part is not None:
            found[band.part.value] = found.get(band.part.value, 0) + band.nanos
    return {name: nanos // EUR for name, nanos in found.items() if nanos}


def yearly(**fields: object) -> Book:
    """Return a contract for three years, signed on the first day."""
    return signed_book(terms(duration="P3Y", **fields), start_time=START, now=START)  # type: ignore[arg-type]


def test_fees_of_a_term_are_promised_up_to_its_end() -> None:
    assert parts(of(yearly(fee=10))) == {"FEES": 34 * 10}


def test_fees_lie_in_the_bands_in_which_their_days_do() -> None:
    bands = [(band.label, band.nanos // EUR) for band in of(yearly(fee=10))]

    assert bands == [("0 to 12 months", 120), ("12 to 24 months", 120), ("24 to 36 months", 100)]


def test_what_is_billed_ahead_is_liability_and_not_promised_again() -> None:
    book = yearly(fee=31)
    bill(book, BilledAmount("BASE_FEE", 31 * EUR, MAR, APR), now=datetime(2026, 2, 27, tzinfo=UTC))

    assert parts(of(book)) == {"BILLED_AHEAD": 31, "FEES": 33 * 31}
    assert parts(of(book, date(2026, 3, 11))) == {"BILLED_AHEAD": 21, "FEES": 33 * 31}


@pytest.mark.parametrize(
    ("credited_from", "liability"),
    # After 15 of 31 days, of a note on all of the fee 15 x 16 / 31 is for days to come; of one on unused days all.
    [(MAR, 8), (datetime(2026, 3, 17, tzinfo=UTC), 1)],
)
def test_what_a_note_gives_back_of_a_running_fee_is_less_price_and_not_promised_anew(
    credited_from: datetime, liability: int
) -> None:
    book = yearly(fee=31)
    bill(book, BilledAmount("BASE_FEE", 31 * EUR, MAR, APR), now=datetime(2026, 2, 27, tzinfo=UTC))
    credit(book, 15 * EUR, (credited_from, APR), now=datetime(2026, 3, 2, tzinfo=UTC))

    assert parts(of(book)) == {"BILLED_AHEAD": 31, "FEES": 33 * 31}
    assert parts(of(book, date(2026, 3, 3))) == {"BILLED_AHEAD": 14, "FEES": 33 * 31}
    assert parts(of(book, date(2026, 3, 16))) == {"BILLED_AHEAD": liability, "FEES": 33 * 31}


def test_a_note_on_a_fee_of_days_that_have_passed_takes_nothing_off_what_is_to_come() -> None:
    book = yearly(fee=31)
    bill(book, BilledAmount("BASE_FEE", 31 * EUR, FEB, MAR), now=MAR)
    credit(book, 31 * EUR, (FEB, MAR), now=MAR)

    assert parts(of(book, date(2026, 3, 2))) == parts(of(yearly(fee=31), date(2026, 3, 2)))


def test_a_note_that_counts_against_a_return_is_billed_again_by_the_cycles_invoice() -> None:
    book = yearly(fee=31)
    changed = datetime(2026, 3, 17, tzinfo=UTC)
    bill(book, BilledAmount("BASE_FEE", 31 * EUR, MAR, APR), now=datetime(2026, 2, 27, tzinfo=UTC))
    credit(book, 15 * EUR, (changed, APR), now=datetime(2026, 3, 2, tzinfo=UTC))
    book.run(
        schedule_phase("base_fee", from_time=changed, terms=terms(fee=62)), datetime(2026, 3, 3, tzinfo=UTC)
    )
    rest = 33 * 62

    # 13 days of the old fee are paid for. The new one is billed whole for 15 days: what was paid for them came back.
    assert parts(of(book, date(2026, 3, 4))) == {"BILLED_AHEAD": 13, "FEES": 30 + rest}
    bill(
        book,
        BilledAmount("PRORATION_CREDIT", -15 * EUR, changed, APR),
        BilledAmount("PRORATION_CHARGE", 30 * EUR, changed, APR),
        BilledAmount("CREDITED_BEFORE", 15 * EUR, changed, APR),
        now=datetime(2026, 3, 20, tzinfo=UTC),
        number=2,
    )
    assert parts(of(book, date(2026, 3, 21))) == {"BILLED_AHEAD": 22, "FEES": rest}


@pytest.mark.parametrize("noted_from", [MAR, datetime(2026, 3, 17, tzinfo=UTC)])
def test_a_fee_of_which_a_note_gave_the_unused_days_back_is_earned_by_the_end_and_leaves_nothing(
    noted_from: datetime,
) -> None:
    left = datetime(2026, 3, 17, tzinfo=UTC)
    book = signed_book(terms(fee=31), start_time=MAR, now=MAR)
    bill(book, BilledAmount("BASE_FEE", 31 * EUR, MAR, APR), now=MAR)
    credit(book, 15 * EUR, (noted_from, APR), now=datetime(2026, 3, 2, tzinfo=UTC))
    book.run(end_contract(left), datetime(2026, 3, 3, tzinfo=UTC))
    bill(
        book,
        BilledAmount("PRORATION_CREDIT", -15 * EUR, left, APR),
        BilledAmount("CREDITED_BEFORE", 15 * EUR, noted_from, APR),
        now=left,
        number=2,
    )
    earned = [
        (booked.entry.posting_day, -line.nanos)
        for booked in entries_in(stored_in(book))
        for line in booked.entry.lines
        if line.account is Account.REVENUE_PLAN
    ]

    assert parts(of(book, date(2026, 3, 18))) == {}
    assert sum(nanos for day, nanos in earned if day < left.date()) == 16 * EUR
    assert sum(nanos for day, nanos in earned if day >= left.date()) == 0


def test_what_is_billed_later_is_in_no_band_of_a_day_before() -> None:
    book = yearly(fee=31)
    bill(book, BilledAmount("BASE_FEE", 31 * EUR, MAR, APR), now=datetime(2026, 3, 5, tzinfo=UTC))

    assert [(band.part, band.label) for band in of(book)] == [
        (ObligationPart.FEES, "0 to 12 months"),
        (ObligationPart.FEES, "12 to 24 months"),
        (ObligationPart.FEES, "24 to 36 months"),
    ]


def test_what_a_credit_note_takes_back_is_in_no_band_any_more() -> None:
    book = yearly(fee=31)
    bill(book, BilledAmount("BASE_FEE", 31 * EUR, MAR, APR), now=datetime(2026, 2, 20, tzinfo=UTC))
    note = record_credit_note(0, invoice="invoices/bill-1", issue_time=datetime(2026, 2, 25, tzinfo=UTC))
    amounts = (BilledAmount("BASE_FEE", 31 * EUR // 2, MAR, APR),)
    issued = msgspec.structs.replace(note.issued, amounts=amounts, total_nanos=31 * EUR // 2)
    book.run(msgspec.structs.replace(note, issued=issued), datetime(2026, 2, 25, tzinfo=UTC))
    ahead = [band for band in of(book) if band.part is ObligationPart.BILLED_AHEAD]

    assert [(band.label, band.nanos) for band in ahead] == [("0 to 12 months", 31 * EUR // 2)]


def test_revenue_of_a_bill_of_the_period_was_in_no_opening_liability() -> None:
    book = yearly(fee=31)
    year = BilledAmount("SEATS", 365 * EUR, START, NEXT)
    bill(book, year, now=START)
    bill(book, BilledAmount("BASE_FEE", 31 * EUR, MAR, APR), now=MAR, number=2)
    opening = OpeningRevenue(date(2026, 3, 1), date(2026, 4, 1))
    for booked in entries_in(stored_in(book)):
        opening.take(booked)
    opening.end_wallet()

    assert [(row.opening_nanos, row.from_opening_nanos, row.recognised_nanos) for row in opening.rows()] == [
        (306 * EUR, 31 * EUR, 62 * EUR)
    ]


def test_what_the_rounding_of_a_bill_leaves_is_not_promised() -> None:
    book = signed_book(terms(duration="P3M", fee=31), start_time=START, now=START)
    bill(
        book, BilledAmount("BASE_FEE", 31 * EUR - 9_999_999, MAR, APR), now=datetime(2026, 2, 27, tzinfo=UTC)
    )

    assert parts(of(book)) == {"BILLED_AHEAD": 30}


def test_without_an_end_only_the_running_cycle_is_promised() -> None:
    book = signed_book(terms(fee=31), start_time=START, now=START)

    assert parts(of(book, date(2026, 3, 11))) == {"FEES": 21}


def test_a_trial_promises_nothing() -> None:
    book = signed_book(terms("trial", duration="P3M"), terms(fee=10), start_time=START, now=START)

    assert parts(of(book)) == {}


@pytest.mark.parametrize(("used", "rest"), [(0, 1_200), (200, 1_000), (1_200, 0), (2_000, 0)])
@pytest.mark.parametrize("prepaid", [False, True])
def test_usage_draws_a_commitment_down(used: int, rest: int, *, prepaid: bool) -> None:
    book = signed_book(terms(commitment=1_200, prepaid=prepaid), start_time=START, now=START)
    if used:
        use(book, used, FEB)

    assert parts(of(book)).get("COMMITMENTS", 0) == rest


def test_usage_after_the_day_draws_nothing_down_by_then() -> None:
    book = signed_book(terms(commitment=1_200), start_time=START, now=START)
    use(book, 200, APR)

    assert parts(of(book)) == {"COMMITMENTS": 1_200}


def test_a_note_on_a_prepaid_commitment_takes_liability_and_is_not_promised_anew() -> None:
    book = signed_book(terms(commitment=1_200, prepaid=True), start_time=START, now=START)
    bill(book, BilledAmount("COMMITMENT", 1_200 * EUR, START, NEXT), now=FEB)
    credit(book, 300 * EUR, (START, NEXT), now=FEB, kind="COMMITMENT")

    assert parts(of(book)) == {"BILLED_AHEAD": 900}
    assert parts(of(book, date(2026, 12, 31))) == {"BILLED_AHEAD": 900}
    assert parts(of(book, date(2027, 1, 2))) == {"COMMITMENTS": 1_200}, (
        "the next year's; nothing is left of this one"
    )


def test_a_prepaid_commitment_that_is_billed_is_liability_that_usage_draws_down() -> None:
    book = signed_book(terms(commitment=1_200, prepaid=True), start_time=START, now=START)
    bill(book, BilledAmount("COMMITMENT", 1_200 * EUR, START, NEXT), now=FEB)
    use(book, 200, FEB)
    bill(
        book,
        BilledAmount("OVERAGE", 200 * EUR),
        BilledAmount("COMMITMENT_DRAW_DOWN", -200 * EUR),
        now=datetime(2026, 2, 20, tzinfo=UTC),
        number=2,
    )

    assert parts(of(book)) == {"BILLED_AHEAD": 1_000}


def test_a_period_of_a_commitment_that_is_over_is_earned() -> None:
    book = signed_book(terms(commitment=300, period="P1M"), start_time=START, now=START)

    assert parts(of(book)) == {"COMMITMENTS": 300}


@pytest.mark.parametrize(("used", "rest"), [(0, 70), (30, 40), (90, 0)])
def test_usage_of_the_running_cycle_fulfils_its_minimum(used: int, rest: int) -> None:
    book = signed_book(terms(fee=30, minimum=100), start_time=START, now=START)
    if used:
        use(book, used, MAR)

    found = parts(of(book, date(2026, 3, 11)))
    assert found.get("COMMITMENTS", 0) == rest


def test_what_fulfils_a_commitment_fulfils_the_minimums_in_its_period() -> None:
    lower = signed_book(terms(minimum=50, commitment=1_200), start_time=START, now=START)
    higher = yearly(minimum=50, commitment=400)

    assert parts(of(lower)) == {"COMMITMENTS": 1_200}
    # Of three years: two are over by a sixth, and minimums of ten and twelve months exceed the commitment.
    assert parts(of(higher)) == {"COMMITMENTS": 500 + 600 + 600}


def test_a_change_counts_once_it_is_agreed() -> None:
    book = yearly(fee=10)
    dear = terms("standard", fee=20)
    book.run(schedule_phase("base_fee", from_time=JUL, terms=dear), FEB)

    assert parts(of(book, date(2026, 2, 1))) == {"FEES": 35 * 10}
    assert parts(of(book)) == {"FEES": 4 * 10 + 30 * 20}
    assert parts(of(book, known_before=date(2026, 2, 1))) == {"FEES": 34 * 10}


def test_a_contract_that_is_ended_early_promises_up_to_its_end() -> None:
    book = yearly(fee=10)
    book.run(end_contract(JUL), FEB)

    assert parts(of(book)) == {"FEES": 4 * 10}


def test_a_contract_that_is_not_known_yet_promises_nothing() -> None:
    book = signed_book(terms(duration="P3Y", fee=10), start_time=START, now=FEB)

    assert parts(of(book)) == {"FEES": 34 * 10}, "it counts from its beginning"
    assert parts(of(book, known_before=date(2026, 2, 1))) == {}


def test_contracts_of_at_most_a_year_are_left_out_with_what_they_billed_ahead() -> None:
    book = signed_book(terms(duration="P1Y", fee=31), start_time=START, now=START)
    bill(book, BilledAmount("BASE_FEE", 31 * EUR, MAR, APR), now=datetime(2026, 2, 27, tzinfo=UTC))
    total = obligation_totals(of(book, short=True))[0]

    assert (total.liability_nanos, total.unbilled_nanos) == (31 * EUR, 9 * 31 * EUR)
    assert total.left_out_short_nanos == 10 * 31 * EUR
    assert total.obligation_nanos == 0


def test_usage_as_it_is_billed_is_left_out_and_estimated_beside() -> None:
    book = yearly(fee=10)
    use(book, 59, FEB)
    days = (datetime(2029, 1, 1, tzinfo=UTC) - MAR).days
    left_out, counted = of(book), of(book, usage=True)

    assert obligation_totals(left_out)[0].left_out_usage_nanos == days * EUR
    assert parts(left_out) == {"FEES": 340}
    assert parts(counted)["USAGE"] in {days, days - 1}


def test_usage_that_is_committed_to_is_not_estimated_again() -> None:
    book = yearly(commitment=300)
    use(book, 59, FEB)
    total = obligation_totals(of(book))[0]
    days = (datetime(2029, 1, 1, tzinfo=UTC) - MAR).days

    assert total.left_out_usage_nanos == (days - (300 - 59) - 300 - 300) * EUR


def test_an_entity_or_currency_that_is_not_asked_for_is_left_out() -> None:
    book = yearly(fee=10)

    assert parts(of(book, entity="other")) == {}
    assert parts(of(book, currency_code="USD")) == {}
    assert {band.part for band in of(book, currency_code="EUR")} == {ObligationPart.FEES}
