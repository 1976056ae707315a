"""Late usage: inside the grace a debit draws on lots that have expired since, and their expiry is taken back."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from ledger_service.application.reading.statement_texts import describe
from ledger_service.domain.commands import OpenWallet, UpdateWallet
from ledger_service.domain.events import CreditsDebited, CreditsExpired, Draw, WalletRules
from ledger_service.domain.invariants import broken_invariants
from ledger_service.domain.refusals import AsOfOverdrawn, GrantNotActive, InsufficientCredit
from ledger_service.domain.values import GrantCategory, ShortfallMode
from ledger_service.domain.wallet.state import Wallet
from tests.builders import (
    MICROSECOND,
    WALLET,
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
    release,
    revoke,
    settle,
)
from tests.unit.ledger.domain.wallet_log import balance_as_of

GRACE = timedelta(hours=2)
EXPIRY = after(hours=1)
OVER = EXPIRY + GRACE
BEFORE = EXPIRY - MICROSECOND


def graced(mode: ShortfallMode = ShortfallMode.HARD, *, order: str = "default/1") -> OpenWallet:
    """Return the opening of a wallet with the grace."""
    rules = WalletRules(late_usage_grace_seconds=int(GRACE.total_seconds()))
    return msgspec.structs.replace(open_wallet(mode=mode, order=order), rules=rules)


def grace_of(seconds: int) -> UpdateWallet:
    """Return the update to another grace."""
    return UpdateWallet(
        WALLET, ("rules.late_usage_grace",), rules=WalletRules(late_usage_grace_seconds=seconds)
    )


def lapsed(wallet: Wallet) -> dict[int, int]:
    """Return what late usage may draw, by grant."""
    return {lot.grant_version: lot.remaining_units for lot in wallet.lapsed_lots}


def check(ledger: Book) -> None:
    """Fail if an invariant does not hold."""
    assert list(broken_invariants(ledger.wallet(), ledger.log[-1].fact)) == []


def test_a_late_debit_draws_on_the_expired_lot_and_takes_its_expiry_back() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY))

    expired, debited = events_of(ledger.run(debit(4, effective_time=BEFORE), EXPIRY))

    assert expired == CreditsExpired(2, 10)
    assert debited == CreditsDebited(4, (Draw(2, 4),), "default/1", late_grants=(2,))
    assert (ledger.wallet().expired_units, ledger.wallet().drawn_units) == (6, 4)
    assert lapsed(ledger.wallet()) == {2: 6}
    check(ledger)


@pytest.mark.parametrize(
    ("effective_time", "recorded_time", "drawable"),
    [
        (BEFORE, EXPIRY, True),
        (EXPIRY, EXPIRY, False),
        (BEFORE, OVER - MICROSECOND, True),
        (BEFORE, OVER, False),
        (after(), OVER - MICROSECOND, True),
        (after(microseconds=-1), EXPIRY, False),
        (EXPIRY, OVER - MICROSECOND, False),
    ],
)
def test_the_usage_lies_in_the_lots_span_and_its_record_in_the_grace(
    effective_time: datetime, recorded_time: datetime, drawable: bool
) -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY))
    late = debit(10, effective_time=effective_time)

    if drawable:
        assert ledger.debit(late, recorded_time).late_grants == (2,)
    else:
        with pytest.raises(InsufficientCredit):
            ledger.run(late, recorded_time)


def test_no_more_than_the_lot_lost_is_drawn_late() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), debit(3))

    with pytest.raises(InsufficientCredit) as refused:
        ledger.run(debit(8, effective_time=BEFORE), EXPIRY)
    ledger.run(debit(7, effective_time=BEFORE), EXPIRY)

    assert refused.value.metadata["available_units"] == "7"
    assert ledger.wallet().expired_units == 0
    assert ledger.wallet().lapsed_lots == ()
    with pytest.raises(InsufficientCredit):
        ledger.run(debit(1, effective_time=BEFORE), EXPIRY)


def test_without_a_grace_nothing_is_kept_and_nothing_drawn_late() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=EXPIRY))

    with pytest.raises(InsufficientCredit):
        ledger.run(debit(1, effective_time=BEFORE), EXPIRY)
    ledger.run(settle(), EXPIRY)

    assert ledger.wallet().lapsed_lots == ()


def test_usage_of_now_does_not_draw_on_what_has_expired() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), grant(1))

    debited = ledger.debit(debit(1), EXPIRY)

    assert (debited.draws, debited.late_grants) == ((Draw(3, 1),), ())
    with pytest.raises(InsufficientCredit):
        ledger.run(hold(1), EXPIRY)


@pytest.mark.parametrize(
    ("order", "draws", "late"),
    [
        ("default/1", (Draw(3, 10), Draw(4, 2)), (3,)),
        ("fifo/1", (Draw(2, 10), Draw(3, 2)), (3,)),
    ],
)
def test_live_and_expired_lots_stand_in_one_burn_down_order(
    order: str, draws: tuple[Draw, ...], late: tuple[int, ...]
) -> None:
    ledger = book(
        graced(order=order),
        grant(10, priority=2),
        grant(10, priority=0, expire_time=EXPIRY),
        grant(10, priority=1),
    )

    debited = ledger.debit(debit(12, effective_time=BEFORE), EXPIRY)

    assert (debited.draws, debited.late_grants) == (draws, late)
    check(ledger)


def test_take_available_takes_what_may_be_drawn_late_too() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), grant(5))
    late = debit(100, effective_time=BEFORE, take_available=True)

    debited = ledger.debit(late, EXPIRY)

    assert (debited.amount_units, debited.late_grants) == (15, (2,))


def test_the_scope_of_an_expired_lot_holds_for_late_usage() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY, scope=("chat",)))

    with pytest.raises(InsufficientCredit):
        ledger.run(debit(1, effective_time=BEFORE), EXPIRY)
    assert ledger.debit(debit(1, effective_time=BEFORE, feature="chat"), EXPIRY).late_grants == (2,)


def test_what_no_lot_covers_late_is_overage() -> None:
    ledger = book(graced(ShortfallMode.SOFT), grant(10, expire_time=EXPIRY))

    debited = ledger.debit(debit(12, effective_time=BEFORE), EXPIRY)

    assert (debited.draws, debited.overage_units, debited.late_grants) == ((Draw(2, 10),), 2, (2,))
    check(ledger)


def test_a_late_debit_may_owe_the_rest_and_a_debt_is_never_repaid_from_an_expired_lot() -> None:
    ledger = book(graced(ShortfallMode.ADVANCE), grant(10, expire_time=EXPIRY))
    ledger.run(debit(3, effective_time=EXPIRY), EXPIRY)

    ledger.run(debit(12, effective_time=BEFORE), EXPIRY)

    assert [debt.amount_units for debt in ledger.wallet().debts] == [3, 2]
    assert ledger.wallet().expired_units == 0
    check(ledger)


def test_a_reversal_gives_units_back_to_the_expired_lot_where_they_expire_and_may_be_drawn_again() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY))
    ledger.run(debit(10, effective_time=BEFORE), EXPIRY)
    late = ledger.log[-1].version

    _, expired = events_of(ledger.reverse(late, 4, after(hours=2)))

    assert expired == CreditsExpired(2, 4)
    assert (ledger.wallet().expired_units, ledger.wallet().drawn_units) == (4, 6)
    assert ledger.debit(debit(4, effective_time=BEFORE), OVER - MICROSECOND).late_grants == (2,)
    ledger.reverse(late, 6, OVER)
    assert ledger.wallet().lapsed_lots == ()
    with pytest.raises(InsufficientCredit):
        ledger.run(debit(1, effective_time=BEFORE), OVER)
    check(ledger)


@pytest.mark.parametrize("ends", ["release", "timeout"])
def test_what_a_hold_returns_after_the_expiry_expires_and_joins_what_may_be_drawn_late(ends: str) -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), hold(6, ttl=timedelta(hours=2)))
    ledger.run(settle(), EXPIRY)
    before = lapsed(ledger.wallet())
    if ends == "release":
        ledger.run(release(3), after(hours=2, microseconds=-1))
    else:
        ledger.run(settle(), after(hours=2))

    assert (before, lapsed(ledger.wallet())) == ({2: 4}, {2: 10})
    assert ledger.debit(debit(10, effective_time=BEFORE), OVER - MICROSECOND).late_grants == (2,)
    check(ledger)


def test_what_returns_after_the_grace_is_not_drawable() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), hold(6, ttl=timedelta(hours=5)))

    ledger.run(release(3), OVER)

    assert ledger.wallet().lapsed_lots == ()
    check(ledger)


def test_the_excess_of_a_capture_is_usage_of_now() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), hold(4, ttl=timedelta(hours=2)))

    with pytest.raises(InsufficientCredit):
        ledger.run(capture(3, 5), EXPIRY)


def test_held_units_of_an_expired_lot_are_not_drawn_late() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), hold(4, ttl=timedelta(hours=2)))

    with pytest.raises(InsufficientCredit):
        ledger.run(debit(7, effective_time=BEFORE), EXPIRY)
    ledger.run(debit(6, effective_time=BEFORE), EXPIRY)

    assert [lot.held_units for lot in ledger.wallet().lots] == [4]
    check(ledger)


def test_what_rolled_over_lives_on_in_its_new_lot_and_is_not_drawn_late() -> None:
    terms = recurring("PT1H", count=1, percent="50")
    ledger = book(graced(), grant(10, category=GrantCategory.INCLUDED, recurrence=terms))

    debited = ledger.debit(debit(10, effective_time=BEFORE, take_available=True), EXPIRY)

    assert (debited.amount_units, debited.late_grants) == (5, (2,))
    assert [lot.remaining_units for lot in ledger.wallet().lots] == [5]
    check(ledger)


def test_what_a_hold_returns_rolls_over_as_if_the_late_usage_had_been_on_time() -> None:
    terms = recurring("PT1H", count=1, percent="50")
    ledger = book(
        graced(),
        grant(100, category=GrantCategory.INCLUDED, recurrence=terms),
        hold(50, ttl=timedelta(hours=2)),
    )
    ledger.run(debit(20, effective_time=BEFORE), EXPIRY)

    ledger.run(release(3), EXPIRY)

    # 80 were left at the boundary: 40 carry on.
    assert sum(lot.remaining_units for lot in ledger.wallet().lots) == 40
    assert ledger.wallet().expired_units == 40
    check(ledger)


def test_a_revoked_grant_is_not_drawn_late() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), hold(4, ttl=timedelta(hours=2)))

    ledger.run(revoke(2), EXPIRY)

    assert ledger.wallet().lapsed_lots == ()
    with pytest.raises(InsufficientCredit):
        ledger.run(debit(1, effective_time=BEFORE), EXPIRY)
    check(ledger)


@pytest.mark.parametrize("recorded_time", [EXPIRY, OVER - MICROSECOND, OVER])
@pytest.mark.parametrize("held_units", [0, 4])
def test_an_expired_grant_is_not_extended_inside_the_grace_either(
    recorded_time: datetime, held_units: int
) -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY))
    if held_units:
        ledger.run(hold(held_units, ttl=timedelta(hours=5)))

    with pytest.raises(GrantNotActive):
        ledger.run(extend(2), recorded_time)


def test_the_grace_runs_from_the_extended_expiry() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), extend(2, OVER))

    assert ledger.debit(debit(1, effective_time=EXPIRY), OVER).late_grants == (2,)
    ledger.reverse(ledger.log[-1].version, 1, OVER + GRACE - MICROSECOND)
    assert ledger.debit(debit(10, effective_time=EXPIRY), OVER + GRACE - MICROSECOND).late_grants == (2,)


@pytest.mark.parametrize(("seconds", "kept"), [(0, {}), (1800, {}), (1801, {2: 10}), (7200, {2: 10})])
def test_a_shorter_grace_holds_from_its_update_on(seconds: int, kept: dict[int, int]) -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY))

    ledger.run(grace_of(seconds), EXPIRY + timedelta(seconds=1800))

    assert lapsed(ledger.wallet()) == kept


def test_a_longer_grace_revives_nothing() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), grant(10, expire_time=OVER))
    ledger.run(grace_of(100_000), OVER)

    assert lapsed(ledger.wallet()) == {3: 10}
    assert ledger.debit(debit(1, effective_time=BEFORE), OVER + 2 * GRACE).draws == (Draw(3, 1),)


def test_a_grace_that_ended_under_the_shorter_rule_has_ended() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY))
    ledger.run(grace_of(60), EXPIRY)
    ledger.run(grace_of(7200), EXPIRY + timedelta(seconds=60))

    assert ledger.wallet().lapsed_lots == ()


def test_an_update_of_another_rule_leaves_what_may_be_drawn_late() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY))

    ledger.run(UpdateWallet(WALLET, ("rules.budgets",)), EXPIRY)

    assert lapsed(ledger.wallet()) == {2: 10}


def test_what_is_kept_is_bounded_by_the_grace() -> None:
    terms = recurring("PT1H")
    ledger = book(graced(), grant(10, category=GrantCategory.INCLUDED, recurrence=terms))

    ledger.run(settle(), after(days=10))

    # Expiries of the last instant and one hour before it; two hours before it the grace is over.
    assert list(lapsed(ledger.wallet()).values()) == [10, 10]
    assert ledger.wallet().expired_units == 2400


def test_backdated_grants_that_expired_long_ago_are_not_kept() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY))
    ledger.run(settle(), EXPIRY)
    long_ago = after(days=-9)
    for _ in range(3):
        ledger.run(grant(5, effective_time=long_ago, expire_time=after(days=-8)), EXPIRY)

    ledger.run(settle(), EXPIRY)

    assert lapsed(ledger.wallet()) == {2: 10}
    assert ledger.wallet().expired_units == 25


async def test_on_the_effective_clock_late_usage_counts_when_its_lot_was_alive() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY))
    ledger.run(debit(4, effective_time=after(minutes=30)), after(hours=2))

    before = await balance_as_of(ledger, effective_until=after(minutes=30) - MICROSECOND)
    alive = await balance_as_of(ledger, effective_until=after(minutes=30))
    last = await balance_as_of(ledger, effective_until=BEFORE)
    ended = await balance_as_of(ledger, effective_until=EXPIRY)

    assert [
        (each.posted_units, each.debited_units, each.expired_units) for each in (before, alive, last)
    ] == [
        (10, 0, 0),
        (6, 4, 0),
        (6, 4, 0),
    ]
    assert (ended.posted_units, ended.debited_units, ended.expired_units) == (0, 4, 6)


async def test_on_the_record_clock_the_lot_had_expired_until_the_late_debit_came() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY))
    ledger.run(settle(), EXPIRY)
    ledger.run(debit(4, effective_time=BEFORE), after(hours=2))
    ledger.reverse(ledger.log[-1].version, 1, after(hours=3))

    seen = [
        await balance_as_of(ledger, effective_until=until, recorded_until=until)
        for until in (EXPIRY, after(hours=2) - MICROSECOND, after(hours=2), after(hours=3))
    ]
    assert [(each.debited_units, each.expired_units) for each in seen] == [(0, 10), (0, 10), (4, 6), (3, 7)]


async def test_late_usage_of_what_was_held_at_the_instant_cannot_be_shown_as_of_it() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), hold(10, ttl=timedelta(hours=2)))
    ledger.run(debit(4, effective_time=BEFORE), after(hours=2))

    with pytest.raises(AsOfOverdrawn):
        await balance_as_of(ledger, effective_until=BEFORE)
    assert (await balance_as_of(ledger, effective_until=after(hours=2))).expired_units == 6


def test_the_statement_says_that_usage_came_late_and_its_changes_tie_to_what_is_posted() -> None:
    ledger = book(graced(), grant(10, expire_time=EXPIRY), grant(5), grant(5, expire_time=EXPIRY))
    ledger.run(debit(17, effective_time=BEFORE, feature="chat"), EXPIRY)
    texts = [describe(each.fact.event) for each in ledger.log]

    assert texts[-1].description == "Debit for chat, late, from expired grants 2, 4"
    assert texts[-1].change_units == -2
    assert sum(text.change_units for text in texts) == sum(
        lot.remaining_units for lot in ledger.wallet().lots
    )
    one = describe(CreditsDebited(4, (Draw(2, 4),), "default/1", late_grants=(2,)))
    assert (one.change_units, one.description) == (0, "Debit, late, from expired grant 2")
