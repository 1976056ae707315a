"""Reversals: a debit's units go back to where they came from, and nowhere else."""

from datetime import timedelta

import pytest

from ledger_service.domain.events import CreditsExpired, DebitReversed, Draw, Event, GrantRevoked
from ledger_service.domain.refusals import AmountNotPositive, ReversalExceedsDebit
from ledger_service.domain.values import GrantCategory, ShortfallMode
from ledger_service.domain.wallet.burn_down import Lot
from ledger_service.domain.wallet.reversed import BUCKET_VERSIONS, reversed_units, with_reversed
from ledger_service.domain.wallet.state import debt_units
from tests.builders import (
    NOW,
    Book,
    after,
    book,
    capture,
    debit,
    events_of,
    extend,
    grant,
    hold,
    open_wallet,
    recurring,
    refund,
    revoke,
    settle,
)

HOUR = timedelta(hours=1)
SOFT, ADVANCE = ShortfallMode.SOFT, ShortfallMode.ADVANCE


def debited(units: int = 25) -> tuple[Book, int, tuple[Lot, ...]]:
    """Return a wallet of three lots of 10 after a debit, the debit's version and the lots before it."""
    ledger = book(
        open_wallet(),
        grant(10, priority=0, scope=("chat",)),
        grant(10, priority=1, expire_time=NOW + HOUR, category=GrantCategory.PROMOTIONAL),
        grant(10, priority=2, paid_nanos=70),
    )
    lots = ledger.wallet().lots
    (recorded,) = ledger.run(debit(units, feature="chat"))
    return ledger, recorded.version, lots


def returned(event: Event) -> list[Draw]:
    """Return the draws that a reversal gave back, in its order."""
    assert isinstance(event, DebitReversed)
    return [Draw(each.grant_version, each.amount_units) for each in event.returned]


def test_a_part_comes_back_from_the_last_draw_first() -> None:
    ledger, version, _ = debited()

    (event,) = events_of(ledger.reverse(version, 7))

    assert returned(event) == [Draw(4, 5), Draw(3, 2)]
    assert ledger.wallet().drawn_units == 18


def test_the_rest_comes_back_after_the_parts_and_restores_every_lot() -> None:
    ledger, version, lots = debited()
    ledger.reverse(version, 7)
    ledger.reverse(version, 1)

    (event,) = events_of(ledger.reverse(version))

    assert returned(event) == [Draw(3, 7), Draw(2, 10)]
    assert ledger.wallet().lots == lots
    assert ledger.wallet().drawn_units == 0


def test_reversing_a_debit_restores_every_lot_with_its_terms() -> None:
    ledger, version, lots = debited(30)

    ledger.reverse(version)

    assert ledger.wallet().lots == lots


@pytest.mark.parametrize("before", [0, 7])
def test_one_unit_more_than_is_left_of_the_debit_is_refused(before: int) -> None:
    ledger, version, _ = debited()
    if before:
        ledger.reverse(version, before)

    with pytest.raises(ReversalExceedsDebit) as refused:
        ledger.reverse(version, 26 - before)

    assert refused.value.metadata == {"left_units": str(25 - before)}
    assert ledger.reverse(version, 25 - before)


@pytest.mark.parametrize("units", [0, 1])
def test_a_debit_that_was_reversed_whole_cannot_be_reversed_again(units: int) -> None:
    ledger, version, _ = debited()
    ledger.reverse(version)

    with pytest.raises(ReversalExceedsDebit):
        ledger.reverse(version, units)


def test_a_negative_reversal_is_refused() -> None:
    ledger, version, _ = debited()

    with pytest.raises(AmountNotPositive):
        ledger.reverse(version, -1)


def test_overage_comes_back_before_any_draw() -> None:
    ledger = book(open_wallet(mode=SOFT), grant(10), debit(16))

    (first,) = events_of(ledger.reverse(3, 4))
    (second,) = events_of(ledger.reverse(3, 4))

    assert isinstance(first, DebitReversed)
    assert isinstance(second, DebitReversed)
    assert (first.overage_units, returned(first)) == (4, [])
    assert (second.overage_units, returned(second)) == (2, [Draw(2, 2)])
    assert ledger.wallet().overage_units == 0


def test_debt_comes_back_before_any_draw() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(10), debit(16))

    (event,) = events_of(ledger.reverse(3, 8))

    assert isinstance(event, DebitReversed)
    assert (event.debt_units, returned(event)) == (6, [Draw(2, 2)])
    assert ledger.wallet().debts == ()


def test_debt_that_was_partly_reversed_leaves_the_rest_to_reverse() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(4), debit(10))
    ledger.reverse(3, 3)

    with pytest.raises(ReversalExceedsDebit) as refused:
        ledger.reverse(3, 8)
    ledger.reverse(3, 7)

    assert refused.value.metadata == {"left_units": "7"}
    assert debt_units(ledger.wallet()) == 0
    assert [lot.remaining_units for lot in ledger.wallet().lots] == [4]


def test_credit_that_repaid_a_debt_comes_back_to_the_lot_that_paid_before_the_first_draws() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(4), debit(10), grant(20))

    (event,) = events_of(ledger.reverse(3, 8))

    assert returned(event) == [Draw(4, 6), Draw(2, 2)]
    assert {lot.grant_version: lot.remaining_units for lot in ledger.wallet().lots} == {2: 2, 4: 20}


@pytest.mark.parametrize("swept", [False, True])
def test_a_repayment_that_nobody_had_recorded_yet_is_reversed_as_well(swept: bool) -> None:
    ledger = book(open_wallet(mode=ADVANCE), debit(10), grant(20, effective_time=NOW + HOUR))
    if swept:
        ledger.run(settle(), NOW + HOUR)

    reversal = ledger.reverse(2, now=NOW + HOUR)[-1].fact.event

    assert returned(reversal) == [Draw(3, 10)]
    assert [lot.remaining_units for lot in ledger.wallet().lots] == [20]


def test_credit_that_comes_back_repays_other_debts_at_that_instant() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(4), debit(4), debit(3))

    repaid = ledger.reverse(3, now=NOW + HOUR)[-1]

    assert repaid.fact.effective_time == NOW + HOUR
    assert ledger.wallet().debts == ()
    assert [lot.remaining_units for lot in ledger.wallet().lots] == [1]


@pytest.mark.parametrize("microseconds", [-1, 0, 1])
def test_credit_that_comes_back_to_an_expired_lot_expires_at_once(microseconds: int) -> None:
    ledger = book(open_wallet(), grant(10, expire_time=NOW + HOUR), debit(10))
    now = after(hours=1, microseconds=microseconds)

    events = events_of(ledger.reverse(3, now=now))

    if microseconds < 0:
        assert len(events) == 1
        assert [lot.expire_time for lot in ledger.wallet().lots] == [NOW + HOUR]
    else:
        assert events[1:] == [CreditsExpired(2, 10)]
        assert ledger.wallet().lots == ()


def test_credit_that_comes_back_to_a_revoked_grant_is_revoked_at_once() -> None:
    ledger = book(open_wallet(), grant(10), debit(4), revoke(2))

    assert events_of(ledger.reverse(3))[1:] == [GrantRevoked(2, 4)]


def test_credit_that_comes_back_to_a_drained_lot_has_the_expiry_it_was_extended_to() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=NOW + HOUR), extend(2, NOW + 2 * HOUR), debit(10))

    ledger.reverse(4, now=NOW + HOUR)

    assert [lot.expire_time for lot in ledger.wallet().lots] == [NOW + 2 * HOUR]


def test_credit_that_comes_back_to_a_drained_recurring_lot_rolls_over_as_before() -> None:
    ledger = book(open_wallet(), grant(10, recurrence=recurring("PT1H", count=1, percent="100")), debit(10))
    ledger.reverse(3)

    ledger.run(debit(10), NOW + HOUR)

    assert ledger.wallet().drawn_units == 10


def test_credit_that_comes_back_after_the_boundary_does_not_roll_over() -> None:
    ledger = book(open_wallet(), grant(10, recurrence=recurring("PT1H", count=1, percent="100")), debit(10))

    assert events_of(ledger.reverse(3, now=NOW + HOUR))[1:] == [CreditsExpired(2, 10)]


def test_a_lot_that_comes_back_remembers_what_was_refunded_of_it() -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=19), refund(2, 5), debit(5))
    ledger.reverse(4)

    ledger.run(refund(2))

    paid = [getattr(each.fact.event, "refund", None) for each in ledger.log]
    assert [money.nanos for money in paid if money] == [9, 10]


def test_a_capture_is_reversed_from_its_excess_to_its_first_slice() -> None:
    ledger = book(open_wallet(), grant(10, priority=0), grant(10, priority=1))
    lots = ledger.wallet().lots
    version = ledger.place(hold(5))
    ledger.run(capture(version, 12))

    (event,) = events_of(ledger.reverse(version + 1, 9))
    ledger.reverse(version + 1)

    assert returned(event) == [Draw(3, 2), Draw(2, 5), Draw(2, 2)]
    assert ledger.wallet().lots == lots


@pytest.mark.parametrize("version", [1, BUCKET_VERSIONS - 1, BUCKET_VERSIONS, BUCKET_VERSIONS + 1])
def test_what_came_back_is_kept_by_debit_and_an_earlier_map_never_changes(version: int) -> None:
    before = with_reversed(with_reversed({}, BUCKET_VERSIONS - 1, 5), BUCKET_VERSIONS, 6)
    after_more = with_reversed(before, version, 9)

    assert reversed_units(after_more, version) == 9
    assert [reversed_units(before, each) for each in (BUCKET_VERSIONS - 1, BUCKET_VERSIONS)] == [5, 6]
    assert reversed_units(before, 2 * BUCKET_VERSIONS) == 0
