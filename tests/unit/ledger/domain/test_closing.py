"""Closing: when a wallet may be closed, and what a closed one still records."""

from __future__ import annotations

import pytest

from ledger_service.domain.commands import AnyCommand, CloseWallet, UpdateWallet
from ledger_service.domain.events import (
    CreditsDebited,
    CreditsExpired,
    DebitReversed,
    GrantRevoked,
    HoldReleased,
    WalletClosed,
)
from ledger_service.domain.invariants import is_conserved
from ledger_service.domain.refusals import WalletInUse, WalletIsClosed, WalletNotEmpty
from ledger_service.domain.values import ShortfallMode
from ledger_service.domain.wallet.state import posted_units
from tests.builders import (
    CONTRACT,
    MICROSECOND,
    NOW,
    WALLET,
    after,
    agreed,
    book,
    create_rate_card,
    debit,
    events_of,
    extend,
    grant,
    hold,
    open_wallet,
    plan_phase,
    publish_phase,
    publish_plan,
    recurring,
    release,
    revoke,
    sign_contract,
)

CLOSE = CloseWallet(WALLET)
FORFEIT = CloseWallet(WALLET, forfeit=True)


def test_an_empty_wallet_is_closed_and_says_when() -> None:
    ledger = book(open_wallet())

    recorded = events_of(ledger.run(CLOSE, after(hours=1)))

    assert recorded == [WalletClosed()]
    assert ledger.wallet().close_time == after(hours=1)


def test_one_unit_keeps_a_wallet_open_and_none_does_not() -> None:
    ledger = book(open_wallet(), grant(10), debit(9))

    with pytest.raises(WalletNotEmpty) as refused:
        ledger.run(CLOSE)
    assert refused.value.metadata == {"posted_units": "1"}

    ledger.run(debit(1))
    assert events_of(ledger.run(CLOSE)) == [WalletClosed()]


def test_credit_that_becomes_effective_later_keeps_a_wallet_open() -> None:
    ledger = book(open_wallet(), grant(10, effective_time=after(days=1)))

    with pytest.raises(WalletNotEmpty):
        ledger.run(CLOSE)


@pytest.mark.parametrize(("late", "is_closed"), [(-MICROSECOND, False), (0 * MICROSECOND, True)])
def test_credit_counts_until_it_expires(late: object, is_closed: bool) -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1)))
    now = after(days=1) + late  # type: ignore[operator]

    if not is_closed:
        with pytest.raises(WalletNotEmpty):
            ledger.run(CLOSE, now)
        return
    assert events_of(ledger.run(CLOSE, now)) == [CreditsExpired(2, 10), WalletClosed()]


def test_forfeiting_revokes_the_rest_of_every_grant_in_the_same_commit() -> None:
    ledger = book(open_wallet(), grant(10), grant(20), debit(4))

    recorded = events_of(ledger.run(FORFEIT))

    assert recorded == [
        GrantRevoked(2, 6, "forfeited"),
        GrantRevoked(3, 20, "forfeited"),
        WalletClosed(forfeit=True, forfeited_units=26),
    ]
    assert posted_units(ledger.wallet()) == 0
    assert is_conserved(ledger.wallet())


def test_a_recurring_grant_that_is_used_up_still_comes_again_unless_it_is_forfeited() -> None:
    ledger = book(open_wallet(), grant(10, recurrence=recurring("P1M")), debit(10))

    with pytest.raises(WalletNotEmpty):
        ledger.run(CLOSE)

    assert events_of(ledger.run(FORFEIT)) == [GrantRevoked(2, 0, "forfeited"), WalletClosed(forfeit=True)]
    assert ledger.wallet().next_due_time is None


@pytest.mark.parametrize(("late", "is_closed"), [(-MICROSECOND, False), (0 * MICROSECOND, True)])
def test_a_hold_keeps_a_wallet_in_use_until_it_times_out(late: object, is_closed: bool) -> None:
    ledger = book(open_wallet(), grant(10), hold(10))
    now = after(minutes=10) + late  # type: ignore[operator]

    if not is_closed:
        with pytest.raises(WalletInUse) as refused:
            ledger.run(FORFEIT, now)
        assert refused.value.metadata == {"holds": "1"}
        return
    assert [type(event) for event in events_of(ledger.run(FORFEIT, now))] == [
        HoldReleased,
        GrantRevoked,
        WalletClosed,
    ]


def test_one_unit_of_debt_keeps_a_wallet_in_use() -> None:
    ledger = book(open_wallet(mode=ShortfallMode.ADVANCE), debit(1))

    with pytest.raises(WalletInUse) as refused:
        ledger.run(FORFEIT)

    assert refused.value.metadata == {"debt_units": "1"}


@pytest.mark.parametrize("start", [after(), after(days=40)])
def test_a_contract_phase_in_force_or_ahead_keeps_a_wallet_in_use(start: object) -> None:
    ledger = agreed(plan_phase(duration="P1M"))
    ledger.run(sign_contract(start_time=start))  # type: ignore[arg-type]

    with pytest.raises(WalletInUse) as refused:
        ledger.run(CLOSE)

    assert refused.value.metadata == {"contract": CONTRACT}


def test_a_contract_keeps_a_wallet_in_use_up_to_its_last_instant() -> None:
    ledger = agreed(plan_phase(duration="P1M"))
    ledger.run(sign_contract())
    end = NOW.replace(month=NOW.month + 1)

    with pytest.raises(WalletInUse):
        ledger.run(CLOSE, end - MICROSECOND)
    assert events_of(ledger.run(CLOSE, end)) == [WalletClosed()]


@pytest.mark.parametrize(
    "command",
    [
        grant(1),
        debit(1),
        debit(1, take_available=True),
        hold(1),
        extend(2),
        UpdateWallet(WALLET, ("overage_limit_units",), overage_limit_units=1),
        CLOSE,
        FORFEIT,
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_closed_wallet_refuses_what_adds_or_uses_credit(command: AnyCommand) -> None:
    ledger = book(open_wallet(mode=ShortfallMode.SOFT), CLOSE)

    with pytest.raises(WalletIsClosed):
        ledger.run(command, after(hours=1))


def test_a_closed_wallet_is_bound_to_no_contract() -> None:
    ledger = book(open_wallet(), create_rate_card(), publish_phase(), publish_plan(), CLOSE)

    with pytest.raises(WalletIsClosed):
        ledger.run(sign_contract())


@pytest.mark.parametrize("mode", list(ShortfallMode))
def test_usage_that_was_delivered_is_overage_of_a_closed_wallet(mode: ShortfallMode) -> None:
    ledger = book(open_wallet(mode=mode), CLOSE)

    event = ledger.debit(debit(7, delivered=True))

    assert (event.overage_units, event.debt_units, event.draws) == (7, 0, ())


def test_what_a_reversal_returns_to_a_closed_wallet_is_revoked_at_once() -> None:
    ledger = book(open_wallet(), grant(10), debit(10), CLOSE)

    recorded = events_of(ledger.reverse(3, 4))

    assert [type(event) for event in recorded] == [DebitReversed, GrantRevoked]
    assert recorded[-1] == GrantRevoked(2, 4)
    assert posted_units(ledger.wallet()) == 0
    assert is_conserved(ledger.wallet())


def test_overage_of_a_closed_wallet_may_be_reversed() -> None:
    ledger = book(open_wallet(), CLOSE)
    ledger.run(debit(7, delivered=True))

    recorded = events_of(ledger.reverse(3))

    assert [type(event) for event in recorded] == [DebitReversed]
    assert ledger.wallet().overage_units == 0


def test_revoking_leaves_nothing_to_forfeit() -> None:
    ledger = book(open_wallet(), grant(10), hold(3))
    ledger.run(release(3))
    ledger.run(revoke(2))

    assert events_of(ledger.run(CLOSE)) == [WalletClosed()]
    assert not [each for each in ledger.log if isinstance(each.fact.event, CreditsDebited)]
