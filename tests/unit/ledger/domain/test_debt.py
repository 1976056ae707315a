"""Debts: what ADVANCE owes, and which credit pays it back when."""

from datetime import timedelta

import pytest

from ledger_service.domain.events import CreditsDebited, DebtRepaid, Draw, Repayment
from ledger_service.domain.refusals import FieldNotAllowed, InsufficientCredit, OverageLimitExceeded
from ledger_service.domain.values import ShortfallMode
from ledger_service.domain.wallet.state import debt_units, posted_units
from tests.builders import (
    NOW,
    Book,
    after,
    book,
    charge,
    debit,
    events_of,
    extend,
    grant,
    hold,
    open_wallet,
    recurring,
    release,
    settle,
)

HOUR = timedelta(hours=1)
HARD, SOFT, ADVANCE = ShortfallMode.HARD, ShortfallMode.SOFT, ShortfallMode.ADVANCE


def owing(*units: int, feature: str = "", limit: int = 0) -> Book:
    """Return an ADVANCE wallet without credit that owes for debits of so many units."""
    opening = open_wallet(mode=ADVANCE, overage_limit_units=limit)
    return book(opening, *(debit(each, feature=feature) for each in units))


def repaid(ledger: Book) -> list[tuple[int, int]]:
    """Return debit and units of every repayment so far, in order."""
    return [
        (part.debit_version, part.amount_units)
        for each in ledger.log
        if isinstance(each.fact.event, DebtRepaid)
        for part in each.fact.event.repayments
    ]


def test_an_advance_wallet_draws_what_there_is_and_owes_the_rest() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(10))

    event = ledger.debit(debit(16))

    assert (event.draws, event.debt_units, event.overage_units) == ((Draw(2, 10),), 6, 0)
    assert debt_units(ledger.wallet()) == 6
    assert ledger.wallet().overage_units == 0


def test_nothing_is_owed_while_drawable_credit_in_scope_covers_it() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(10, scope=("chat",)))

    assert ledger.debit(debit(10, feature="chat")).debt_units == 0
    assert ledger.debit(debit(1, feature="chat")).debt_units == 1


def test_a_later_grant_repays_first_and_its_rest_is_credit() -> None:
    ledger = owing(6)

    granted, repayment = ledger.run(grant(10), NOW + HOUR)

    assert repayment.fact.event == DebtRepaid(granted.version, 6, (Repayment(2, 6),))
    assert repayment.fact.effective_time == NOW + HOUR
    assert posted_units(ledger.wallet()) == 4
    assert ledger.wallet().drawn_units == 6


def test_debts_are_repaid_oldest_first() -> None:
    ledger = owing(3, 4, 5)

    ledger.run(grant(8))

    assert repaid(ledger) == [(2, 3), (3, 4), (4, 1)]
    assert [debt.amount_units for debt in ledger.wallet().debts] == [4]


def test_credit_repays_debts_in_its_scope_only() -> None:
    ledger = owing(3, feature="code")

    ledger.run(grant(10, scope=("chat",)))
    assert repaid(ledger) == []
    ledger.run(grant(10, scope=("chat", "code")))
    assert repaid(ledger) == [(2, 3)]


def test_a_debt_without_a_feature_is_repaid_by_open_credit_only() -> None:
    ledger = owing(3)

    ledger.run(grant(10, scope=("chat",)))

    assert repaid(ledger) == []


@pytest.mark.parametrize("microseconds", [-1, 0, 1])
def test_a_grant_that_becomes_effective_later_repays_at_that_instant(microseconds: int) -> None:
    ledger = owing(6)
    ledger.run(grant(10, effective_time=NOW + HOUR))
    now = after(hours=1, microseconds=microseconds)

    recorded = ledger.run(settle(), now)

    assert [each.fact.effective_time for each in recorded] == ([] if microseconds < 0 else [NOW + HOUR])
    assert debt_units(ledger.wallet()) == (6 if microseconds < 0 else 0)


def test_credit_repays_before_it_expires() -> None:
    ledger = owing(6)
    ledger.run(grant(10, effective_time=NOW + HOUR, expire_time=NOW + 2 * HOUR))

    ledger.run(settle(), after(days=1))

    assert repaid(ledger) == [(2, 6)]
    assert ledger.wallet().expired_units == 4


@pytest.mark.parametrize(("microseconds", "pays"), [(-1, False), (0, False), (1, True)])
def test_credit_that_had_expired_before_the_debit_does_not_repay_it(microseconds: int, pays: bool) -> None:
    ledger = owing(6)

    ledger.run(grant(10, effective_time=NOW - HOUR, expire_time=after(microseconds=microseconds)))

    assert repaid(ledger) == ([(2, 6)] if pays else [])


def test_a_recurring_grant_repays_when_it_comes() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(10, recurrence=recurring("PT1H")), debit(14))

    events = events_of(ledger.run(settle(), NOW + HOUR))

    assert isinstance(events[-1], DebtRepaid)
    assert posted_units(ledger.wallet()) == 6


def test_late_usage_is_repaid_by_credit_that_became_effective_after_it() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(10, effective_time=NOW - HOUR))

    debited, repayment = ledger.run(debit(3, effective_time=NOW - 2 * HOUR))

    assert isinstance(debited.fact.event, CreditsDebited)
    assert debited.fact.event.debt_units == 3
    assert repayment.fact.effective_time == NOW - HOUR


def test_credit_that_a_hold_gives_back_repays_at_that_instant() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(10))
    version = ledger.place(hold(10, ttl=2 * HOUR))
    ledger.run(debit(4))

    recorded = ledger.run(release(version), NOW + HOUR)[-1]

    assert isinstance(recorded.fact.event, DebtRepaid)
    assert recorded.fact.effective_time == NOW + HOUR


def test_credit_that_a_timeout_gives_back_repays_at_the_timeout() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(10), hold(10, ttl=HOUR), debit(4))

    recorded = ledger.run(settle(), after(days=1))[-1]

    assert isinstance(recorded.fact.event, DebtRepaid)
    assert recorded.fact.effective_time == NOW + HOUR


def test_an_extension_lets_credit_repay_a_debt_that_lay_beyond_its_expiry() -> None:
    ledger = book(open_wallet(mode=ADVANCE), grant(10, expire_time=after(minutes=3)))
    ledger.run(debit(4, effective_time=after(minutes=4)))

    ledger.run(extend(2, NOW + HOUR))
    ledger.run(settle(), after(minutes=5))

    assert repaid(ledger) == [(3, 4)]


@pytest.mark.parametrize("earlier", [0, 4])
def test_the_overage_limit_bounds_what_is_owed(earlier: int) -> None:
    ledger = owing(*([earlier] if earlier else []), limit=10)

    with pytest.raises(OverageLimitExceeded) as refused:
        ledger.run(debit(11 - earlier))

    assert refused.value.metadata == {"overage_units": "11", "overage_limit_units": "10"}
    assert ledger.debit(debit(10 - earlier)).debt_units == 10 - earlier


def test_what_was_repaid_may_be_owed_again() -> None:
    ledger = owing(10, limit=10)
    ledger.run(grant(7))

    with pytest.raises(OverageLimitExceeded):
        ledger.run(debit(8))
    assert ledger.debit(debit(7)).debt_units == 7


def test_delivered_service_is_owed_beyond_the_limit() -> None:
    assert owing(limit=10).debit(debit(11, delivered=True)).debt_units == 11


# Taking what there is


@pytest.mark.parametrize("mode", [HARD, SOFT, ADVANCE])
@pytest.mark.parametrize(("asked", "taken"), [(9, 9), (10, 10), (11, 10)])
def test_a_debit_may_take_what_there_is(mode: ShortfallMode, asked: int, taken: int) -> None:
    ledger = book(open_wallet(mode=mode), grant(10), grant(5, scope=("chat",)))

    event = ledger.debit(debit(asked, take_available=True))

    assert event.amount_units == taken
    assert event.requested_units == (asked if asked > taken else 0)
    assert (event.overage_units, event.debt_units) == (0, 0)


def test_taking_what_there_is_of_nothing_is_refused() -> None:
    for mode in ShortfallMode:
        with pytest.raises(InsufficientCredit) as refused:
            book(open_wallet(mode=mode), debit(1, take_available=True))
        assert refused.value.metadata == {"available_units": "0"}


def test_a_charge_is_taken_whole_or_not_at_all() -> None:
    with pytest.raises(FieldNotAllowed) as refused:
        book(open_wallet(), grant(10), debit(charge=charge("5"), take_available=True))

    assert refused.value.field == "take_available"
