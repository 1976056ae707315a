"""Chargebacks: how an amount is divided into what is withdrawn and what is owed, at once and later."""

from datetime import timedelta

import pytest

from ledger_service.domain.events import GrantChargedBack, GrantRevoked, ReceivableLowered
from ledger_service.domain.invariants import is_conserved
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    ChargebackExceedsGrant,
    FieldMalformed,
    FieldTooLong,
    GrantAlreadyChargedBack,
    GrantNotActive,
    GrantNotRefundable,
    InsufficientCredit,
)
from ledger_service.domain.values import UNITS_MAX, GrantCategory, Money
from ledger_service.domain.wallet.state import posted_units
from tests.builders import (
    NOW,
    WALLET,
    Book,
    after,
    capture,
    debit,
    events_of,
    grant,
    hold,
    refund,
    release,
    revoke,
)
from tests.transfers import BETA, arrive, buy, chargeback, come_back, send, two_wallets

HOUR = timedelta(hours=1)
PROMOTIONAL = GrantCategory.PROMOTIONAL


def purchase(units: int = 100, paid_nanos: int = 1_000) -> tuple[Book, int]:
    """Return a book with one purchase and the version of its grant."""
    ledger = two_wallets()
    return ledger, buy(ledger, units, paid_nanos)


def charged_back(ledger: Book, version: int, nanos: int | None = None) -> tuple[int, int, int]:
    """Charge back and return what was taken back, the units withdrawn, and what is owed."""
    event = ledger.answer(chargeback(ledger, version, nanos)).event
    assert isinstance(event, GrantChargedBack)
    return event.amount.nanos, event.revoked_units, event.receivable.nanos


def owed(ledger: Book, version: int = 2) -> int:
    """Return what is owed for a grant now."""
    return ledger.wallet().receivables[version].nanos


# All of it


@pytest.mark.parametrize(
    ("used", "revoked_units", "receivable_nanos"),
    [(0, 100, 0), (1, 99, 10), (40, 60, 400), (99, 1, 990), (100, 0, 1_000)],
)
def test_what_is_unused_is_withdrawn_and_what_was_used_is_owed(
    used: int, revoked_units: int, receivable_nanos: int
) -> None:
    ledger, version = purchase()
    if used:
        ledger.run(debit(used))

    assert charged_back(ledger, version) == (1_000, revoked_units, receivable_nanos)
    assert posted_units(ledger.wallet()) == 0
    assert is_conserved(ledger.wallet())


def test_what_expired_is_owed() -> None:
    ledger = two_wallets()
    version = buy(ledger, 100, 1_000, expire_time=NOW + HOUR)

    event = ledger.answer(chargeback(ledger, version), NOW + HOUR).event

    assert isinstance(event, GrantChargedBack)
    assert (event.revoked_units, event.receivable.nanos) == (0, 1_000)


def test_what_was_refunded_is_not_taken_back_again() -> None:
    ledger, version = purchase()
    ledger.run(refund(version, 30))
    ledger.run(debit(50))

    assert charged_back(ledger, version) == (700, 20, 500)


def test_a_grant_that_was_refunded_in_full_has_nothing_to_take_back() -> None:
    ledger, version = purchase()
    ledger.run(refund(version))

    with pytest.raises(ChargebackExceedsGrant):
        charged_back(ledger, version)


def test_what_moved_is_charged_back_where_it_is() -> None:
    ledger, version = purchase()
    arrive(ledger, send(ledger, 25))

    here = charged_back(ledger, version)
    event = ledger.answer(chargeback(ledger, 2, wallet=BETA)).event

    assert here == (750, 75, 0)
    assert isinstance(event, GrantChargedBack)
    assert (event.amount.nanos, event.revoked_units) == (250, 25)


def test_odd_prices_divide_to_the_nano() -> None:
    ledger, version = purchase(3, 100)
    ledger.run(debit(1))

    assert charged_back(ledger, version) == (100, 2, 34)


# A part of it


@pytest.mark.parametrize(
    ("nanos", "revoked_units", "receivable_nanos", "left_units"),
    [(1, 1, 0, 59), (10, 1, 0, 59), (11, 2, 0, 58), (600, 60, 0, 0), (601, 60, 1, 0), (999, 60, 399, 0)],
)
def test_a_part_withdraws_as_many_units_as_cover_it(
    nanos: int, revoked_units: int, receivable_nanos: int, left_units: int
) -> None:
    ledger, version = purchase()
    ledger.run(debit(40))

    assert charged_back(ledger, version, nanos) == (nanos, revoked_units, receivable_nanos)
    assert posted_units(ledger.wallet()) == left_units


def test_what_a_part_leaves_can_still_be_used_and_refunded() -> None:
    ledger, version = purchase()
    charged_back(ledger, version, 300)

    ledger.run(debit(20))
    ledger.run(refund(version))

    refunded = [each for each in ledger.log if type(each.fact.event).__name__ == "GrantRefunded"]
    assert refunded[-1].fact.event.refund.nanos == 500  # type: ignore[union-attr]


# Once


def test_a_grant_is_charged_back_once() -> None:
    ledger, version = purchase()
    charged_back(ledger, version, 1)

    with pytest.raises(GrantAlreadyChargedBack):
        charged_back(ledger, version)


def test_a_grant_that_was_charged_back_in_full_has_ended() -> None:
    ledger, version = purchase()
    charged_back(ledger, version)

    for command in (refund(version), revoke(version)):
        with pytest.raises(GrantNotActive):
            ledger.run(command)
    with pytest.raises(InsufficientCredit):
        ledger.run(debit(1))


# What comes back later


def test_held_units_that_come_back_are_withdrawn_and_lower_what_is_owed() -> None:
    ledger, version = purchase()
    held = ledger.place(hold(30))
    assert charged_back(ledger, version) == (1_000, 70, 300)

    recorded = events_of(ledger.run(release(held)))

    assert recorded[-1] == ReceivableLowered(version, 30, Money("EUR", 300))
    assert owed(ledger) == 0
    assert posted_units(ledger.wallet()) == 0


def test_held_units_that_are_captured_stay_owed() -> None:
    ledger, version = purchase()
    held = ledger.place(hold(30))
    charged_back(ledger, version)

    ledger.run(capture(held, 20))

    assert owed(ledger) == 200
    assert posted_units(ledger.wallet()) == 0


def test_a_hold_that_times_out_lowers_what_is_owed() -> None:
    ledger, version = purchase()
    ledger.place(hold(30, ttl=HOUR))
    charged_back(ledger, version)

    ledger.run(grant(1, category=PROMOTIONAL), NOW + HOUR)

    assert owed(ledger) == 0


def test_a_reversed_debit_lowers_what_is_owed() -> None:
    ledger, version = purchase(3, 100)
    used = ledger.run(debit(2))[-1].version
    assert charged_back(ledger, version) == (100, 1, 67)

    ledger.reverse(used, 1)
    assert owed(ledger) == 34
    ledger.reverse(used, 1)

    assert owed(ledger) == 0
    assert posted_units(ledger.wallet()) == 0


def test_what_comes_back_beyond_what_is_owed_stays() -> None:
    ledger, version = purchase()
    used = ledger.run(debit(100))[-1].version
    assert charged_back(ledger, version, 305) == (305, 0, 305)

    ledger.reverse(used)

    assert owed(ledger) == 0
    assert posted_units(ledger.wallet()) == 69


def test_a_transfer_that_comes_back_to_an_ended_grant_is_withdrawn() -> None:
    ledger, version = purchase()
    transfer_version = send(ledger, 25)
    assert charged_back(ledger, version) == (750, 75, 0)

    recorded = events_of(come_back(ledger, transfer_version))

    assert recorded[-1] == ReceivableLowered(version, 25, Money("EUR", 0))
    assert posted_units(ledger.wallet()) == 0
    assert is_conserved(ledger.wallet())


# Bonuses


def test_a_bonus_is_clawed_back_in_proportion_to_what_is_withdrawn() -> None:
    ledger, version = purchase()
    ledger.run(debit(50))
    bonus = ledger.run(grant(10, category=PROMOTIONAL, purchase_version=version))[-1].version

    recorded = events_of(ledger.run(chargeback(ledger, version)))

    assert recorded[-1] == GrantRevoked(bonus, 5, "clawback", clawback=True)


def test_a_purchase_that_was_charged_back_in_part_gets_no_bonus() -> None:
    ledger, version = purchase()
    charged_back(ledger, version, 10)

    with pytest.raises(GrantNotActive):
        ledger.run(grant(10, category=PROMOTIONAL, purchase_version=version))


# What may not be


def test_promotional_credit_is_not_charged_back() -> None:
    ledger = two_wallets()
    version = ledger.run(grant(10, category=PROMOTIONAL))[-1].version

    with pytest.raises(GrantNotRefundable):
        charged_back(ledger, version)


@pytest.mark.parametrize(
    ("nanos", "refusal"),
    [
        (0, AmountNotPositive),
        (-1, AmountOutOfRange),
        (1_001, ChargebackExceedsGrant),
        (UNITS_MAX + 1, AmountOutOfRange),
    ],
)
def test_an_amount_beyond_its_bounds_is_refused(nanos: int, refusal: type[Exception]) -> None:
    ledger, version = purchase()

    with pytest.raises(refusal):
        charged_back(ledger, version, nanos)

    assert charged_back(ledger, version, 1_000)[1] == 100


def test_an_amount_in_another_currency_is_refused() -> None:
    ledger, version = purchase()

    with pytest.raises(FieldMalformed):
        ledger.run(chargeback(ledger, version, 5, currency="USD"))


@pytest.mark.parametrize(("length", "fits"), [(200, True), (201, False)])
def test_a_reference_has_at_most_200_characters(length: int, fits: bool) -> None:
    ledger, version = purchase()
    command = chargeback(ledger, version)
    changed = type(command)(WALLET, version, command.recorded, None, "x" * length)

    if fits:
        ledger.run(changed)
    else:
        with pytest.raises(FieldTooLong):
            ledger.run(changed)


def test_a_chargeback_settles_what_fell_due_first() -> None:
    ledger = two_wallets()
    version = buy(ledger, 10, 100, expire_time=after(hours=1))

    recorded = events_of(ledger.run(chargeback(ledger, version), after(hours=2)))

    assert [type(each).__name__ for each in recorded] == ["CreditsExpired", "GrantChargedBack"]
