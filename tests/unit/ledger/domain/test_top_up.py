"""Top-ups: requested at a price of their own, settled once, granted on success."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from ledger_service.domain.commands import RequestTopUp, SettleTopUp
from ledger_service.domain.events import CreditsGranted, DebtRepaid, TopUpOutcome, TopUpSettled
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    FieldMalformed,
    FieldNotAllowed,
    FieldTooLong,
    NumberOutOfRange,
    Refusal,
    TimesOutOfOrder,
    TopUpNotOpen,
    TopUpsFull,
)
from ledger_service.domain.values import UNITS_MAX, GrantCategory, Money, ShortfallMode
from ledger_service.domain.wallet.payments import OPEN_TOP_UPS_MAX
from ledger_service.domain.wallet.state import posted_units
from tests.builders import MICROSECOND, NOW, WALLET, Book, after, book, debit, events_of, grant, open_wallet

PRICE = Money("EUR", 900)
SUCCEEDED, FAILED, CANCELLED = TopUpOutcome.SUCCEEDED, TopUpOutcome.FAILED, TopUpOutcome.CANCELLED


def ask(amount_units: int = 10, **changes: Any) -> RequestTopUp:
    """Return a request of a top-up."""
    return RequestTopUp(WALLET, amount_units, **({"price": PRICE} | changes))


def pay(top_up_version: int = 2, outcome: TopUpOutcome = SUCCEEDED) -> SettleTopUp:
    """Return a settlement."""
    return SettleTopUp(WALLET, top_up_version, outcome, payment_reference="pay-1")


def granted(ledger: Book) -> CreditsGranted:
    """Return the newest grant."""
    events = [each.fact.event for each in ledger.log]
    return next(event for event in reversed(events) if isinstance(event, CreditsGranted))


def test_a_request_issues_nothing_and_a_success_grants_in_the_same_commit() -> None:
    ledger = book(open_wallet(), ask(scope=("chat",), priority=3, reference="order-1"))
    assert posted_units(ledger.wallet()) == 0

    recorded = events_of(ledger.run(pay(), after(hours=1)))

    assert recorded == [
        TopUpSettled(2, SUCCEEDED, payment_reference="pay-1"),
        CreditsGranted(
            10,
            GrantCategory.PAID,
            priority=3,
            scope=("chat",),
            consideration=PRICE,
            reference="order-1",
            top_up_version=2,
        ),
    ]
    assert ledger.wallet().payments.open_top_ups == ()
    assert ledger.wallet().granted_units == 10


@pytest.mark.parametrize("outcome", [FAILED, CANCELLED])
def test_another_outcome_closes_the_top_up_and_grants_nothing(outcome: TopUpOutcome) -> None:
    ledger = book(open_wallet(), ask())

    assert events_of(ledger.run(pay(outcome=outcome))) == [TopUpSettled(2, outcome, "pay-1")]
    assert ledger.wallet().payments.open_top_ups == ()
    assert ledger.wallet().granted_units == 0


@pytest.mark.parametrize("version", [1, 2, 3])
def test_only_an_open_top_up_is_settled(version: int) -> None:
    ledger = book(open_wallet(), ask(), pay())

    with pytest.raises(TopUpNotOpen):
        ledger.run(pay(version))


def test_a_success_repays_debts_as_any_grant() -> None:
    ledger = book(open_wallet(mode=ShortfallMode.ADVANCE), debit(4), ask())

    recorded = events_of(ledger.run(pay(3)))

    assert isinstance(recorded[-1], DebtRepaid)
    assert posted_units(ledger.wallet()) == 6


def test_a_period_counts_from_the_settlement() -> None:
    ledger = book(open_wallet(), ask(valid_for="P1M"))
    ledger.run(pay(), after(days=40))

    assert granted(ledger).expire_time == (NOW + timedelta(days=40)).replace(month=5)


@pytest.mark.parametrize(
    ("settled", "expires"),
    [
        (after(days=2) - MICROSECOND, after(days=2)),
        (after(days=2), after(days=4)),
        (after(days=9), after(days=11)),
    ],
    ids=["in time", "just missed", "late"],
)
def test_an_expiry_that_the_payment_missed_moves_on_by_the_span_asked_for(
    settled: datetime, expires: datetime
) -> None:
    ledger = book(open_wallet(), ask(expire_time=after(days=2)))
    ledger.run(pay(), settled)

    assert granted(ledger).expire_time == expires


def test_a_period_beyond_the_calendar_never_ends() -> None:
    ledger = book(open_wallet(), ask(valid_for="P9999Y"))
    ledger.run(pay())

    assert granted(ledger).expire_time is None


@pytest.mark.parametrize(
    ("command", "kind", "field"),
    [
        (ask(0), AmountNotPositive, "top_up.amount_units"),
        (ask(UNITS_MAX + 1), AmountOutOfRange, "top_up.amount_units"),
        (ask(price=Money("EUR", -1)), AmountOutOfRange, "top_up.price.nanos"),
        (ask(price=Money("eur", 1)), FieldMalformed, "top_up.price.currency_code"),
        (ask(valid_for="30 days"), FieldMalformed, "top_up.valid_for"),
        (ask(valid_for="P1D", expire_time=after(days=1)), FieldNotAllowed, "top_up.expire_time"),
        (ask(expire_time=NOW), TimesOutOfOrder, "top_up.expire_time"),
        (ask(priority=-1), NumberOutOfRange, "top_up.priority"),
        (ask(scope=("a", "a")), FieldMalformed, "top_up.scope"),
        (ask(reference="x" * 201), FieldTooLong, "top_up.reference"),
    ],
)
def test_a_malformed_request_is_refused(command: RequestTopUp, kind: type[Refusal], field: str) -> None:
    with pytest.raises(kind) as refused:
        book(open_wallet(), command)
    assert refused.value.field == field


def test_a_success_has_no_failure_reason() -> None:
    with pytest.raises(FieldNotAllowed):
        book(open_wallet(), ask(), SettleTopUp(WALLET, 2, SUCCEEDED, failure_reason="none"))


def test_at_most_so_many_top_ups_are_open() -> None:
    ledger = book(open_wallet(), *[ask()] * OPEN_TOP_UPS_MAX)

    with pytest.raises(TopUpsFull):
        ledger.run(ask())
    ledger.run(pay(outcome=CANCELLED))
    ledger.run(ask())


def test_credit_that_no_longer_fits_is_not_granted_and_the_top_up_stays_open() -> None:
    ledger = book(open_wallet(), ask(10), grant(UNITS_MAX - 9))

    with pytest.raises(AmountOutOfRange):
        ledger.run(pay())
    ledger.run(pay(outcome=CANCELLED))
    with pytest.raises(AmountOutOfRange):
        ledger.run(ask(10))
    ledger.run(ask(9))
