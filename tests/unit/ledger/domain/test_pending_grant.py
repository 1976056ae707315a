"""Grants that wait for a payment: nothing is issued before it came, and time ends the waiting."""

import pytest

from ledger_service.domain.commands import ActivateGrant, AnyCommand
from ledger_service.domain.events import (
    CreditsDebited,
    CreditsExpired,
    Draw,
    GrantActivated,
    GrantRefunded,
    GrantRevoked,
)
from ledger_service.domain.invariants import is_conserved
from ledger_service.domain.refusals import (
    AmountOutOfRange,
    FieldNotAllowed,
    GrantNotActive,
    GrantNotPending,
    InsufficientCredit,
    PendingGrantsFull,
)
from ledger_service.domain.values import UNITS_MAX, GrantCategory, Money, ShortfallMode
from ledger_service.domain.wallet.payments import PENDING_GRANTS_MAX
from ledger_service.domain.wallet.state import posted_units
from tests.builders import (
    MICROSECOND,
    NOW,
    WALLET,
    after,
    book,
    debit,
    events_of,
    extend,
    grant,
    open_wallet,
    recurring,
    refund,
    revoke,
    settle,
)

ACTIVATE = ActivateGrant(WALLET, 2)


def test_a_pending_grant_is_recorded_and_cannot_be_used() -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=700, pending=True))

    assert posted_units(ledger.wallet()) == ledger.wallet().granted_units == 0
    with pytest.raises(InsufficientCredit) as refused:
        ledger.run(debit(1))
    assert refused.value.metadata["available_units"] == "0"


def test_an_activated_grant_is_one_like_any_other() -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=700, pending=True))
    ledger.run(ACTIVATE, after(hours=1))

    assert ledger.wallet().granted_units == posted_units(ledger.wallet()) == 10
    assert ledger.wallet().payments.pending_grants == ()
    assert ledger.debit(debit(4), after(hours=1)).draws == (Draw(2, 4),)
    assert events_of(ledger.run(refund(2), after(hours=2))) == [GrantRefunded(2, 6, Money("EUR", 420))]
    assert is_conserved(ledger.wallet())


@pytest.mark.parametrize(("hours", "lot_hours"), [(1, 2), (2, 2), (3, 3)])
def test_the_lot_begins_at_the_later_of_activation_and_effective_time(hours: int, lot_hours: int) -> None:
    ledger = book(open_wallet(), grant(10, effective_time=after(hours=2), pending=True))

    event = ledger.answer(ACTIVATE, after(hours=hours)).event

    assert isinstance(event, GrantActivated)
    assert event.lot.effective_time == after(hours=lot_hours)


def test_a_pending_grant_lapses_at_its_very_expiry_with_no_units() -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=5, expire_time=after(days=1), pending=True))

    assert ledger.run(settle(), after(days=1) - MICROSECOND) == []
    lapsed = ledger.run(settle(), after(days=3))

    assert events_of(lapsed) == [CreditsExpired(2, 0, pending=True)]
    assert lapsed[0].fact.effective_time == after(days=1)
    assert ledger.wallet().expired_units == 0


def test_activation_succeeds_one_microsecond_before_the_expiry_and_is_refused_at_it() -> None:
    pending = grant(10, expire_time=after(days=1), pending=True)

    book(open_wallet(), pending).run(ACTIVATE, after(days=1) - MICROSECOND)
    with pytest.raises(GrantNotPending) as refused:
        book(open_wallet(), pending).run(ACTIVATE, after(days=1))
    assert refused.value.field == "name"


@pytest.mark.parametrize(
    "commands",
    [[], [grant(10)], [grant(10, pending=True), ACTIVATE], [grant(10, pending=True), revoke(2)]],
    ids=["never", "issued", "activated", "withdrawn"],
)
def test_what_waits_for_no_payment_is_not_activated(commands: list[AnyCommand]) -> None:
    ledger = book(open_wallet(), *commands)

    with pytest.raises(GrantNotPending):
        ledger.run(ACTIVATE)


def test_revoking_withdraws_a_pending_grant_and_no_units() -> None:
    ledger = book(open_wallet(), grant(10, pending=True))

    assert events_of(ledger.run(revoke(2, reason="no payment"))) == [
        GrantRevoked(2, 0, "no payment", pending=True)
    ]
    assert ledger.wallet().revoked_units == 0
    assert ledger.wallet().payments.pending_grants == ()


@pytest.mark.parametrize("command", [refund(2), extend(2, after(days=9))])
def test_a_pending_grant_is_neither_refunded_nor_extended(command: AnyCommand) -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=5, expire_time=after(days=1), pending=True))

    with pytest.raises(GrantNotActive):
        ledger.run(command)


def test_activation_repays_debts_and_the_pending_grant_did_not() -> None:
    ledger = book(open_wallet(mode=ShortfallMode.ADVANCE), debit(4), grant(10, pending=True))
    assert ledger.wallet().debts[0].amount_units == 4

    ledger.run(ActivateGrant(WALLET, 3), after(hours=1))

    assert ledger.wallet().debts == ()
    assert posted_units(ledger.wallet()) == 6


@pytest.mark.parametrize(
    "command",
    [
        grant(10, recurrence=recurring("P1M"), pending=True),
        grant(10, category=GrantCategory.INCLUDED, pending=True),
        grant(10, category=GrantCategory.PROMOTIONAL, purchase_version=2, pending=True),
    ],
    ids=["recurring", "included", "bonus"],
)
def test_what_is_no_purchase_of_its_own_waits_for_no_payment(command: AnyCommand) -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=5))

    with pytest.raises(FieldNotAllowed) as refused:
        ledger.run(command)
    assert refused.value.field == "grant.pending"


def test_a_wallet_has_at_most_so_many_pending_grants() -> None:
    ledger = book(open_wallet(), *[grant(1, pending=True)] * PENDING_GRANTS_MAX)

    with pytest.raises(PendingGrantsFull):
        ledger.run(grant(1, pending=True))
    ledger.run(grant(1))
    ledger.run(ACTIVATE)
    ledger.run(grant(1, pending=True))


def test_what_would_exceed_all_units_is_refused_when_it_would_be_issued() -> None:
    ledger = book(open_wallet(), grant(2, pending=True), grant(UNITS_MAX - 2))
    ledger.run(ACTIVATE)

    ledger = book(open_wallet(), grant(2, pending=True), grant(UNITS_MAX - 1))
    with pytest.raises(AmountOutOfRange):
        ledger.run(ACTIVATE)


def test_a_debit_that_is_older_than_the_activation_does_not_draw_on_the_grant() -> None:
    ledger = book(open_wallet(mode=ShortfallMode.SOFT), grant(10, effective_time=NOW, pending=True))
    ledger.run(ACTIVATE, after(hours=2))

    late = ledger.debit(debit(3, effective_time=after(hours=2) - MICROSECOND), after(hours=3))
    at = ledger.debit(debit(3, effective_time=after(hours=2)), after(hours=3))

    assert isinstance(late, CreditsDebited)
    assert (late.overage_units, at.overage_units) == (3, 0)
