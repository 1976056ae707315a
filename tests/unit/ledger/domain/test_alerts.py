"""Alerts: what crosses a threshold, at the exact unit and instant, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ledger_service.domain.commands import AnyCommand, SettleWallet, UpdateWallet
from ledger_service.domain.events import (
    AlertRules,
    CreditsDebited,
    CreditsExpired,
    CreditsGranted,
    CreditsHeld,
    DebtRepaid,
    FastRise,
    GrantRevoked,
    HoldReleased,
    ThresholdCrossed,
    WalletRules,
)
from ledger_service.domain.values import AlertKind, CrossingDirection, ShortfallMode
from ledger_service.domain.wallet.alerts import Measure, measure
from ledger_service.domain.wallet.usage import SPENT_MAX
from tests.builders import (
    MICROSECOND,
    NOW,
    WALLET,
    Book,
    Recorded,
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
    release,
    revoke,
)

RISING, FALLING = CrossingDirection.RISING, CrossingDirection.FALLING
HOURLY = FastRise("PT1H", 3, "2")


def watched(
    *commands: AnyCommand,
    percents: tuple[int, ...] = (),
    balances: tuple[int, ...] = (),
    rise: FastRise | None = None,
    mode: ShortfallMode = ShortfallMode.HARD,
) -> Book:
    """Return a book with a wallet that has alerts."""
    return book(open_wallet(mode=mode, alerts=AlertRules(percents, balances, rise)), *commands)


def used(percent: int, direction: CrossingDirection, available: int, entitlement: int) -> ThresholdCrossed:
    return ThresholdCrossed(AlertKind.ENTITLEMENT, percent, direction, available, entitlement)


def low(units: int, direction: CrossingDirection, available: int, entitlement: int) -> ThresholdCrossed:
    return ThresholdCrossed(AlertKind.LOW_BALANCE, units, direction, available, entitlement)


def alerts(recorded: list[Recorded]) -> list[ThresholdCrossed]:
    return [event for event in events_of(recorded) if isinstance(event, ThresholdCrossed)]


# Entitlement


def test_half_is_used_at_the_very_unit() -> None:
    ledger = watched(grant(100), debit(49), percents=(50,))

    assert alerts(ledger.log) == []
    assert alerts(ledger.run(debit(1))) == [used(50, RISING, 50, 100)]
    assert alerts(ledger.run(debit(1))) == []


def test_a_percentage_of_an_odd_entitlement_is_exact() -> None:
    ledger = watched(grant(3), percents=(33, 34, 67))

    assert alerts(ledger.run(debit(1))) == [used(33, RISING, 2, 3)]
    assert alerts(ledger.run(debit(1))) == [used(34, RISING, 1, 3)]
    assert alerts(ledger.run(debit(1))) == [used(67, RISING, 0, 3)]


def test_one_debit_crosses_several_thresholds_in_order_directly_after_itself() -> None:
    ledger = watched(grant(100), percents=(50, 80, 100))

    recorded = events_of(ledger.run(debit(100)))

    assert isinstance(recorded[0], CreditsDebited)
    assert recorded[1:] == [used(50, RISING, 0, 100), used(80, RISING, 0, 100), used(100, RISING, 0, 100)]


def test_a_new_grant_recovers_and_arms_again() -> None:
    ledger = watched(grant(100, expire_time=after(days=9)), debit(60), percents=(50,))

    assert alerts(ledger.run(grant(100))) == [used(50, FALLING, 140, 200)]
    assert alerts(ledger.run(debit(40))) == [used(50, RISING, 100, 200)]


def test_a_used_up_grant_counts_until_it_would_have_expired() -> None:
    end = after(hours=2)
    ledger = watched(grant(60, expire_time=end), grant(40), debit(60), percents=(50,))
    wallet = ledger.wallet()

    assert measure(wallet, end - MICROSECOND) == Measure(40, 100)
    assert measure(wallet, end) == Measure(40, 40)
    # That its part ended is no event and no alert, but what is used now is compared with what is left.
    assert alerts(ledger.run(debit(19), end)) == []
    assert alerts(ledger.run(debit(1), end)) == [used(50, RISING, 20, 40)]


def test_a_used_up_grant_without_an_expiry_counts_until_credit_is_granted_next() -> None:
    ledger = watched(grant(100), debit(100), percents=(100,))
    assert measure(ledger.wallet(), after(days=9)) == Measure(0, 100)

    assert alerts(ledger.run(grant(40), after(days=9))) == [used(100, FALLING, 40, 40)]
    assert alerts(ledger.run(debit(40), after(days=9))) == [used(100, RISING, 0, 40)]


def test_a_used_up_grant_counts_until_the_next_credit_is_there_not_until_it_is_promised() -> None:
    start = after(days=1)
    ledger = watched(grant(100), debit(100), grant(40, effective_time=start), percents=(100,))

    assert measure(ledger.wallet(), start - MICROSECOND) == Measure(0, 100)
    assert measure(ledger.wallet(), start) == Measure(40, 40)

    ledger.run(grant(7), after(hours=1))
    assert measure(ledger.wallet(), after(hours=1)) == Measure(7, 7)


def test_an_expiry_is_compared_at_its_own_instant_whoever_records_it() -> None:
    end = after(hours=1)
    ledger = watched(grant(10, expire_time=end), grant(90), balances=(95,))

    recorded = ledger.run(debit(1), after(days=3))

    assert [type(event) for event in events_of(recorded)] == [
        CreditsExpired,
        ThresholdCrossed,
        CreditsDebited,
    ]
    assert recorded[1].fact.effective_time == end
    assert alerts(recorded) == [low(95, FALLING, 90, 90)]


def test_a_grant_that_had_expired_when_it_was_made_was_never_there() -> None:
    ledger = watched(grant(10), balances=(15,))

    ledger.run(grant(90, effective_time=after(hours=-2), expire_time=after(hours=-1)))

    assert alerts(ledger.run(debit(1))) == []
    assert alerts(ledger.log) == []


def test_an_empty_entitlement_crosses_nothing() -> None:
    ledger = watched(percents=(50,), mode=ShortfallMode.SOFT)

    assert alerts(ledger.run(debit(10))) == []
    assert alerts(ledger.run(grant(10))) == []


def test_held_units_are_used_ones_and_come_back_with_the_release() -> None:
    ledger = watched(grant(100), percents=(50,))

    held = ledger.run(hold(50))
    assert [type(event) for event in events_of(held)] == [CreditsHeld, ThresholdCrossed]
    assert alerts(ledger.run(release(held[0].version))) == [used(50, FALLING, 100, 100)]


def test_a_capture_of_what_is_held_crosses_nothing_and_its_rest_recovers() -> None:
    ledger = watched(grant(100), percents=(50,))
    first = ledger.run(hold(60))[0].version

    assert alerts(ledger.run(capture(first, 40))) == [used(50, FALLING, 60, 100)]


def test_a_timeout_is_recorded_with_its_alert_at_its_own_instant() -> None:
    ledger = watched(grant(100), percents=(50,))
    ledger.run(hold(60))

    recorded = ledger.run(grant(1), after(hours=1))

    assert [type(event) for event in events_of(recorded)] == [HoldReleased, ThresholdCrossed, CreditsGranted]
    assert recorded[1].fact.effective_time == after(minutes=10)


def test_a_refund_and_a_revocation_take_their_units_out_of_the_entitlement() -> None:
    ledger = watched(grant(100, paid_nanos=100), percents=(50,))

    assert alerts(ledger.run(refund(2, 90))) == []
    assert measure(ledger.wallet(), NOW) == Measure(10, 10)
    assert alerts(ledger.run(revoke(2))) == []
    assert measure(ledger.wallet(), NOW) == Measure(0, 0)


def test_a_revocation_of_another_grant_may_cross() -> None:
    ledger = watched(grant(50, expire_time=after(days=1)), grant(60), debit(50), percents=(50, 100))

    recorded = events_of(ledger.run(revoke(3)))

    assert isinstance(recorded[0], GrantRevoked)
    assert recorded[1:] == [used(50, RISING, 0, 50), used(100, RISING, 0, 50)]


def test_what_a_reversal_returns_belongs_to_the_grant_it_came_from() -> None:
    ledger = watched(grant(100), debit(100), percents=(50,))

    assert alerts(ledger.reverse(3, 51)) == [used(50, FALLING, 51, 100)]
    assert measure(ledger.wallet(), NOW) == Measure(51, 100)


def test_what_returns_to_a_grant_that_has_expired_was_never_there() -> None:
    ledger = watched(grant(100, expire_time=after(hours=1)), grant(10), balances=(20,))
    version = ledger.run(debit(100))[0].version

    assert alerts(ledger.reverse(version, 50, after(hours=1))) == []
    assert alerts(ledger.reverse(version, 50, after(hours=2))) == []


def test_a_repayment_uses_credit_when_it_is_recorded() -> None:
    ledger = watched(debit(60), percents=(50,), mode=ShortfallMode.ADVANCE)

    recorded = events_of(ledger.run(grant(100)))

    assert [type(event) for event in recorded] == [CreditsGranted, DebtRepaid, ThresholdCrossed]
    assert recorded[-1] == used(50, RISING, 40, 100)


def test_what_rolls_over_is_a_new_entitlement_of_its_own_size() -> None:
    ledger = watched(
        grant(100, recurrence=recurring("P1D", count=1, percent="50")), debit(60), percents=(10, 50)
    )

    recorded = ledger.run(grant(1), after(days=1))

    assert measure(ledger.wallet(), after(days=1)) == Measure(21, 21)
    assert alerts(recorded) == [used(50, FALLING, 20, 20), used(10, FALLING, 20, 20)]


def test_a_recurring_grant_recovers_at_its_boundary() -> None:
    ledger = watched(grant(100, recurrence=recurring("P1D")), debit(100), percents=(100,))

    recorded = ledger.run(debit(1), after(days=1, hours=5))

    # The used-up period ended with its boundary: nothing was there to recover from.
    assert alerts(recorded) == []
    assert alerts(ledger.run(debit(99), after(days=1, hours=5))) == [used(100, RISING, 0, 100)]


def test_credit_that_time_makes_effective_is_noticed_by_the_next_event() -> None:
    ledger = watched(grant(100, expire_time=after(days=9)), debit(60), percents=(50,))
    ledger.run(grant(100, effective_time=after(days=1)))

    assert alerts(ledger.run(debit(1), after(days=1))) == []
    assert alerts(ledger.run(debit(39), after(days=1))) == [used(50, RISING, 100, 200)]


def test_a_debit_ahead_of_the_clock_takes_nothing_from_what_is_not_there_yet() -> None:
    soon = after(minutes=1)
    ledger = watched(grant(10, effective_time=soon), grant(90, priority=1), percents=(1,))

    assert alerts(ledger.run(debit(11, effective_time=soon))) == [used(1, RISING, 89, 90)]
    assert measure(ledger.wallet(), soon - MICROSECOND) == Measure(89, 90)
    assert measure(ledger.wallet(), soon) == Measure(89, 100)


def test_an_extension_changes_nothing_that_is_measured() -> None:
    ledger = watched(grant(100, expire_time=after(days=1)), debit(50), percents=(50,))

    assert alerts(ledger.run(extend(2))) == []
    assert measure(ledger.wallet(), after(days=2)) == Measure(50, 100)


def test_at_most_so_many_used_up_grants_count() -> None:
    ledger = watched(percents=(50,))
    for number in range(SPENT_MAX + 2):
        ledger.run(grant(1, expire_time=after(days=1, seconds=number)))
        ledger.run(debit(1))

    assert measure(ledger.wallet(), NOW) == Measure(0, SPENT_MAX)
    # The ones that end first are forgotten first.
    assert measure(ledger.wallet(), after(days=1, seconds=1)) == Measure(0, SPENT_MAX)
    assert measure(ledger.wallet(), after(days=1, seconds=2)) == Measure(0, SPENT_MAX - 1)


# Low balance


def test_an_empty_wallet_is_low_until_credit_comes() -> None:
    ledger = watched(balances=(10,))

    assert alerts(ledger.run(grant(10))) == []
    assert alerts(ledger.run(grant(1))) == [low(10, RISING, 11, 11)]


def test_the_balance_is_low_at_the_threshold_and_not_one_above() -> None:
    ledger = watched(grant(100), balances=(10,))

    assert alerts(ledger.run(debit(89))) == []
    assert alerts(ledger.run(debit(1))) == [low(10, FALLING, 10, 100)]
    assert alerts(ledger.run(debit(1))) == []
    assert alerts(ledger.run(grant(1))) == []
    assert alerts(ledger.run(grant(1))) == [low(10, RISING, 11, 102)]


def test_zero_is_a_threshold() -> None:
    ledger = watched(grant(100), balances=(50, 0))

    assert alerts(ledger.run(debit(100))) == [low(50, FALLING, 0, 100), low(0, FALLING, 0, 100)]
    assert alerts(ledger.run(grant(60))) == [low(0, RISING, 60, 60), low(50, RISING, 60, 60)]


# Fast rise


def at_hours(number: int, *, seconds: int = 0) -> datetime:
    """Return an instant so many whole hours after the first of the tests' day, which windows begin at."""
    return datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(hours=number, seconds=seconds)


def rising(*units: int, rise: FastRise = HOURLY) -> tuple[Book, int]:
    """Return a book with so many units debited in each hour, and the number of the hour after them."""
    ledger = watched(grant(10_000), rise=rise, mode=ShortfallMode.SOFT)
    for number, amount in enumerate(units):
        if amount:
            ledger.run(debit(amount), at_hours(number))
    return ledger, len(units)


def test_a_window_that_exceeds_the_factor_is_a_fast_rise_and_one_that_equals_it_is_not() -> None:
    ledger, hour = rising(10, 10, 10)

    assert alerts(ledger.run(debit(20), at_hours(hour))) == []
    assert alerts(ledger.run(debit(1), at_hours(hour, seconds=3599))) == [
        ThresholdCrossed(AlertKind.FAST_RISE, 21, RISING, 9949, 10_000, window_units=21)
    ]


def test_there_is_one_fast_rise_a_window() -> None:
    ledger, hour = rising(10, 10, 10)

    first = alerts(ledger.run(debit(50), at_hours(hour)))
    second = alerts(ledger.run(debit(50), at_hours(hour, seconds=1)))
    third = alerts(ledger.run(debit(500), at_hours(hour + 1)))

    assert [len(first), len(second), len(third)] == [1, 0, 1]


def test_the_average_is_of_the_windows_before_only_as_many_as_told() -> None:
    ledger, hour = rising(1000, 0, 0, 3)

    # 2 x (0 + 0 + 3) / 3 = 2.
    assert alerts(ledger.run(debit(2), at_hours(hour))) == []
    assert [each.threshold for each in alerts(ledger.run(debit(1), at_hours(hour)))] == [3]


def test_windows_before_the_rule_do_not_count_and_one_after_it_is_needed() -> None:
    ledger = watched(grant(10_000))
    ledger.run(debit(5), at_hours(0, seconds=1))
    rules = WalletRules(alerts=AlertRules(fast_rise=HOURLY))
    ledger.run(UpdateWallet(WALLET, ("rules",), rules=rules), at_hours(0, seconds=2))

    assert alerts(ledger.run(debit(900), at_hours(1))) == []
    # One full window of 900: more than 1800 is fast.
    assert alerts(ledger.run(debit(1800), at_hours(2))) == []
    assert [each.threshold for each in alerts(ledger.run(debit(1), at_hours(2)))] == [1801]


def test_a_rule_set_at_a_boundary_counts_from_there() -> None:
    ledger, _ = rising(10)

    assert [each.threshold for each in alerts(ledger.run(debit(21), at_hours(1)))] == [21]


def test_idle_windows_count_as_none_and_the_least_units_are_kept() -> None:
    ledger, _ = rising(0, 0, 0, rise=FastRise("PT1H", 3, "1.5", minimum_units=7))

    assert alerts(ledger.run(debit(6), at_hours(3))) == []
    assert [each.threshold for each in alerts(ledger.run(debit(1), at_hours(3)))] == [7]


def test_a_factor_with_decimals_is_exact() -> None:
    ledger, hour = rising(7, 0, 0, rise=FastRise("PT1H", 3, "1.000000000000000001"))

    # 7 / 3 = 2.33...: 3 exceed it.
    assert alerts(ledger.run(debit(2), at_hours(hour))) == []
    assert [each.threshold for each in alerts(ledger.run(debit(1), at_hours(hour)))] == [3]


def test_overage_and_captures_count_and_reversals_take_nothing_back() -> None:
    ledger, _ = rising(10, 10, 10)
    ledger.run(debit(20), at_hours(3))
    ledger.reverse(ledger.log[-1].version, 0, at_hours(3))
    held = ledger.run(hold(1), at_hours(3))[0].version

    assert [each.window_units for each in alerts(ledger.run(capture(held, 1), at_hours(3)))] == [21]


def test_the_window_is_that_of_the_record_time() -> None:
    ledger, hour = rising(10, 10, 10)

    assert len(alerts(ledger.run(debit(21, effective_time=at_hours(0)), at_hours(hour)))) == 1


def test_what_is_remembered_is_bounded() -> None:
    ledger, _ = rising(*[1] * 30)

    assert len(ledger.wallet().usage.counts) == HOURLY.windows + 1


# Rules


def test_setting_a_rule_is_no_crossing_and_without_rules_nothing_is_recorded() -> None:
    ledger = book(open_wallet(), grant(100), debit(90))
    rules = WalletRules(alerts=AlertRules((50,), (20,)))

    assert alerts(ledger.log) == []
    assert alerts(ledger.run(UpdateWallet(WALLET, ("rules",), rules=rules))) == []
    assert alerts(ledger.run(debit(1))) == []


def test_a_sweep_finds_what_the_next_command_would() -> None:
    def history(*, swept: bool) -> Book:
        ledger = watched(grant(10, expire_time=after(hours=1)), grant(90), percents=(5,), balances=(95, 50))
        ledger.run(hold(60, ttl=timedelta(hours=2)))
        if swept:
            for hours in range(1, 5):
                ledger.run(SettleWallet(WALLET), after(hours=hours))
        ledger.run(grant(1), after(hours=9))
        return ledger

    swept, unswept = history(swept=True), history(swept=False)

    assert swept.wallet() == unswept.wallet()
    assert events_of(swept.log) == events_of(unswept.log)
