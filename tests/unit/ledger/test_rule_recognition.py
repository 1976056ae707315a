"""What draws, reversals, revocations, refunds and roll-overs recognise, to the nano."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from ledger_service.domain.finance.lots import (
    PaidLot,
    declared_remote,
    estimated,
    moved,
    refunded,
    rolled_over,
)
from ledger_service.domain.finance.methods import share_nanos
from ledger_service.domain.finance.postings import Days, differences
from tests.lots import FIRST, paid_lot

NEXT = FIRST + timedelta(days=1)


def drawn(lot: PaidLot, units: int) -> PaidLot:
    """Return a lot after a draw; below zero, units came back."""
    return moved(lot, drawn_units=units, expired_units=0)


def expired(lot: PaidLot, units: int) -> PaidLot:
    """Return a lot after an expiry."""
    return moved(lot, drawn_units=0, expired_units=units)


@pytest.mark.parametrize(("part", "share"), [(0, 0), (1, 33), (2, 67), (3, 100)])
def test_a_share_is_rounded_half_up(part: int, share: int) -> None:
    assert share_nanos(100, part, 3) == share


def test_exactly_half_a_nano_is_rounded_up() -> None:
    assert share_nanos(1, 1, 2) == 1


def test_the_largest_lot_recognises_exactly() -> None:
    most = 2**63 - 1

    assert share_nanos(most, most - 1, most) == most - 1


def test_three_draws_of_a_third_post_what_one_draw_of_all_posts() -> None:
    lot, earned = paid_lot(), []
    for _ in range(3):
        after = drawn(lot, 1)
        earned.append(after.usage_nanos - lot.usage_nanos)
        lot = after

    assert earned == [33, 34, 33]
    assert (lot.deferred_nanos, lot.used_up) == (0, True)


def test_expiry_makes_the_rest_breakage() -> None:
    lot = expired(drawn(paid_lot(), 1), 2)

    assert (lot.usage_nanos, lot.breakage_nanos, lot.deferred_nanos) == (33, 67, 0)


@pytest.mark.parametrize(
    ("day", "posted_on"),
    [(FIRST - timedelta(days=1), FIRST), (FIRST, FIRST), (NEXT, NEXT)],
)
def test_nothing_is_posted_before_the_day_a_lot_becomes_effective(day: date, posted_on: date) -> None:
    before = paid_lot()
    postings = list(differences(before, drawn(before, 1), Days(day, NEXT), open_day=date.min))

    assert [(key.posting_day, key.record_day, nanos) for key, nanos in postings] == [(posted_on, NEXT, 33)]


@pytest.mark.parametrize(("open_day", "posted_on"), [(NEXT, NEXT), (FIRST, FIRST)])
def test_what_counts_in_a_closed_period_is_posted_on_the_first_open_day(
    open_day: date, posted_on: date
) -> None:
    before = paid_lot()
    posting = next(differences(before, drawn(before, 1), Days(FIRST, NEXT), open_day=open_day))

    assert (posting.key.posting_day, posting.key.effective_day) == (posted_on, FIRST)


def test_a_reversal_takes_back_what_its_debit_had_added() -> None:
    two = drawn(paid_lot(), 2)
    one = drawn(two, -1)

    assert one.usage_nanos - two.usage_nanos == -34
    assert drawn(one, -1) == paid_lot()


def test_what_is_reversed_into_a_lot_that_has_expired_turns_into_breakage() -> None:
    gone = expired(drawn(paid_lot(), 1), 2)
    back = expired(drawn(gone, -1), 1)

    assert (gone.usage_nanos, gone.breakage_nanos) == (33, 67)
    assert (back.usage_nanos, back.breakage_nanos) == (0, 100)
    assert back.used_up


def test_a_refund_is_no_revenue_and_its_rounding_stays_with_the_lot() -> None:
    after = refunded(paid_lot(101), units=1, nanos=33)
    rest = drawn(after, 2)

    assert (after.refunded_nanos, after.deferred_nanos) == (33, 68)
    assert (rest.usage_nanos, rest.breakage_nanos, rest.deferred_nanos) == (67, 1, 0)


def test_a_refund_of_all_that_is_left_ends_the_lot_at_zero() -> None:
    before = drawn(paid_lot(), 2)
    after = refunded(before, units=1, nanos=33)

    assert before.deferred_nanos == 33
    assert (after.deferred_nanos, after.breakage_nanos) == (0, 0)


@pytest.mark.parametrize(("units", "carried_nanos"), [(1, 34), (2, 67), (3, 100)])
def test_units_that_roll_over_take_their_part_rounded_up(units: int, carried_nanos: int) -> None:
    rolled = rolled_over(paid_lot(), units)

    assert rolled.rolled_nanos == carried_nanos
    assert rolled.deferred_nanos == 100 - carried_nanos
    assert rolled.used_up == (units == 3)


def test_a_lot_from_which_all_rolled_over_is_open_again_after_a_reversal() -> None:
    rolled = rolled_over(drawn(paid_lot(), 1), 2)
    back = drawn(rolled, -1)

    assert (rolled.deferred_nanos, back.deferred_nanos) == (0, 33)
    assert expired(back, 1).breakage_nanos == 33


@pytest.mark.parametrize(("estimate", "breakage_nanos"), [((0, 1), 0), ((1, 10), 5), ((1, 2), 45)])
def test_an_estimate_takes_back_that_use_was_remote(estimate: tuple[int, int], breakage_nanos: int) -> None:
    remote = declared_remote(drawn(paid_lot(100, 100), 45))
    back = estimated(remote, numerator=estimate[0], denominator=estimate[1])

    assert (remote.breakage_nanos, remote.deferred_nanos) == (55, 0)
    assert (back.breakage_nanos, back.deferred_nanos) == (breakage_nanos, 55 - breakage_nanos)
