"""Holds: reserving concrete slices, capturing from the front, and what comes back."""

from datetime import datetime, timedelta

import pytest

from ledger_service.domain.commands import CaptureHold, OverHold, PlaceHold
from ledger_service.domain.events import (
    CreditsExpired,
    CreditsHeld,
    Draw,
    Event,
    GrantRevoked,
    HoldCaptured,
    HoldReleased,
)
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    CaptureExceedsHold,
    FieldNotAllowed,
    HoldNotActive,
    InsufficientCredit,
    NumberOutOfRange,
    OverageLimitExceeded,
)
from ledger_service.domain.values import UNITS_MAX, ShortfallMode
from ledger_service.domain.wallet.hold import TTL_DEFAULT, TTL_MAX
from ledger_service.domain.wallet.state import posted_units
from tests.builders import (
    MICROSECOND,
    NOW,
    Book,
    after,
    book,
    capture,
    charge,
    debit,
    events_of,
    extend,
    grant,
    hold,
    open_wallet,
    release,
    revoke,
    settle,
)

SOFT, ADVANCE = ShortfallMode.SOFT, ShortfallMode.ADVANCE
HOUR = timedelta(hours=1)
REJECT = OverHold.REJECT


def held(ledger: Book, command: PlaceHold, now: datetime = NOW) -> CreditsHeld:
    """Run a hold and return its event."""
    event = ledger.answer(command, now).event
    assert isinstance(event, CreditsHeld)
    return event


def captured(ledger: Book, command: CaptureHold, now: datetime = NOW) -> HoldCaptured:
    """Run a capture and return its event."""
    event = ledger.answer(command, now).event
    assert isinstance(event, HoldCaptured)
    return event


def left(ledger: Book) -> dict[int, tuple[int, int]]:
    """Return what each lot has remaining and held."""
    return {lot.grant_version: (lot.remaining_units, lot.held_units) for lot in ledger.wallet().lots}


def three_lots() -> Book:
    """Return a wallet with 10 units in each of three lots, drawn in the order 2, 3, 4."""
    return book(open_wallet(), grant(10, priority=0), grant(10, priority=1), grant(10, priority=2))


# Placing


def test_a_hold_reserves_concrete_slices_in_burn_down_order() -> None:
    ledger = three_lots()

    event = held(ledger, hold(25))

    assert event.slices == (Draw(2, 10), Draw(3, 10), Draw(4, 5))
    assert left(ledger) == {2: (0, 10), 3: (0, 10), 4: (5, 5)}
    assert posted_units(ledger.wallet()) == 30


@pytest.mark.parametrize("mode", [ShortfallMode.HARD, SOFT, ADVANCE])
def test_a_hold_takes_all_or_nothing_in_every_mode(mode: ShortfallMode) -> None:
    ledger = book(open_wallet(mode=mode), grant(10))
    before = ledger.wallet()

    with pytest.raises(InsufficientCredit) as refused:
        ledger.run(hold(11))

    assert refused.value.metadata == {"available_units": "10", "amount_units": "11"}
    assert ledger.wallet() == before
    assert held(ledger, hold(10)).amount_units == 10


def test_held_units_can_be_neither_debited_nor_held_again() -> None:
    ledger = book(open_wallet(), grant(10), hold(7))

    for command in (debit(4), hold(4)):
        with pytest.raises(InsufficientCredit):
            ledger.run(command)

    assert ledger.debit(debit(3)).draws == (Draw(2, 3),)


def test_a_hold_reserves_credit_in_scope_only() -> None:
    ledger = book(open_wallet(), grant(10, scope=("chat",)), grant(1))

    with pytest.raises(InsufficientCredit):
        ledger.run(hold(2, feature="code"))

    assert held(ledger, hold(11, feature="chat")).slices == (Draw(2, 10), Draw(3, 1))


@pytest.mark.parametrize("amount_units", [0, -1])
def test_a_hold_of_nothing_is_refused(amount_units: int) -> None:
    with pytest.raises(AmountNotPositive):
        book(open_wallet(), grant(1), hold(amount_units))


def test_a_hold_may_be_as_large_as_int64_and_no_larger() -> None:
    ledger = book(open_wallet(), grant(UNITS_MAX))

    with pytest.raises(AmountOutOfRange):
        ledger.run(hold(UNITS_MAX + 1))
    assert held(ledger, hold(UNITS_MAX)).slices == (Draw(2, UNITS_MAX),)


# Time


def test_a_hold_lasts_ten_minutes_unless_told() -> None:
    assert timedelta(minutes=10) == TTL_DEFAULT
    assert held(three_lots(), hold(1)).expire_time == after(minutes=10)


@pytest.mark.parametrize("ttl", [MICROSECOND, TTL_MAX])
def test_a_hold_lasts_from_a_microsecond_to_a_day(ttl: timedelta) -> None:
    assert timedelta(hours=24) == TTL_MAX
    assert held(three_lots(), hold(1, ttl=ttl)).expire_time == NOW + ttl


@pytest.mark.parametrize("ttl", [-MICROSECOND, timedelta(0), TTL_MAX + MICROSECOND])
def test_a_hold_of_another_length_is_refused(ttl: timedelta) -> None:
    with pytest.raises(NumberOutOfRange) as refused:
        three_lots().run(hold(1, ttl=ttl))

    assert refused.value.field == "ttl"


def test_a_hold_may_be_captured_until_the_last_microsecond_of_its_time() -> None:
    ledger = three_lots()
    version = ledger.place(hold(5, ttl=HOUR))

    assert captured(ledger, capture(version, 5), NOW + HOUR - MICROSECOND).held_draws == (Draw(2, 5),)


@pytest.mark.parametrize("late", [timedelta(0), MICROSECOND])
def test_a_hold_is_not_active_once_its_time_is_over(late: timedelta) -> None:
    ledger = three_lots()
    version = ledger.place(hold(5, ttl=HOUR))

    for command in (capture(version, 5), release(version)):
        with pytest.raises(HoldNotActive):
            ledger.run(command, NOW + HOUR + late)


def test_a_timeout_is_recorded_at_its_exact_instant_and_returns_the_newest_slice_first() -> None:
    ledger = three_lots()
    version = ledger.place(hold(15, ttl=timedelta(hours=1, microseconds=7)))

    (recorded,) = ledger.run(settle(), after(days=3))

    assert recorded.fact.event == HoldReleased(version, (Draw(3, 5), Draw(2, 10)), timed_out=True)
    assert recorded.fact.effective_time == after(hours=1, microseconds=7)
    assert left(ledger) == {2: (10, 0), 3: (10, 0), 4: (10, 0)}


def test_held_credit_is_free_again_at_the_instant_of_the_timeout() -> None:
    ledger = three_lots()
    ledger.run(hold(30, ttl=HOUR))

    with pytest.raises(InsufficientCredit):
        ledger.run(debit(1), NOW + HOUR - MICROSECOND)
    assert ledger.run(debit(30), NOW + HOUR)


def test_no_hold_can_be_captured_or_released_that_never_was() -> None:
    for command in (capture(9, 1), release(9)):
        with pytest.raises(HoldNotActive) as refused:
            three_lots().run(command)
        assert refused.value.field == "name"


# Capturing


def test_a_capture_takes_slices_from_the_front_and_returns_the_rest_newest_first() -> None:
    ledger = three_lots()
    version = ledger.place(hold(25))

    event = captured(ledger, capture(version, 8))

    assert event.held_draws == (Draw(2, 8),)
    assert event.returned == (Draw(4, 5), Draw(3, 10), Draw(2, 2))
    assert left(ledger) == {2: (2, 0), 3: (10, 0), 4: (10, 0)}
    assert ledger.wallet().drawn_units == 8
    assert ledger.wallet().holds == ()


def test_exactly_what_is_held_may_be_captured() -> None:
    ledger = three_lots()
    version = ledger.place(hold(25))

    event = captured(ledger, capture(version, 25, over_hold=REJECT))

    assert (event.held_draws, event.returned) == ((Draw(2, 10), Draw(3, 10), Draw(4, 5)), ())
    assert left(ledger) == {4: (5, 0)}


def test_a_capture_of_nothing_gives_everything_back() -> None:
    ledger = three_lots()
    before = left(ledger)
    version = ledger.place(hold(25))

    event = captured(ledger, capture(version, 0))

    assert event.amount_units == 0
    assert left(ledger) == before
    assert ledger.wallet().drawn_units == 0


def test_a_negative_capture_is_refused() -> None:
    ledger = three_lots()
    version = ledger.place(hold(5))

    with pytest.raises(AmountNotPositive):
        ledger.run(capture(version, -1))


def test_a_capture_that_is_not_final_leaves_the_rest_held() -> None:
    ledger = three_lots()
    version = ledger.place(hold(25))

    first = captured(ledger, capture(version, 4, final=False))
    second = captured(ledger, capture(version, 8, final=False))
    last = captured(ledger, capture(version, 1))

    assert (first.held_draws, first.returned) == ((Draw(2, 4),), ())
    assert (second.held_draws, second.returned) == ((Draw(2, 6), Draw(3, 2)), ())
    assert (last.held_draws, last.returned) == ((Draw(3, 1),), (Draw(4, 5), Draw(3, 7)))
    assert ledger.wallet().drawn_units == 13


def test_a_hold_that_was_captured_to_the_end_is_over_even_if_not_finally() -> None:
    ledger = three_lots()
    version = ledger.place(hold(5))
    ledger.run(capture(version, 5, final=False))

    with pytest.raises(HoldNotActive):
        ledger.run(capture(version, 1))


@pytest.mark.parametrize("captures", [True, False])
def test_a_hold_ends_once(captures: bool) -> None:
    ledger = three_lots()
    version = ledger.place(hold(5))
    ledger.run(capture(version) if captures else release(version))

    for command in (capture(version, 1), release(version)):
        with pytest.raises(HoldNotActive):
            ledger.run(command)


def test_a_charge_says_how_much_is_captured() -> None:
    ledger = three_lots()
    version = ledger.place(hold(5))

    with pytest.raises(FieldNotAllowed):
        ledger.run(capture(version, 1, charge=charge("2.5")))
    event = captured(ledger, capture(version, charge=charge("2.5")))

    assert event.amount_units == 2
    assert str(ledger.wallet().carried_fraction) == "0.5"


# Capturing more than is held


def test_a_capture_of_one_unit_more_than_held_is_rejected_if_asked() -> None:
    ledger = three_lots()
    version = ledger.place(hold(5))
    before = ledger.wallet()

    with pytest.raises(CaptureExceedsHold) as refused:
        ledger.run(capture(version, 6, over_hold=REJECT))

    assert refused.value.metadata == {"held_units": "5"}
    assert ledger.wallet() == before


def test_what_exceeds_a_hold_is_an_ordinary_debit() -> None:
    ledger = three_lots()
    version = ledger.place(hold(5))

    event = captured(ledger, capture(version, 18))

    assert (event.held_draws, event.draws) == ((Draw(2, 5),), (Draw(2, 5), Draw(3, 8)))
    assert ledger.wallet().drawn_units == 18


def test_a_capture_whose_excess_a_hard_wallet_refuses_changes_nothing() -> None:
    ledger = book(open_wallet(), grant(10))
    version = ledger.place(hold(5))
    before = ledger.wallet()

    with pytest.raises(InsufficientCredit):
        ledger.run(capture(version, 11))

    assert ledger.wallet() == before
    assert captured(ledger, capture(version, 10)).draws == (Draw(2, 5),)


def test_the_excess_of_a_capture_is_overage_in_a_soft_wallet_up_to_the_limit() -> None:
    ledger = book(open_wallet(mode=SOFT, overage_limit_units=3), grant(10))
    version = ledger.place(hold(5))

    with pytest.raises(OverageLimitExceeded):
        ledger.run(capture(version, 14))
    event = captured(ledger, capture(version, 13))

    assert (event.overage_units, event.debt_units) == (3, 0)
    assert ledger.wallet().overage_units == 3


def test_the_excess_of_a_capture_is_debt_in_an_advance_wallet() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(10))
    version = ledger.place(hold(10))

    event = captured(ledger, capture(version, 13))

    assert (event.overage_units, event.debt_units) == (0, 3)
    assert [debt.debit_version for debt in ledger.wallet().debts] == [version + 1]


# Lots that ended meanwhile


def expiring() -> tuple[Book, int]:
    """Return a wallet whose 10 units expire after an hour, 6 of them held for two."""
    ledger = book(open_wallet(), grant(10, expire_time=NOW + HOUR))
    return ledger, ledger.place(hold(6, ttl=2 * HOUR))


def test_held_slices_stay_usable_past_their_lots_expiry() -> None:
    ledger, version = expiring()

    expired, taken = events_of(ledger.run(capture(version, 6), NOW + 2 * HOUR - MICROSECOND))

    assert expired == CreditsExpired(2, 4)
    assert isinstance(taken, HoldCaptured)
    assert ledger.wallet().drawn_units == 6


@pytest.mark.parametrize("units", [0, 5])
def test_what_a_capture_returns_to_an_expired_lot_expires_at_once(units: int) -> None:
    ledger, version = expiring()

    expired = ledger.run(capture(version, units), NOW + HOUR)[-1]

    assert expired.fact.event == CreditsExpired(2, 6 - units)
    assert expired.fact.effective_time == NOW + HOUR
    assert ledger.wallet().lots == ()


def test_what_a_release_returns_to_an_expired_lot_expires_at_once() -> None:
    ledger, version = expiring()

    assert events_of(ledger.run(release(version), NOW + HOUR))[-1] == CreditsExpired(2, 6)


def test_what_a_release_returns_one_microsecond_before_the_expiry_is_usable() -> None:
    ledger, version = expiring()

    ledger.run(release(version), NOW + HOUR - MICROSECOND)

    assert ledger.run(debit(10), NOW + HOUR - MICROSECOND)


def test_what_a_timeout_returns_to_an_expired_lot_expires_at_the_timeout() -> None:
    ledger, version = expiring()

    recorded = ledger.run(settle(), after(days=1))

    assert [(each.fact.event, each.fact.effective_time) for each in recorded] == [
        (CreditsExpired(2, 4), NOW + HOUR),
        (HoldReleased(version, (Draw(2, 6),), timed_out=True), NOW + 2 * HOUR),
        (CreditsExpired(2, 6), NOW + 2 * HOUR),
    ]


def test_at_one_instant_a_hold_times_out_before_its_lot_expires() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=NOW + HOUR))
    version = ledger.place(hold(6, ttl=HOUR))

    assert events_of(ledger.run(settle(), NOW + HOUR)) == [
        HoldReleased(version, (Draw(2, 6),), timed_out=True),
        CreditsExpired(2, 10),
    ]


def test_a_lot_whose_rest_was_drawn_while_held_expires_only_when_the_hold_ends() -> None:
    ledger, version = expiring()
    ledger.run(debit(4))

    assert ledger.wallet().next_due_time == NOW + 2 * HOUR
    assert ledger.run(settle(), NOW + HOUR) == []
    assert events_of(ledger.run(release(version), NOW + HOUR)) == [
        HoldReleased(version, (Draw(2, 6),)),
        CreditsExpired(2, 6),
    ]


def test_a_lot_that_was_extended_while_held_takes_its_slices_back() -> None:
    ledger, version = expiring()
    ledger.run(extend(2, NOW + 2 * HOUR))

    ledger.run(release(version), NOW + 2 * HOUR - MICROSECOND)

    assert left(ledger) == {2: (10, 0)}


@pytest.mark.parametrize("by_timeout", [False, True])
def test_slices_of_a_revoked_lot_are_revoked_when_they_return(by_timeout: bool) -> None:
    ledger = book(open_wallet(), grant(10))
    version = ledger.place(hold(6, ttl=HOUR))
    ledger.run(revoke(2))

    events = events_of(ledger.run(settle() if by_timeout else release(version), NOW + by_timeout * HOUR))

    assert events[-1] == GrantRevoked(2, 6)
    assert ledger.wallet().revoked_units == 10
    assert ledger.wallet().lots == ()


def test_slices_of_a_revoked_lot_may_still_be_captured() -> None:
    ledger = book(open_wallet(), grant(10))
    version = ledger.place(hold(6))
    ledger.run(revoke(2))

    events: list[Event] = events_of(ledger.run(capture(version, 5)))

    assert events[-1] == GrantRevoked(2, 1)
    assert ledger.wallet().drawn_units == 5


def test_a_hold_that_is_released_leaves_the_wallet_as_it_was() -> None:
    ledger = three_lots()
    before = ledger.wallet()
    version = ledger.place(hold(25))

    ledger.run(release(version))

    assert ledger.wallet().lots == before.lots
    assert ledger.wallet().holds == ()
    assert posted_units(ledger.wallet()) == 30
