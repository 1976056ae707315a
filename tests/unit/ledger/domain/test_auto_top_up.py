"""Automatic top-ups: at the threshold, within limits, after waits, and never twice at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from ledger_service.domain.commands import ActivateGrant, AnyCommand, SettleTopUp, UpdateWallet
from ledger_service.domain.events import (
    AutoTopUp,
    CreditsDebited,
    CreditsExpired,
    CreditsGranted,
    Event,
    TopUpOutcome,
    TopUpRequested,
    TopUpSettled,
    WalletRules,
)
from ledger_service.domain.refusals import AmountOutOfRange, InsufficientCredit
from ledger_service.domain.values import UNITS_MAX, Money, ShortfallMode
from ledger_service.domain.wallet.auto_top_up import back_off, price_of
from tests.builders import (
    MICROSECOND,
    NOW,
    WALLET,
    Book,
    Recorded,
    after,
    book,
    debit,
    events_of,
    grant,
    hold,
    open_wallet,
    recurring,
    revoke,
    settle,
)

RULE = AutoTopUp(
    threshold_units=10,
    price=Money("EUR", 700),
    price_units=100,
    amount_units=50,
    per_day_max=3,
    per_month_max=5,
    back_off_seconds=60,
    back_off_max_seconds=200,
)
FAILED, SUCCEEDED, CANCELLED = TopUpOutcome.FAILED, TopUpOutcome.SUCCEEDED, TopUpOutcome.CANCELLED


def give(**changes: Any) -> UpdateWallet:
    """Return the update that gives the rule."""
    rule = msgspec.structs.replace(RULE, **changes)
    return UpdateWallet(WALLET, ("rules.auto_top_up",), rules=WalletRules(auto_top_up=rule))


def ruled(*commands: AnyCommand, lot_units: int = 100, **changes: Any) -> Book:
    """Return a wallet that was granted units, has the rule, and ran commands."""
    return book(open_wallet(), grant(lot_units), give(**changes), *commands)


def requests(ledger: Book) -> list[Recorded]:
    """Return the automatic requests so far."""
    return [each for each in ledger.log if isinstance(each.fact.event, TopUpRequested)]


def units(ledger: Book) -> list[int]:
    """Return how many units each asked for."""
    events = events_of(requests(ledger))
    return [event.amount_units for event in events if isinstance(event, TopUpRequested)]


def times(ledger: Book) -> list[datetime]:
    """Return when they were requested."""
    return [each.fact.effective_time for each in requests(ledger)]


def end(ledger: Book, outcome: TopUpOutcome, now: datetime) -> list[Event]:
    """Settle the open automatic top-up."""
    return events_of(ledger.run(SettleTopUp(WALLET, requests(ledger)[-1].version, outcome), now))


# The threshold


@pytest.mark.parametrize(("debited", "count"), [(89, 0), (90, 1), (91, 1)], ids=["above", "at", "below"])
def test_a_debit_requests_at_and_below_the_threshold_and_not_above(debited: int, count: int) -> None:
    ledger = ruled(debit(debited))

    assert len(requests(ledger)) == count


def test_the_request_follows_its_cause_in_the_same_commit() -> None:
    ledger = ruled(zone="Europe/Berlin", valid_for="P1Y")

    recorded = ledger.run(debit(95))

    assert isinstance(recorded[0].fact.event, CreditsDebited)
    assert events_of(recorded[1:]) == [
        TopUpRequested(
            amount_units=50,
            price=Money("EUR", 350),
            valid_for="P1Y",
            zone="Europe/Berlin",
            automatic=True,
            day_end_time=datetime(2026, 3, 1, 23, tzinfo=UTC),
            month_end_time=datetime(2026, 3, 31, 22, tzinfo=UTC),
        )
    ]


def test_holds_expiries_and_revocations_request_too() -> None:
    assert len(requests(ruled(hold(90)))) == 1
    assert len(requests(ruled(revoke(2)))) == 1
    expiring = book(open_wallet(), grant(100, expire_time=after(days=1)), give())
    recorded = expiring.run(settle(), after(days=2))
    assert [type(event) for event in events_of(recorded)] == [CreditsExpired, TopUpRequested]
    assert times(expiring) == [after(days=1)]


def test_a_second_debit_does_not_request_while_one_is_open() -> None:
    assert len(requests(ruled(debit(95), debit(1), debit(1)))) == 1


def test_a_target_is_what_is_missing_of_it() -> None:
    ledger = ruled(debit(93), amount_units=0, target_units=40)

    assert units(ledger) == [33]


@pytest.mark.parametrize(("bought", "nanos"), [(100, 700), (1, 7), (50, 350)])
def test_the_price_is_the_share_of_the_rule(bought: int, nanos: int) -> None:
    assert price_of(RULE, bought) == Money("EUR", nanos)


def test_the_price_is_rounded_up_to_a_nano() -> None:
    assert price_of(msgspec.structs.replace(RULE, price_units=300), 1) == Money("EUR", 3)


def test_a_rule_whose_top_up_costs_more_than_money_holds_is_refused() -> None:
    dear: dict[str, Any] = {"price": Money("EUR", UNITS_MAX), "price_units": 50}
    ruled(**dear, amount_units=50)
    with pytest.raises(AmountOutOfRange):
        ruled(**dear, amount_units=51)


def test_credit_that_is_effective_later_or_waits_for_payment_does_not_count() -> None:
    ledger = ruled(grant(99, effective_time=after(days=1)), grant(99, pending=True), debit(90))

    assert len(requests(ledger)) == 1


def test_a_refused_debit_leaves_nothing_behind() -> None:
    ledger = ruled(debit(80))

    with pytest.raises(InsufficientCredit):
        ledger.run(debit(30))
    assert requests(ledger) == []


def test_a_wallet_without_the_rule_requests_nothing() -> None:
    assert requests(book(open_wallet(), grant(10), debit(10))) == []


def test_a_recurring_grant_at_the_expiry_of_the_one_before_requests_nothing() -> None:
    ledger = book(open_wallet(), grant(50, recurrence=recurring("P1D")), give())
    ledger.run(settle(), after(days=3))

    assert requests(ledger) == []


# Giving and changing the rule


def test_giving_the_rule_to_a_low_wallet_requests_at_once() -> None:
    assert len(requests(ruled(lot_units=10))) == 1
    assert len(requests(ruled(lot_units=11))) == 0


def test_a_wallet_that_is_opened_with_the_rule_requests_at_once() -> None:
    opening = msgspec.structs.replace(open_wallet(), rules=WalletRules(auto_top_up=RULE))

    assert [type(event) for event in events_of(book(opening).log)][1:] == [TopUpRequested]


def test_a_higher_threshold_requests_at_once() -> None:
    ledger = ruled(debit(50))
    ledger.run(give(threshold_units=50))

    assert len(requests(ledger)) == 1


def test_a_higher_limit_requests_at_once_and_the_same_limit_does_not() -> None:
    ledger = ruled(debit(95), per_day_max=1)
    end(ledger, SUCCEEDED, after(hours=1))
    ledger.run(debit(54), after(hours=1))
    assert len(requests(ledger)) == 1
    ledger.run(give(per_day_max=1), after(hours=2))
    assert len(requests(ledger)) == 1
    ledger.run(give(per_day_max=2), after(hours=2))
    assert len(requests(ledger)) == 2


# Settling


def test_a_success_grants_and_a_new_low_requests_again() -> None:
    ledger = ruled(debit(95))

    recorded = end(ledger, SUCCEEDED, after(hours=1))
    ledger.run(debit(45), after(hours=2))

    assert [type(event) for event in recorded] == [TopUpSettled, CreditsGranted]
    assert times(ledger) == [NOW, after(hours=2)]


def test_a_success_that_does_not_suffice_requests_again_in_the_same_commit() -> None:
    ledger = ruled(debit(100), amount_units=10)

    recorded = end(ledger, SUCCEEDED, after(hours=1))

    assert [type(event) for event in recorded] == [TopUpSettled, CreditsGranted, TopUpRequested]


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 60), (2, 120), (3, 200), (4, 200), (10**6, 200)], ids=str
)
def test_the_wait_doubles_up_to_its_maximum(failures: int, seconds: int) -> None:
    assert back_off(RULE, failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize("outcome", [FAILED, CANCELLED])
def test_after_a_failure_time_alone_requests_at_the_end_of_the_wait(outcome: TopUpOutcome) -> None:
    ledger = ruled(debit(95))
    end(ledger, outcome, after(hours=1))

    assert ledger.run(settle(), after(hours=1, seconds=60) - MICROSECOND) == []
    ledger.run(settle(), after(hours=5))

    assert times(ledger) == [NOW, after(hours=1, seconds=60)]


def test_a_debit_one_microsecond_before_the_end_of_the_wait_does_not_request_and_one_at_it_does() -> None:
    ledger = ruled(debit(95))
    end(ledger, FAILED, after(hours=1))
    end_time = after(hours=1, seconds=60)

    assert len(ledger.run(debit(1), end_time - MICROSECOND)) == 1
    recorded = events_of(ledger.run(debit(1), end_time))

    # Time had requested it before the debit was decided.
    assert [type(event) for event in recorded] == [TopUpRequested, CreditsDebited]


def test_a_success_ends_the_row_of_failures() -> None:
    ledger = ruled(debit(95), per_day_max=100, per_month_max=100)
    end(ledger, FAILED, NOW)
    ledger.run(settle(), after(seconds=60))
    end(ledger, FAILED, after(seconds=60))
    ledger.run(settle(), after(seconds=180))
    end(ledger, SUCCEEDED, after(seconds=180))
    ledger.run(debit(50), after(seconds=180))
    end(ledger, FAILED, after(seconds=180))
    ledger.run(settle(), after(hours=1))

    assert times(ledger) == [
        NOW,
        after(seconds=60),
        after(seconds=180),
        after(seconds=180),
        after(seconds=240),
    ]


def test_nothing_is_requested_at_the_end_of_the_wait_if_the_balance_is_no_longer_low() -> None:
    ledger = ruled(debit(95))
    end(ledger, FAILED, NOW)
    ledger.run(grant(100), after(seconds=30))

    assert ledger.run(settle(), after(hours=1)) == []


def test_a_wait_that_ended_while_there_was_enough_requests_nothing_in_hindsight() -> None:
    ledger = ruled(debit(95))
    end(ledger, FAILED, NOW)
    ledger.run(grant(100), after(seconds=30))
    ledger.run(grant(100), after(hours=1))
    # Now the lots that were effective at the end of the wait hold too little, and all together enough.
    ledger.run(debit(100), after(hours=2))

    assert ledger.run(settle(), after(hours=3)) == []
    assert times(ledger) == [NOW]


def test_a_lot_that_becomes_effective_before_the_end_of_the_wait_counts() -> None:
    for seconds, count in ((60, 1), (61, 2)):
        ledger = ruled(grant(100, effective_time=after(seconds=seconds)), debit(95))
        end(ledger, FAILED, NOW)
        ledger.run(settle(), after(hours=1))
        assert len(requests(ledger)) == count


def test_a_backdated_grant_that_expired_long_ago_requests_nothing_in_the_past() -> None:
    ledger = book(open_wallet(), grant(100), give())
    ledger.run(grant(5, effective_time=after(days=-9), expire_time=after(days=-8)), after(hours=1))

    recorded = ledger.run(debit(1), after(hours=2))

    assert [type(event) for event in events_of(recorded)] == [CreditsExpired, CreditsDebited]


# Limits


def low_all_day(**changes: Any) -> Book:
    """Return a wallet whose top-ups succeed and are spent at once until the day's limit is reached."""
    ledger = ruled(debit(95), **changes)
    for minute in range(1, 4):
        end(ledger, SUCCEEDED, after(minutes=minute))
        ledger.run(debit(50), after(minutes=minute))
    return ledger


def test_the_day_limit_ends_at_local_midnight_and_time_alone_requests_then() -> None:
    ledger = low_all_day(zone="Europe/Berlin")
    assert len(requests(ledger)) == 3
    midnight = datetime(2026, 3, 1, 23, tzinfo=UTC)

    assert ledger.run(settle(), midnight - MICROSECOND) == []
    ledger.run(settle(), midnight)

    assert times(ledger)[3:] == [midnight]


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        # The night in which Berlin's clocks go forward, and the next one.
        (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 28, 23, tzinfo=UTC)),
        (datetime(2026, 3, 29, 12, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),
        # The night in which they go back.
        (datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)),
        (datetime(2026, 10, 25, 12, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)),
    ],
)
def test_a_day_ends_at_local_midnight_whatever_the_clocks_do(now: datetime, midnight: datetime) -> None:
    ledger = book(open_wallet(), grant(100), now=now)
    ledger.run(give(zone="Europe/Berlin", per_day_max=1), now)
    ledger.run(debit(95), now)
    end(ledger, SUCCEEDED, now)
    ledger.run(debit(50), now)

    assert ledger.run(settle(), midnight - MICROSECOND) == []
    ledger.run(settle(), midnight)

    assert times(ledger) == [now, midnight]


def test_the_month_limit_outlasts_the_day_limit() -> None:
    ledger = low_all_day(per_month_max=3)
    ledger.run(settle(), after(days=60))

    assert times(ledger)[3:] == [datetime(2026, 4, 1, tzinfo=UTC)]


def test_failures_count_towards_the_limits() -> None:
    ledger = ruled(debit(95), per_day_max=2)
    end(ledger, FAILED, NOW)
    ledger.run(settle(), after(seconds=60))
    end(ledger, FAILED, after(seconds=60))
    ledger.run(settle(), after(hours=23))

    assert times(ledger) == [NOW, after(seconds=60), datetime(2026, 3, 2, tzinfo=UTC)]


def test_a_change_of_zone_does_not_begin_a_new_day() -> None:
    ledger = low_all_day(per_day_max=3)
    # It is the second already in Auckland.
    ledger.run(give(zone="Pacific/Auckland"), after(minutes=9))

    assert len(requests(ledger)) == 3


# Runaways and laws


def test_forty_days_of_failing_payments_never_exceed_the_limits() -> None:
    ledger = ruled(debit(95), zone="Europe/Berlin", back_off_seconds=1, back_off_max_seconds=4)
    _run_away(ledger, FAILED)

    assert len(requests(ledger)) <= 2 * RULE.per_month_max


def test_forty_days_of_spending_all_that_comes_cost_no_more_than_the_limits() -> None:
    ledger = ruled(debit(95), zone="Europe/Berlin")
    _run_away(ledger, SUCCEEDED)

    paid = sum(
        each.fact.event.consideration.nanos
        for each in ledger.log
        if isinstance(each.fact.event, CreditsGranted) and each.fact.event.consideration is not None
    )
    # March and April.
    assert paid == 2 * RULE.per_month_max * 350


def _run_away(ledger: Book, outcome: TopUpOutcome) -> None:
    for hour in range(1, 40 * 24):
        now = after(hours=hour)
        ledger.run(settle(), now)
        if ledger.wallet().payments.open_top_ups:
            end(ledger, outcome, now)
        ledger.run(debit(90, take_available=False, delivered=True), now)
    days: dict[Any, int] = {}
    months: dict[Any, int] = {}
    for each in requests(ledger):
        event = each.fact.event
        assert isinstance(event, TopUpRequested)
        days[event.day_end_time] = days.get(event.day_end_time, 0) + 1
        months[event.month_end_time] = months.get(event.month_end_time, 0) + 1
    assert max(days.values()) <= RULE.per_day_max
    assert max(months.values()) == RULE.per_month_max
    assert len(months) == 2


@pytest.mark.parametrize("minutes", [1, 7, 60, 60 * 24 * 40], ids=str)
def test_a_sweeper_changes_nothing_however_often_it_runs(minutes: int) -> None:
    swept, alone = _history(minutes), _history(None)

    assert [(each.version, each.fact.event, each.fact.effective_time) for each in swept.log] == [
        (each.version, each.fact.event, each.fact.effective_time) for each in alone.log
    ]
    assert swept.wallet() == alone.wallet()


def _history(sweep_minutes: int | None) -> Book:
    ledger = ruled(grant(60, expire_time=after(days=2)), grant(30, effective_time=after(days=1)), debit(150))
    end(ledger, FAILED, after(minutes=5))
    now, last = after(minutes=5), after(days=3)
    while sweep_minutes is not None and now + timedelta(minutes=sweep_minutes) < last:
        now += timedelta(minutes=sweep_minutes)
        ledger.run(settle(), now)
    ledger.run(debit(1, delivered=True), last)
    ledger.run(settle(), after(days=50))
    return ledger


def test_activation_keeps_a_wallet_from_being_low() -> None:
    ledger = ruled(grant(100, pending=True), debit(95))
    end(ledger, FAILED, NOW)
    ledger.run(ActivateGrant(WALLET, 4), after(seconds=59))

    assert ledger.run(settle(), after(hours=1)) == []


def test_debts_repaid_by_a_top_up_leave_the_rest() -> None:
    ledger = book(open_wallet(mode=ShortfallMode.ADVANCE), grant(20), give(), debit(60))
    end(ledger, SUCCEEDED, after(hours=1))

    # 50 units repaid 40 of debt: what is left is at the threshold.
    assert times(ledger) == [NOW, after(hours=1)]
