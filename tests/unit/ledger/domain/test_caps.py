"""Spend caps and budgets: what they let through, to the unit and to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ledger_service.domain.commands import Debit, OverHold, UpdateWallet
from ledger_service.domain.events import Budget, CreditsDebited, DebitReversed, SpendCap, WalletRules
from ledger_service.domain.invariants import broken_invariants
from ledger_service.domain.refusals import (
    BudgetExceeded,
    CaptureExceedsHold,
    InsufficientCredit,
    SpendCapExceeded,
)
from ledger_service.domain.values import ShortfallMode
from ledger_service.domain.wallet.room import CapUse, cap_uses
from ledger_service.domain.wallet.settle import settled
from tests.builders import (
    MICROSECOND,
    NOW,
    WALLET,
    Book,
    after,
    book,
    capture,
    charge,
    debit,
    grant,
    hold,
    open_wallet,
    release,
    settle,
)

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
MONTH_END = datetime(2026, 4, 1, tzinfo=UTC)
CAP = SpendCap(10, "P1M", ANCHOR)
OF_KEY = Budget("bots", 10, ANCHOR, api_key="key-7", period="P1M")
OF_USER = Budget("ann", 10, ANCHOR, user="ann")
OF_FEATURE = Budget("chat", 10, ANCHOR, feature="chat", period="P1M")


def capped(
    *budgets: Budget,
    cap: SpendCap | None = None,
    granted_units: int = 1_000,
    mode: ShortfallMode = ShortfallMode.HARD,
) -> Book:
    """Return a book with a wallet that has credit and caps."""
    rules = WalletRules(spend_cap=cap, budgets=budgets)
    ledger = book(open_wallet(rules=rules, mode=mode))
    if granted_units:
        ledger.run(grant(granted_units))
    return ledger


def change(ledger: Book, *budgets: Budget, cap: SpendCap | None = None, now: datetime = NOW) -> None:
    """Give the wallet other caps."""
    rules = WalletRules(spend_cap=cap, budgets=budgets)
    ledger.run(UpdateWallet(WALLET, ("rules.budgets", "rules.spend_cap"), rules=rules), now)


def uses(ledger: Book, now: datetime = NOW) -> list[CapUse]:
    """Return how the caps stand."""
    return cap_uses(settled(ledger.wallet(), now), now)


def used(ledger: Book, now: datetime = NOW) -> list[int]:
    """Return what was used of each cap."""
    return [use.used_units for use in uses(ledger, now)]


def refused(ledger: Book, command: Debit, now: datetime = NOW) -> SpendCapExceeded | BudgetExceeded:
    """Return the refusal of a debit by a cap, which records nothing."""
    before = ledger.wallet()
    with pytest.raises((SpendCapExceeded, BudgetExceeded)) as refusal:
        ledger.run(command, now)
    assert ledger.wallet() is before
    assert isinstance(refusal.value, SpendCapExceeded | BudgetExceeded)
    return refusal.value


@pytest.mark.parametrize(
    ("rules", "asked", "budget"),
    [
        pytest.param(WalletRules(spend_cap=CAP), debit(), "", id="spend cap"),
        pytest.param(WalletRules(budgets=(OF_KEY,)), debit(api_key="key-7"), "bots", id="key"),
        pytest.param(WalletRules(budgets=(OF_USER,)), debit(user="ann"), "ann", id="user"),
        pytest.param(WalletRules(budgets=(OF_FEATURE,)), debit(feature="chat"), "chat", id="feature"),
    ],
)
@pytest.mark.parametrize("first", [0, 4])
def test_a_cap_lets_through_what_it_has_room_for_and_not_one_unit_more(
    rules: WalletRules, asked: Debit, budget: str, first: int
) -> None:
    for amount, passes in ((10 - first - 1, True), (10 - first, True), (10 - first + 1, False)):
        ledger = capped(*rules.budgets, cap=rules.spend_cap)
        if first:
            ledger.run(msgspec.structs.replace(asked, amount_units=first))
        command = msgspec.structs.replace(asked, amount_units=amount)

        if passes:
            ledger.run(command)
            assert used(ledger) == [first + amount]
        else:
            refusal = refused(ledger, command)
            assert type(refusal) is (BudgetExceeded if budget else SpendCapExceeded)
            assert refusal.metadata.get("budget_id", "") == budget
            assert used(ledger) == [first]


def test_the_refusal_says_what_was_used_and_when_the_period_ends() -> None:
    ledger = capped(OF_KEY)
    ledger.run(debit(3, api_key="key-7"))
    ledger.run(hold(2, api_key="key-7"))

    refusal = refused(ledger, debit(6, api_key="key-7"))

    assert refusal.field == "amount_units"
    assert refusal.metadata == {
        "amount_units": "6",
        "used_units": "3",
        "held_units": "2",
        "limit_units": "10",
        "budget_id": "bots",
        "period_end_time": "2026-04-01T00:00:00+00:00",
    }


def test_a_budget_without_period_never_becomes_whole_again_and_names_no_end() -> None:
    ledger = capped(OF_USER)
    ledger.run(debit(10, user="ann"))

    refusal = refused(ledger, debit(1, user="ann"), after(days=36_500))

    assert "period_end_time" not in refusal.metadata
    assert uses(ledger)[0].period_end_time is None


def test_all_caps_must_have_room_and_the_first_without_refuses_the_whole_debit() -> None:
    ledger = capped(
        msgspec.structs.replace(OF_KEY, amount_units=8),
        msgspec.structs.replace(OF_USER, amount_units=7),
        msgspec.structs.replace(OF_FEATURE, amount_units=6),
        cap=msgspec.structs.replace(CAP, amount_units=9),
    )
    asked = debit(api_key="key-7", user="ann", feature="chat")

    for amount, who in ((10, ""), (9, "bots"), (8, "ann"), (7, "chat")):
        refusal = refused(ledger, msgspec.structs.replace(asked, amount_units=amount))
        assert refusal.metadata.get("budget_id", "") == who
    ledger.run(msgspec.structs.replace(asked, amount_units=6))

    assert used(ledger) == [6, 6, 6, 6]


def test_a_budget_counts_only_whom_it_selects() -> None:
    ledger = capped(OF_KEY, OF_USER, OF_FEATURE)

    ledger.run(debit(11))
    ledger.run(debit(11, api_key="key-8", user="bob", feature="code"))
    ledger.run(debit(11, api_key="ann", user="key-7"))

    assert used(ledger) == [0, 0, 0]


def test_a_cap_of_nothing_stops_all_spending() -> None:
    ledger = capped(cap=SpendCap(0, "P1D", ANCHOR))

    refused(ledger, debit(1))
    with pytest.raises(SpendCapExceeded):
        ledger.run(hold(1))


def test_a_charge_of_no_whole_unit_needs_no_room() -> None:
    ledger = capped(cap=SpendCap(0, "P1D", ANCHOR))

    ledger.run(debit(charge=charge("0.6")))
    refused(ledger, debit(charge=charge("0.4")))

    assert str(ledger.wallet().carried_fraction) == "0.6"


def test_take_available_takes_the_least_room() -> None:
    ledger = capped(OF_KEY, cap=msgspec.structs.replace(CAP, amount_units=6))

    first = ledger.debit(debit(9, api_key="key-7", take_available=True))
    refusal = refused(ledger, debit(9, api_key="key-7", take_available=True))

    assert (first.amount_units, first.requested_units) == (6, 9)
    assert refusal.reason == "SPEND_CAP_EXCEEDED"


def test_take_available_takes_the_credit_where_that_is_less_than_the_room() -> None:
    ledger = capped(OF_KEY, granted_units=4)

    assert ledger.debit(debit(9, api_key="key-7", take_available=True)).amount_units == 4
    with pytest.raises(InsufficientCredit):
        ledger.run(debit(9, api_key="key-7", take_available=True))


def test_what_was_delivered_is_recorded_and_counted_above_the_cap() -> None:
    ledger = capped(OF_KEY, cap=CAP)

    ledger.run(debit(25, api_key="key-7", delivered=True))

    assert used(ledger) == [25, 25]
    assert [use.remaining_units for use in uses(ledger)] == [0, 0]
    refused(ledger, debit(1))
    refused(ledger, debit(1, take_available=True))


@pytest.mark.parametrize("mode", [ShortfallMode.SOFT, ShortfallMode.ADVANCE])
def test_overage_and_debt_count(mode: ShortfallMode) -> None:
    ledger = capped(cap=CAP, granted_units=3, mode=mode)

    ledger.run(debit(9))
    ledger.run(grant(100))
    refused(ledger, debit(2))
    ledger.run(debit(1))

    # The repayment of the debt is no further spending.
    assert used(ledger) == [10]


# Periods


def test_a_period_ends_at_its_very_instant() -> None:
    ledger = capped(cap=CAP)
    ledger.run(debit(10))

    refused(ledger, debit(1), MONTH_END - MICROSECOND)
    ledger.run(debit(10), MONTH_END)
    refused(ledger, debit(1), MONTH_END)

    assert used(ledger, MONTH_END) == [10]


@pytest.mark.parametrize(
    ("anchor", "end"),
    [
        # The clocks of Berlin go forward on 29 March and back on 25 October 2026.
        (datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)),
        (datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)),
    ],
)
def test_a_month_ends_at_midnight_of_its_zone_though_the_clocks_change(
    anchor: datetime, end: datetime
) -> None:
    ledger = capped(cap=SpendCap(10, "P1M", anchor, zone="Europe/Berlin"))
    ledger.run(debit(10))

    assert uses(ledger)[0].period_end_time == end
    refused(ledger, debit(1), end - MICROSECOND)
    ledger.run(debit(1), end)


def test_a_backdated_debit_counts_in_the_period_in_which_it_is_recorded() -> None:
    ledger = capped(cap=CAP)
    ledger.run(grant(100, effective_time=NOW - timedelta(days=90)))
    ledger.run(debit(10))

    refused(ledger, debit(1, effective_time=NOW - timedelta(days=60)))
    ledger.run(debit(4, effective_time=NOW), MONTH_END)

    assert used(ledger, MONTH_END) == [4]


def test_what_is_shown_at_an_instant_is_of_the_period_that_holds_it() -> None:
    ledger = capped(cap=CAP)
    ledger.run(debit(7))

    assert used(ledger, MONTH_END - MICROSECOND) == [7]
    assert used(ledger, MONTH_END) == [0]
    assert uses(ledger, MONTH_END)[0].period_end_time == datetime(2026, 5, 1, tzinfo=UTC)


# Holds


def test_what_is_held_counts_as_spent_until_it_is_given_back() -> None:
    ledger = capped(cap=CAP)
    ledger.run(debit(3))
    version = ledger.place(hold(7))

    refused(ledger, debit(1))
    with pytest.raises(SpendCapExceeded):
        ledger.run(hold(1))
    ledger.run(release(version))
    ledger.run(debit(7))

    assert used(ledger) == [10]


def test_a_hold_that_times_out_gives_its_room_back_at_that_instant_swept_or_not() -> None:
    for swept in (False, True):
        ledger = capped(cap=CAP)
        ledger.run(hold(10, ttl=timedelta(minutes=5)))
        refused(ledger, debit(1), after(minutes=5) - MICROSECOND)
        if swept:
            ledger.run(settle(), after(minutes=5))

        ledger.run(debit(10), after(minutes=5))

        assert used(ledger, after(minutes=5)) == [10]


def test_a_capture_turns_what_was_held_into_what_was_used() -> None:
    ledger = capped(OF_KEY)
    version = ledger.place(hold(8, api_key="key-7", user="ann"))

    first = ledger.answer(capture(version, 3, final=False)).event
    assert [(use.used_units, use.held_units) for use in uses(ledger)] == [(3, 5)]
    ledger.run(capture(version, 4))

    assert [(use.used_units, use.held_units) for use in uses(ledger)] == [(7, 0)]
    assert (getattr(first, "api_key", ""), getattr(first, "user", "")) == ("key-7", "ann")


@pytest.mark.parametrize(("amount", "passes"), [(9, True), (10, True), (11, False)])
def test_only_what_exceeds_the_hold_needs_room(amount: int, passes: bool) -> None:
    ledger = capped(cap=CAP)
    version = ledger.place(hold(6))

    if passes:
        ledger.run(capture(version, amount))
        assert used(ledger) == [amount]
    else:
        with pytest.raises(SpendCapExceeded) as refusal:
            ledger.run(capture(version, amount))
        assert refusal.value.metadata["amount_units"] == "5"
        assert [(use.used_units, use.held_units) for use in uses(ledger)] == [(0, 6)]


def test_a_capture_within_its_hold_is_never_refused_by_a_cap() -> None:
    ledger = capped(cap=CAP)
    version = ledger.place(hold(10))
    change(ledger, OF_FEATURE, cap=msgspec.structs.replace(CAP, amount_units=0))

    ledger.run(capture(version, 10))

    assert used(ledger) == [10, 0]


def test_a_capture_counts_in_its_own_period() -> None:
    ledger = capped(cap=CAP)
    placed = MONTH_END - timedelta(hours=1)
    ledger.run(debit(4), placed)
    version = ledger.place(hold(6, ttl=timedelta(hours=2)), placed)

    refused(ledger, debit(5), MONTH_END)
    ledger.run(debit(4), MONTH_END)
    ledger.run(capture(version, 6), MONTH_END)

    assert used(ledger, MONTH_END) == [10]


def test_a_rejected_excess_is_refused_by_the_hold_and_not_by_the_cap() -> None:
    ledger = capped(cap=CAP)
    version = ledger.place(hold(10))

    with pytest.raises(CaptureExceedsHold):
        ledger.run(capture(version, 11, over_hold=OverHold.REJECT))


# Reversals


@pytest.mark.parametrize(
    ("reversed_at", "expected"),
    [(NOW, [4, 4]), (MONTH_END - MICROSECOND, [4, 4]), (MONTH_END, [0, 4])],
)
def test_a_reversal_gives_room_back_in_the_period_of_its_debit_alone(
    reversed_at: datetime, expected: list[int]
) -> None:
    ledger = capped(OF_USER, cap=CAP)
    version = ledger.run(debit(10, user="ann"))[0].version

    ledger.reverse(version, 6, now=reversed_at)

    assert used(ledger, reversed_at) == expected


def test_a_debit_of_the_period_before_gives_no_room_to_the_present_one() -> None:
    ledger = capped(cap=CAP)
    version = ledger.run(debit(10), MONTH_END - MICROSECOND)[0].version
    ledger.run(debit(10), MONTH_END)

    ledger.reverse(version, now=MONTH_END)

    refused(ledger, debit(1), MONTH_END)


def test_a_reversed_capture_gives_room_back_to_the_budget_of_its_hold() -> None:
    ledger = capped(OF_KEY)
    version = ledger.place(hold(10, api_key="key-7", feature="chat"))
    captured = ledger.run(capture(version, 8))[0].version

    (reversal,) = ledger.reverse(captured, 5)

    assert used(ledger) == [3]
    assert isinstance(reversal.fact.event, DebitReversed)
    assert (reversal.fact.event.api_key, reversal.fact.event.feature) == ("key-7", "chat")


def test_a_backdated_debit_gives_its_room_back_by_record_time() -> None:
    ledger = capped(cap=CAP)
    ledger.run(grant(100, effective_time=NOW - timedelta(days=90)))
    version = ledger.run(debit(10, effective_time=NOW - timedelta(days=60)))[0].version

    ledger.reverse(version)

    assert used(ledger) == [0]


def test_a_debit_from_before_the_budget_gives_it_no_room() -> None:
    ledger = capped(cap=CAP)
    version = ledger.run(debit(5, user="ann"))[0].version
    change(ledger, OF_USER, cap=CAP)
    ledger.run(debit(4, user="ann"))

    ledger.reverse(version)

    assert used(ledger) == [4, 4]


def test_a_reversal_in_a_wallet_without_caps_stores_nothing_more() -> None:
    ledger = capped()
    version = ledger.run(debit(5, user="ann"))[0].version

    (reversal,) = ledger.reverse(version)

    assert reversal.fact.event == DebitReversed(version, 5, getattr(reversal.fact.event, "returned", ()))


# Rules


def test_a_new_cap_counts_from_its_making() -> None:
    ledger = capped()
    ledger.run(debit(500, user="ann"))
    version = ledger.place(hold(4, user="ann"))

    change(ledger, OF_USER, cap=CAP)

    assert [(use.used_units, use.held_units) for use in uses(ledger)] == [(0, 4), (0, 4)]
    ledger.run(release(version))
    ledger.run(debit(10, user="ann"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"amount_units": 3}, 7),
        ({"amount_units": 30}, 7),
        ({"period": "P1D"}, 0),
        ({"period": ""}, 0),
        ({"zone": "Asia/Tokyo"}, 0),
        ({"anchor_time": ANCHOR + MICROSECOND}, 0),
        ({"api_key": "key-8"}, 0),
        ({"api_key": "", "user": "key-7"}, 0),
        ({"budget": "others"}, 0),
    ],
)
def test_another_amount_keeps_what_was_used_and_anything_else_begins_anew(
    changes: dict[str, object], expected: int
) -> None:
    ledger = capped(OF_KEY)
    ledger.run(debit(7, api_key="key-7"))

    change(ledger, msgspec.structs.replace(OF_KEY, **changes))

    assert used(ledger) == [expected]


def test_a_cap_that_is_taken_away_is_forgotten() -> None:
    ledger = capped(OF_KEY, OF_USER, cap=CAP)
    ledger.run(debit(10, api_key="key-7", user="ann"))

    change(ledger, OF_KEY)
    assert [use.terms.budget for use in uses(ledger)] == ["bots"]
    change(ledger)
    assert ledger.wallet().caps is None
    change(ledger, OF_KEY, OF_USER, cap=CAP)

    assert used(ledger) == [0, 0, 0]


def test_an_update_of_other_rules_keeps_what_was_used() -> None:
    ledger = capped(OF_KEY, cap=CAP)
    ledger.run(debit(7, api_key="key-7"))

    ledger.run(UpdateWallet(WALLET, ("rules.late_usage_grace",), rules=WalletRules(60)))

    assert used(ledger) == [7, 7]


def test_a_wallet_without_caps_keeps_nothing_about_them() -> None:
    ledger = capped()

    event = ledger.debit(debit(5, api_key="key-7", user="ann"))

    assert ledger.wallet().caps is None
    assert uses(ledger) == []
    assert event == CreditsDebited(5, event.draws, "default/1", api_key="key-7", user="ann")


def test_a_count_that_is_not_what_was_spent_is_found() -> None:
    ledger = capped(OF_KEY)
    ledger.run(debit(7, api_key="key-7"))
    wallet = ledger.wallet()
    assert wallet.caps is not None
    broken = msgspec.structs.replace(wallet.caps.api_keys["key-7"], used_units=-1)
    caps = msgspec.structs.replace(wallet.caps, api_keys={"key-7": broken})

    found = list(broken_invariants(msgspec.structs.replace(wallet, caps=caps), ledger.log[-1].fact))

    assert [name for name, _ in found] == ["CAPS"]
