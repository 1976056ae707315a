"""What reversals, revocations, refunds and roll-overs recognise, to the nano."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from ledger_service.projections.recognition import (
    Movement,
    PaidLot,
    Refund,
    post_movement,
    post_refund,
    roll_over,
)

FIRST = date(2026, 3, 1)
NEXT = FIRST + timedelta(days=1)


def lot(consideration_nanos: int = 100, amount_units: int = 3) -> PaidLot:
    """Return a lot that became effective on the first day."""
    return PaidLot("USD", consideration_nanos, amount_units, FIRST)


def moved(each: PaidLot, *movements: Movement) -> PaidLot:
    """Return a lot after movements."""
    for movement in movements:
        each = post_movement(each, movement).lot
    return each


def test_a_reversal_takes_back_what_its_debit_had_added() -> None:
    drawn = moved(lot(), Movement(FIRST, drawn_units=2))
    reversal = post_movement(drawn, Movement(NEXT, drawn_units=-1))

    assert (reversal.key.day, reversal.sums.recognised_usage_nanos) == (NEXT, -34)
    assert moved(reversal.lot, Movement(NEXT, drawn_units=-1)) == lot()


def test_what_is_reversed_into_a_lot_that_has_expired_turns_into_breakage() -> None:
    expired = moved(lot(), Movement(FIRST, drawn_units=1), Movement(FIRST, expired_units=2))
    back = moved(expired, Movement(NEXT, drawn_units=-1), Movement(NEXT, expired_units=1))

    assert (expired.recognised_usage_nanos, expired.recognised_breakage_nanos) == (33, 67)
    assert (back.recognised_usage_nanos, back.recognised_breakage_nanos) == (0, 100)
    assert back.used_up


def test_a_refund_is_no_revenue_and_its_rounding_stays_with_the_lot() -> None:
    refunded = post_refund(lot(consideration_nanos=101), Refund(NEXT, 1, 33))
    rest = post_movement(refunded.lot, Movement(NEXT, drawn_units=2))

    assert (refunded.sums.refunds_nanos, refunded.lot.deferred_nanos) == (33, 68)
    assert (rest.sums.recognised_usage_nanos, rest.sums.recognised_breakage_nanos) == (67, 1)
    assert rest.lot.deferred_nanos == 0


def test_a_refund_of_all_that_is_left_ends_the_lot_at_zero() -> None:
    drawn = moved(lot(), Movement(FIRST, drawn_units=2))
    refunded = post_refund(drawn, Refund(NEXT, 1, 33)).lot

    assert drawn.deferred_nanos == 33
    assert (refunded.deferred_nanos, refunded.recognised_breakage_nanos) == (0, 0)


@pytest.mark.parametrize(("units", "carried_nanos"), [(1, 34), (2, 67), (3, 100)])
def test_units_that_roll_over_take_their_part_rounded_up(units: int, carried_nanos: int) -> None:
    rolled = roll_over(lot(), units)

    assert rolled.rolled_nanos == carried_nanos
    assert rolled.deferred_nanos == 100 - carried_nanos
    assert rolled.used_up == (units == 3)


def test_a_lot_from_which_all_rolled_over_is_open_again_after_a_reversal() -> None:
    rolled = roll_over(moved(lot(), Movement(FIRST, drawn_units=1)), 2)
    back = moved(rolled, Movement(NEXT, drawn_units=-1))

    assert (rolled.deferred_nanos, back.deferred_nanos) == (0, 33)
    assert moved(back, Movement(NEXT, expired_units=1)).recognised_breakage_nanos == 33
