"""Debits: which lots pay, and what happens to the part that none covers."""

import pytest

from ledger_service.domain.events import CreditsDebited, Draw
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    InsufficientCredit,
    OverageLimitExceeded,
    TimeInFuture,
    WalletNotFound,
)
from ledger_service.domain.values import UNITS_MAX, ShortfallMode
from ledger_service.domain.wallet.burn_down import DEFAULT_ORDER
from ledger_service.domain.wallet.state import posted_units
from tests.builders import Book, after, book, debit, grant, open_wallet

SOFT = ShortfallMode.SOFT


def test_a_hard_wallet_gives_exactly_what_is_available() -> None:
    ledger = book(open_wallet(), grant(10), grant(5))

    event = ledger.debit(debit(15))

    assert event == CreditsDebited(15, (Draw(2, 10), Draw(3, 5)), DEFAULT_ORDER)
    assert ledger.wallet().lots == ()
    assert ledger.wallet().drawn_units == 15


def test_a_hard_wallet_refuses_the_whole_debit_at_one_unit_more_than_is_available() -> None:
    ledger = book(open_wallet(), grant(10), grant(5))
    before = ledger.wallet()

    with pytest.raises(InsufficientCredit) as refused:
        ledger.run(debit(16))

    assert refused.value.metadata == {"available_units": "15", "amount_units": "16"}
    assert refused.value.field == "amount_units"
    assert ledger.wallet() == before


def test_credit_out_of_scope_is_not_available() -> None:
    ledger = book(open_wallet(), grant(10, scope=("chat",)), grant(1))

    with pytest.raises(InsufficientCredit) as refused:
        ledger.run(debit(2, feature="code"))

    assert refused.value.metadata["available_units"] == "1"
    assert ledger.debit(debit(11, feature="chat")).draws == (Draw(2, 10), Draw(3, 1))


def test_a_debit_without_a_feature_draws_on_open_lots_only() -> None:
    ledger = book(open_wallet(), grant(10, scope=("chat",)), grant(10))

    assert ledger.debit(debit(3)).draws == (Draw(3, 3),)


def test_a_soft_wallet_records_the_rest_as_overage() -> None:
    ledger = book(open_wallet(mode=SOFT), grant(10))

    event = ledger.debit(debit(16))

    assert event == CreditsDebited(16, (Draw(2, 10),), DEFAULT_ORDER, overage_units=6)
    assert ledger.wallet().overage_units == 6
    assert ledger.wallet().drawn_units == 10


def test_a_later_grant_does_not_pay_overage_back() -> None:
    ledger = book(open_wallet(mode=SOFT), debit(6), grant(10))

    assert posted_units(ledger.wallet()) == 10
    assert ledger.wallet().overage_units == 6


@pytest.mark.parametrize("amount_units", [1, 14, 15])
def test_overage_may_reach_its_limit(amount_units: int) -> None:
    ledger = book(open_wallet(mode=SOFT, overage_limit_units=20), debit(5), grant(10))

    ledger.run(debit(10 + amount_units))

    assert ledger.wallet().overage_units == 5 + amount_units


def test_a_debit_that_brings_overage_one_unit_above_its_limit_is_refused_whole() -> None:
    ledger = book(open_wallet(mode=SOFT, overage_limit_units=20), debit(5), grant(10))
    before = ledger.wallet()

    with pytest.raises(OverageLimitExceeded) as refused:
        ledger.run(debit(26))

    assert refused.value.metadata == {"overage_units": "21", "overage_limit_units": "20"}
    assert ledger.wallet() == before


def test_an_overage_limit_of_zero_is_no_limit() -> None:
    ledger = book(open_wallet(mode=SOFT), debit(UNITS_MAX))

    assert ledger.wallet().overage_units == UNITS_MAX


@pytest.mark.parametrize(("mode", "overage_limit_units"), [(ShortfallMode.HARD, 0), (SOFT, 0), (SOFT, 1)])
def test_delivered_service_is_recorded_in_every_mode(mode: ShortfallMode, overage_limit_units: int) -> None:
    ledger = book(open_wallet(mode=mode, overage_limit_units=overage_limit_units), grant(10))

    event = ledger.debit(debit(25, delivered=True))

    assert event == CreditsDebited(25, (Draw(2, 10),), DEFAULT_ORDER, overage_units=15, delivered=True)


def test_overage_beyond_the_range_is_refused_even_for_delivered_service() -> None:
    ledger = book(open_wallet(mode=SOFT), debit(UNITS_MAX - 1))

    with pytest.raises(AmountOutOfRange):
        ledger.run(debit(2, delivered=True))
    assert ledger.debit(debit(1, delivered=True)).overage_units == 1


@pytest.mark.parametrize("amount_units", [0, -1])
def test_an_amount_that_is_not_positive_is_refused(amount_units: int) -> None:
    with pytest.raises(AmountNotPositive) as refused:
        book(open_wallet(), debit(amount_units))

    assert refused.value.field == "amount_units"


def test_an_amount_of_one_is_taken() -> None:
    assert book(open_wallet(), grant(1)).debit(debit(1)).amount_units == 1


def test_an_amount_may_be_as_large_as_int64_and_no_larger() -> None:
    ledger = book(open_wallet(), grant(UNITS_MAX))

    with pytest.raises(AmountOutOfRange) as refused:
        ledger.run(debit(UNITS_MAX + 1))
    assert refused.value.field == "amount_units"
    assert ledger.debit(debit(UNITS_MAX)).draws == (Draw(2, UNITS_MAX),)


def test_a_debit_may_lie_five_minutes_ahead_of_the_server() -> None:
    ledger = book(open_wallet(), grant(1))

    recorded = ledger.answer(debit(1, effective_time=after(minutes=5)))

    assert recorded.effective_time == after(minutes=5)


def test_a_debit_one_microsecond_further_ahead_is_refused() -> None:
    with pytest.raises(TimeInFuture) as refused:
        book(open_wallet(), grant(1), debit(1, effective_time=after(minutes=5, microseconds=1)))

    assert refused.value.field == "effective_time"


def test_a_debit_without_an_effective_time_counts_now() -> None:
    assert book(open_wallet(), grant(1)).answer(debit(1)).effective_time == after()


def test_a_debit_may_count_for_a_time_before_the_wallet() -> None:
    ledger = book(open_wallet(), grant(5, effective_time=after(days=-30)))

    assert ledger.debit(debit(5, effective_time=after(days=-20))).draws == (Draw(2, 5),)


@pytest.mark.parametrize(("microseconds", "available_units"), [(-1, 0), (0, 9), (1, 9)])
def test_credit_counts_from_its_effective_time_on(microseconds: int, available_units: int) -> None:
    ledger = book(open_wallet(mode=SOFT), grant(9, effective_time=after(minutes=1)))

    event = ledger.debit(debit(10, effective_time=after(minutes=1, microseconds=microseconds)))

    assert event.amount_units - event.overage_units == available_units


@pytest.mark.parametrize(("microseconds", "available_units"), [(-1, 9), (0, 0), (1, 0)])
def test_credit_counts_until_just_before_its_expiry(microseconds: int, available_units: int) -> None:
    ledger = book(open_wallet(mode=SOFT), grant(9, expire_time=after(minutes=1)))

    event = ledger.debit(debit(10, effective_time=after(minutes=1, microseconds=microseconds)))

    assert event.amount_units - event.overage_units == available_units


def test_late_usage_does_not_draw_on_credit_that_has_expired_meanwhile() -> None:
    ledger = book(open_wallet(mode=SOFT), grant(9, expire_time=after(minutes=1)))

    event = ledger.debit(debit(1, effective_time=after()), now=after(minutes=1))

    assert event.draws == ()
    assert ledger.wallet().expired_units == 9


def test_late_usage_draws_up_to_the_last_microsecond_of_the_lot() -> None:
    ledger = book(open_wallet(), grant(9, expire_time=after(minutes=1)))

    event = ledger.debit(debit(1, effective_time=after()), now=after(seconds=59, microseconds=999_999))

    assert event.draws == (Draw(2, 1),)


def test_a_debit_of_no_wallet_is_refused() -> None:
    with pytest.raises(WalletNotFound) as refused:
        Book().run(debit(1))

    assert refused.value.field == "name"
