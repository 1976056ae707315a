"""Laws of proration, and of rounding what has grown."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating_service.domain.invoicing.proration import change_of_fee, money_due, share_of_days, share_of_time
from rating_service.domain.rounding import round_growth, round_half_up, round_parts

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2026, 2, 1, tzinfo=UTC)
MICROSECONDS = (END - START) // timedelta(microseconds=1)
CENT = 10**7

instants = st.integers(-MICROSECONDS, 2 * MICROSECONDS).map(lambda at: START + timedelta(microseconds=at))
fees = st.integers(0, 10**15).map(Fraction)
shares = st.fractions(0, 1, max_denominator=10**6)
exact_nanos = st.fractions(-(10**12), 10**12, max_denominator=7)


def share(from_time: datetime, to_time: datetime) -> Fraction:
    return share_of_time(from_time, to_time, whole_from=START, whole_to=END)


@given(instants, instants, instants)
@settings(max_examples=60)
def test_the_shares_of_adjacent_spans_add_up_to_the_share_of_both(
    one: datetime, two: datetime, three: datetime
) -> None:
    first, cut, last = sorted((one, two, three))

    assert share(first, cut) + share(cut, last) == share(first, last)
    assert 0 <= share(first, last) <= 1


@given(fees, fees, shares, fees)
@settings(max_examples=60)
def test_a_change_of_fee_never_gives_back_more_than_was_charged(
    old: Fraction, new: Fraction, rest: Fraction, charged: Fraction
) -> None:
    change = change_of_fee(old, new, rest=rest, charged=charged)

    assert -charged <= change.credit <= 0
    assert change.charge == new * rest
    assert change_of_fee(old, old, rest=rest).amount == 0


@given(fees, fees, instants)
@settings(max_examples=40)
def test_the_fees_of_a_cycle_with_a_change_are_each_fee_for_its_time(
    old: Fraction, new: Fraction, change_time: datetime
) -> None:
    rest = share(change_time, END)

    assert old + change_of_fee(old, new, rest=rest).amount == old * (1 - rest) + new * rest


@given(st.lists(exact_nanos, min_size=1, max_size=6), st.lists(exact_nanos, min_size=6, max_size=6))
@settings(max_examples=60)
def test_what_has_grown_is_rounded_so_that_all_amounts_are_the_sum_rounded_once(
    first: list[Fraction], second: list[Fraction]
) -> None:
    billed = round_parts(first, step=CENT)
    growth = second[: len(first)]
    now = [before + more for before, more in zip(first, growth, strict=True)]
    total = round_half_up(sum(now, Fraction(0)), step=CENT) - sum(billed)

    rounded = round_growth(growth, total=total, step=CENT)

    assert sum(billed) + sum(rounded) == round_half_up(sum(now, Fraction(0)), step=CENT)
    assert all(nanos % CENT == 0 for nanos in rounded)
    if any(growth):
        still = [nanos for part, nanos in zip(growth, rounded, strict=True) if not part]
        assert not any(still)
        assert all(abs(part - nanos) <= 2 * CENT for part, nanos in zip(growth, rounded, strict=True))


@pytest.mark.parametrize(("days", "of"), [(-1, 30), (31, 30), (0, 0)])
def test_no_share_of_days_lies_outside_its_period(days: int, of: int) -> None:
    with pytest.raises(ValueError, match="no share of a period"):
        share_of_days(days, of)


def test_an_empty_span_has_no_shares() -> None:
    with pytest.raises(ValueError, match="empty span"):
        share_of_time(START, END, whole_from=START, whole_to=START)


def test_money_of_days_is_rounded_once_half_up() -> None:
    fee = Fraction("19.95") * 10**9

    assert money_due(fee * share_of_days(8, 30), step=CENT) == 5_320_000_000
