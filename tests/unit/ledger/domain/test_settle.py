"""Settling: what time does to lots is recorded at exact instants, before anything is decided."""

import pytest

from ledger_service.domain.commands import SettleWallet
from ledger_service.domain.events import CreditsDebited, CreditsExpired, CreditsGranted
from ledger_service.domain.refusals import InsufficientCredit, WalletNotFound
from ledger_service.domain.values import GrantCategory
from ledger_service.domain.wallet.settle import settled
from tests.builders import WALLET, Book, after, book, debit, events_of, grant, open_wallet

SETTLE = SettleWallet(WALLET)


def test_an_expiry_is_recorded_at_its_exact_instant_however_late_it_is_noticed() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1, microseconds=7)))

    (recorded,) = ledger.run(SETTLE, after(days=30))

    assert recorded.fact.event == CreditsExpired(grant_version=2, amount_units=10)
    assert recorded.fact.effective_time == after(days=1, microseconds=7)
    assert recorded.fact.record_time == after(days=30)


def test_nothing_is_due_one_microsecond_before_the_expiry() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1)))

    assert ledger.run(SETTLE, after(days=1, microseconds=-1)) == []
    assert events_of(ledger.run(SETTLE, after(days=1))) == [CreditsExpired(2, 10)]


def test_several_lots_expire_in_time_order_and_at_one_instant_in_burn_down_order() -> None:
    ledger = book(
        open_wallet(),
        grant(1, priority=0, expire_time=after(days=3)),
        grant(2, priority=1, expire_time=after(days=1)),
        grant(3, priority=2, expire_time=after(days=2)),
        grant(4, priority=0, expire_time=after(days=2)),
        grant(5, priority=0, expire_time=after(days=2), category=GrantCategory.PROMOTIONAL),
        grant(6),
    )

    expired = ledger.run(SETTLE, after(days=2))

    assert events_of(expired) == [
        CreditsExpired(3, 2),
        CreditsExpired(6, 5),
        CreditsExpired(5, 4),
        CreditsExpired(4, 3),
    ]
    assert ledger.wallet().expired_units == 14
    assert ledger.wallet().next_due_time == after(days=3)


def test_a_second_settling_finds_nothing_to_do() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1)))
    ledger.run(SETTLE, after(days=2))

    assert ledger.run(SETTLE, after(days=2)) == []


def test_only_what_is_left_of_a_lot_expires() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1)), debit(4))

    assert events_of(ledger.run(SETTLE, after(days=1))) == [CreditsExpired(2, 6)]


def test_a_used_up_lot_does_not_expire() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1)), debit(10))

    assert ledger.run(SETTLE, after(days=2)) == []
    assert ledger.wallet().next_due_time is None


def test_a_debit_records_the_expiries_that_fell_due_before_itself() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1)), grant(5))

    expired, debited = events_of(ledger.run(debit(5), after(days=2)))

    assert expired == CreditsExpired(2, 10)
    assert isinstance(debited, CreditsDebited)


def test_a_grant_records_the_expiries_that_fell_due_before_itself() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1)))

    expired, granted = events_of(ledger.run(grant(5), after(days=2)))

    assert expired == CreditsExpired(2, 10)
    assert isinstance(granted, CreditsGranted)


def test_a_refused_debit_records_no_expiry() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1)))

    with pytest.raises(InsufficientCredit):
        ledger.run(debit(1), after(days=2))

    assert len(ledger.log) == 2


def test_credit_that_had_expired_when_it_was_granted_is_recorded_and_settled_as_expired() -> None:
    ledger = book(open_wallet())

    granted = ledger.run(grant(10, effective_time=after(days=-3), expire_time=after(days=-2)))
    with pytest.raises(InsufficientCredit):
        ledger.run(debit(1, effective_time=after(days=-3)))
    (expired,) = ledger.run(SETTLE)

    assert len(granted) == 1
    assert expired.fact.event == CreditsExpired(2, 10)
    assert expired.fact.effective_time == after(days=-2)


@pytest.mark.parametrize("days", [0, 1, 2, 3, 4])
def test_looking_at_a_settled_wallet_equals_recording_it(days: int) -> None:
    ledger = book(
        open_wallet(),
        grant(1, expire_time=after(days=1)),
        grant(2, expire_time=after(days=3)),
        grant(3, expire_time=after(days=3)),
        grant(4),
    )
    looked_at = settled(ledger.wallet(), after(days=days))

    ledger.run(SETTLE, after(days=days))

    assert looked_at == ledger.wallet()


def test_no_wallet_cannot_be_settled() -> None:
    with pytest.raises(WalletNotFound):
        Book().run(SETTLE)
