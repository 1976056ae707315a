"""Revoking, refunding and extending: what may still be withdrawn of a grant, and when."""

from datetime import timedelta

import pytest

from ledger_service.domain.commands import AnyCommand, RevokeGrant
from ledger_service.domain.events import CreditsExpired, CreditsGranted, Draw, GrantRefunded, GrantRevoked
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    ExtensionNotLater,
    FieldNotAllowed,
    FieldTooLong,
    GrantNotActive,
    GrantNotRefundable,
    InsufficientCredit,
    RefundExceedsGrant,
)
from ledger_service.domain.values import GrantCategory, Money, ShortfallMode
from ledger_service.domain.wallet.state import posted_units
from tests.builders import (
    MICROSECOND,
    NOW,
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
    refund,
    release,
    revoke,
    settle,
)

HOUR = timedelta(hours=1)
PROMOTIONAL = GrantCategory.PROMOTIONAL


def refunds(ledger: Book) -> list[int]:
    """Return the nanos of every refund so far."""
    return [each.fact.event.refund.nanos for each in ledger.log if isinstance(each.fact.event, GrantRefunded)]


def clawbacks(ledger: Book) -> list[tuple[int, int]]:
    """Return grant and units of every clawback so far."""
    return [
        (each.fact.event.grant_version, each.fact.event.amount_units)
        for each in ledger.log
        if isinstance(each.fact.event, GrantRevoked) and each.fact.event.clawback
    ]


# Revoking


def test_revoking_withdraws_the_unheld_rest() -> None:
    ledger = book(open_wallet(), grant(10), debit(3), hold(2))

    assert events_of(ledger.run(revoke(2, reason="fraud"))) == [GrantRevoked(2, 5, "fraud")]
    assert ledger.wallet().revoked_units == 5
    with pytest.raises(InsufficientCredit):
        ledger.run(debit(1))


@pytest.mark.parametrize(
    "commands", [[], [grant(10), debit(10)], [grant(10), revoke(2)]], ids=["never", "drained", "revoked"]
)
def test_a_grant_with_nothing_left_cannot_be_revoked(commands: list[AnyCommand]) -> None:
    ledger = book(open_wallet(), *commands)

    with pytest.raises(GrantNotActive) as refused:
        ledger.run(revoke(2))
    assert refused.value.field == "name"


def test_a_grant_that_is_wholly_held_may_be_revoked() -> None:
    ledger = book(open_wallet(), grant(10), hold(10))

    assert events_of(ledger.run(revoke(2))) == [GrantRevoked(2, 0)]
    with pytest.raises(GrantNotActive):
        ledger.run(revoke(2))


@pytest.mark.parametrize("microseconds", [-1, 0])
def test_at_the_instant_of_its_expiry_a_grant_has_expired_before_it_is_revoked(microseconds: int) -> None:
    ledger = book(open_wallet(), grant(10, expire_time=NOW + HOUR))
    now = after(hours=1, microseconds=microseconds)

    if microseconds < 0:
        assert events_of(ledger.run(revoke(2), now)) == [GrantRevoked(2, 10)]
        return
    with pytest.raises(GrantNotActive):
        ledger.run(revoke(2), now)
    assert events_of(ledger.run(settle(), now)) == [CreditsExpired(2, 10)]


def test_credit_that_becomes_effective_later_may_be_revoked() -> None:
    ledger = book(open_wallet(), grant(10, effective_time=after(days=1)))

    assert events_of(ledger.run(revoke(2))) == [GrantRevoked(2, 10)]


@pytest.mark.parametrize("later_period", [False, True])
def test_a_revoked_recurring_grant_does_not_come_again(later_period: bool) -> None:
    ledger = book(open_wallet(), grant(10, recurrence=recurring("PT1H")))
    now = NOW + 2 * HOUR if later_period else NOW
    ledger.run(settle(), now)
    version = ledger.wallet().lots[0].grant_version

    ledger.run(revoke(version), now)

    assert ledger.run(settle(), after(days=9)) == []


def test_a_series_is_stopped_by_the_name_of_its_first_grant_even_when_that_is_used_up() -> None:
    ledger = book(open_wallet(), grant(10, recurrence=recurring("PT1H")), debit(10))

    assert events_of(ledger.run(revoke(2))) == [GrantRevoked(2, 0)]
    assert ledger.run(settle(), after(days=9)) == []


def test_what_comes_back_to_a_grant_that_goes_on_stays_in_it() -> None:
    ledger = book(open_wallet(), grant(10), debit(3), hold(2))

    assert events_of(ledger.run(revoke(2, goes_on=True))) == [GrantRevoked(2, 5, partial=True, rest=True)]
    ledger.run(release(4))
    assert posted_units(ledger.wallet()) == 2
    ledger.reverse(3)
    assert posted_units(ledger.wallet()) == 5
    ledger.run(debit(5))


def test_of_a_grant_that_is_wholly_held_nothing_is_withdrawn_and_it_goes_on() -> None:
    ledger = book(open_wallet(), grant(10), hold(10))

    for _ in range(2):
        assert events_of(ledger.run(revoke(2, goes_on=True))) == [GrantRevoked(2, 0, partial=True, rest=True)]
    ledger.run(release(3))

    ledger.run(debit(10))


@pytest.mark.parametrize(
    "commands", [[grant(10), debit(10)], [grant(10), revoke(2)]], ids=["drained", "revoked"]
)
def test_a_grant_with_nothing_left_cannot_go_on_without_its_rest(commands: list[AnyCommand]) -> None:
    with pytest.raises(GrantNotActive):
        book(open_wallet(), *commands).run(revoke(2, goes_on=True))


def test_a_part_and_the_rest_are_not_asked_for_together() -> None:
    with pytest.raises(FieldNotAllowed) as refused:
        book(open_wallet(), grant(10)).run(RevokeGrant(WALLET, 2, "", 4, goes_on=True))

    assert refused.value.field == "goes_on"


def test_a_reason_is_at_most_as_long_as_any_text() -> None:
    with pytest.raises(FieldTooLong):
        book(open_wallet(), grant(1), revoke(2, reason="x" * 10_000))


# Refunding


@pytest.mark.parametrize("paid_nanos", [0, 1, 2, 7, 19, 100_000_000_000])
def test_refunds_add_up_to_the_floor_of_the_cost_of_what_was_refunded(paid_nanos: int) -> None:
    ledger = book(open_wallet(), grant(7, paid_nanos=paid_nanos))

    for count in range(1, 8):
        ledger.run(refund(2, 1))
        assert sum(refunds(ledger)) == paid_nanos * count // 7
    assert sum(refunds(ledger)) == paid_nanos


def test_a_refund_withdraws_the_units_that_it_pays_back() -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=100), debit(3))

    assert events_of(ledger.run(refund(2, 4))) == [GrantRefunded(2, 4, Money("EUR", 40))]
    assert ledger.wallet().lots[0].remaining_units == 3


def test_a_refund_of_all_pays_back_what_is_neither_used_nor_held() -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=100), debit(3), hold(2))

    assert events_of(ledger.run(refund(2))) == [GrantRefunded(2, 5, Money("EUR", 50))]


def test_one_unit_more_than_the_unheld_rest_cannot_be_refunded() -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=100), debit(3), hold(2))

    with pytest.raises(RefundExceedsGrant) as refused:
        ledger.run(refund(2, 6))

    assert refused.value.metadata == {"remaining_units": "5"}
    assert ledger.run(refund(2, 5))


def test_held_units_cannot_be_refunded_until_they_are_released() -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=100))
    version = ledger.place(hold(10))

    with pytest.raises(RefundExceedsGrant):
        ledger.run(refund(2))
    ledger.run(release(version))
    assert ledger.run(refund(2, 10))


def test_a_negative_refund_is_refused() -> None:
    with pytest.raises(AmountNotPositive):
        book(open_wallet(), grant(10, paid_nanos=100), refund(2, -1))


@pytest.mark.parametrize("category", [PROMOTIONAL, GrantCategory.INCLUDED, GrantCategory.PAID])
def test_credit_without_consideration_is_never_cash(category: GrantCategory) -> None:
    with pytest.raises(GrantNotRefundable):
        book(open_wallet(), grant(10, category=category), refund(2))


@pytest.mark.parametrize("units", [1, 4, 9, 10])
def test_a_bonus_is_clawed_back_in_proportion_to_the_refund(units: int) -> None:
    ledger = book(
        open_wallet(), grant(10, paid_nanos=100), grant(5, category=PROMOTIONAL, purchase_version=2)
    )

    ledger.run(refund(2, units))

    assert sum(clawed for _, clawed in clawbacks(ledger)) == units // 2
    assert refunds(ledger) == [10 * units]


def test_a_purchase_refunded_in_part_gets_no_bonus_any_more() -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=100))
    ledger.run(refund(2, 1))

    with pytest.raises(GrantNotActive):
        ledger.run(grant(5, category=PROMOTIONAL, purchase_version=2))


def test_clawbacks_add_up_whatever_the_parts_of_the_refund() -> None:
    ledger = book(
        open_wallet(), grant(10, paid_nanos=100), grant(5, category=PROMOTIONAL, purchase_version=2)
    )

    for units in (1, 1, 3, 5):
        ledger.run(refund(2, units))

    assert clawbacks(ledger) == [(3, 1), (3, 1), (3, 3)]
    assert ledger.wallet().lots == ()


def test_no_more_of_a_bonus_is_clawed_back_than_is_left_of_it() -> None:
    ledger = book(
        open_wallet(),
        grant(10, paid_nanos=100),
        grant(5, category=PROMOTIONAL, purchase_version=2, priority=0, expire_time=after(days=1)),
        debit(4),
        refund(2),
    )

    assert clawbacks(ledger) == [(3, 1)]


def held_bonus() -> tuple[Book, int]:
    """Return a book whose purchase of 10 was refunded while 4 of its bonus of 5 were held, and the hold."""
    ledger = book(
        open_wallet(),
        grant(10, paid_nanos=100, scope=("chat",)),
        grant(5, category=PROMOTIONAL, purchase_version=2),
    )
    version = ledger.place(hold(4))
    ledger.run(refund(2))
    assert clawbacks(ledger) == [(3, 1)]
    return ledger, version


def test_a_bonus_that_was_held_is_clawed_back_when_the_hold_gives_it_back() -> None:
    ledger, version = held_bonus()

    ledger.run(release(version))

    assert clawbacks(ledger) == [(3, 1), (3, 4)]
    assert ledger.wallet().lots == ()


def test_a_bonus_that_a_timeout_gives_back_is_clawed_back_at_that_instant() -> None:
    ledger, _ = held_bonus()

    ledger.run(settle(), NOW + HOUR)

    assert clawbacks(ledger) == [(3, 1), (3, 4)]
    assert ledger.log[-1].fact.effective_time == ledger.log[-2].fact.effective_time < NOW + HOUR


def test_a_bonus_that_a_reversal_gives_back_after_the_refund_is_clawed_back() -> None:
    ledger = book(
        open_wallet(),
        grant(10, paid_nanos=100, scope=("chat",)),
        grant(5, category=PROMOTIONAL, purchase_version=2),
        debit(4),
        refund(2),
    )

    ledger.reverse(4)

    assert clawbacks(ledger) == [(3, 1), (3, 4)]


def test_only_what_a_capture_leaves_of_a_bonus_is_clawed_back() -> None:
    ledger, version = held_bonus()

    ledger.run(capture(version, 3))

    assert clawbacks(ledger) == [(3, 1), (3, 1)]


def test_a_held_bonus_is_clawed_back_in_proportion_to_a_partial_refund() -> None:
    ledger = book(
        open_wallet(),
        grant(10, paid_nanos=100, scope=("chat",)),
        grant(5, category=PROMOTIONAL, purchase_version=2),
    )
    version = ledger.place(hold(5))
    ledger.run(refund(2, 4))
    ledger.run(release(version))

    assert clawbacks(ledger) == [(3, 2)]
    assert sorted(lot.remaining_units for lot in ledger.wallet().lots) == [3, 6]


def test_a_bonus_comes_with_a_purchase_and_is_promotional() -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=100), grant(10))

    for version in (3, 9):
        with pytest.raises(GrantNotActive):
            ledger.run(grant(5, category=PROMOTIONAL, purchase_version=version))
    with pytest.raises(FieldNotAllowed):
        ledger.run(grant(5, purchase_version=2))


# Extending


@pytest.mark.parametrize("microseconds", [-1, 0, 1])
def test_a_grant_may_be_extended_before_its_expiry_only(microseconds: int) -> None:
    ledger = book(open_wallet(), grant(10, expire_time=NOW + HOUR))
    now = after(hours=1, microseconds=microseconds)

    if microseconds < 0:
        ledger.run(extend(2, NOW + 2 * HOUR), now)
        assert ledger.run(debit(10), NOW + 2 * HOUR - MICROSECOND)
        return
    with pytest.raises(GrantNotActive):
        ledger.run(extend(2, NOW + 2 * HOUR), now)


@pytest.mark.parametrize("microseconds", [-1, 0, 1])
def test_a_new_expiry_lies_after_the_old_one(microseconds: int) -> None:
    ledger = book(open_wallet(), grant(10, expire_time=NOW + HOUR))
    command = extend(2, after(hours=1, microseconds=microseconds))

    if microseconds > 0:
        ledger.run(command)
        assert ledger.wallet().lots[0].expire_time == command.expire_time
        return
    with pytest.raises(ExtensionNotLater):
        ledger.run(command)


def test_a_grant_may_be_extended_for_ever_and_then_no_more() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=NOW + HOUR), extend(2))

    assert ledger.run(settle(), after(days=9_000)) == []
    for command in (extend(2), extend(2, after(days=1))):
        with pytest.raises(ExtensionNotLater):
            ledger.run(command)


def test_an_extension_moves_the_lot_in_the_burn_down_order() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1)), grant(10, expire_time=after(days=2)))
    ledger.run(extend(2, after(days=3)))

    assert ledger.debit(debit(15)).draws == (Draw(3, 10), Draw(2, 5))


def test_a_lot_that_only_a_hold_keeps_alive_cannot_be_extended() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=NOW + HOUR), hold(10, ttl=2 * HOUR))

    with pytest.raises(GrantNotActive):
        ledger.run(extend(2, NOW + 3 * HOUR), NOW + HOUR)


def test_a_recurring_grant_ends_with_its_period() -> None:
    ledger = book(open_wallet(), grant(10, recurrence=recurring("PT1H")))

    with pytest.raises(GrantNotActive):
        ledger.run(extend(2, NOW + 3 * HOUR))


# The range


def test_what_recurred_before_a_grant_counts_towards_the_range() -> None:
    half = 2**62 - 1
    ledger = book(open_wallet(mode=ShortfallMode.HARD), grant(half, recurrence=recurring("PT1H", count=2)))
    swept = book(open_wallet(), grant(half, recurrence=recurring("PT1H", count=2)))
    swept.run(settle(), NOW + HOUR)

    for each in (ledger, swept):
        with pytest.raises(AmountOutOfRange):
            each.run(grant(half), NOW + HOUR)
    assert isinstance(swept.log[-1].fact.event, CreditsGranted)
