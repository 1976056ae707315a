"""Transfers: what leaves, what arrives, and what comes back, step by step."""

from datetime import timedelta

import msgspec
import pytest

from ledger_service.domain.commands import SettleTransfer
from ledger_service.domain.events import (
    CreditsExpired,
    CreditsGranted,
    CreditsTransferredIn,
    CreditsTransferredOut,
    DebtRepaid,
    GrantRefunded,
    GrantRevoked,
    TransferReturned,
    TransferSettled,
)
from ledger_service.domain.invariants import is_conserved
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    AssetMismatch,
    CustomerMismatch,
    FieldNotAllowed,
    InsufficientCredit,
    TransferToItself,
)
from ledger_service.domain.values import UNITS_MAX, Asset, GrantCategory, Money, ShortfallMode
from ledger_service.domain.wallet.state import in_transit_units, posted_units
from tests.builders import (
    MICROSECOND,
    NOW,
    WALLET,
    Book,
    after,
    debit,
    events_of,
    extend,
    grant,
    hold,
    open_wallet,
    recurring,
    refund,
    revoke,
)
from tests.transfers import BETA, arrival, arrive, buy, come_back, send, sent, transfer, two_wallets

PROMOTIONAL = GrantCategory.PROMOTIONAL
HOUR = timedelta(hours=1)


def with_credit(*units: int) -> Book:
    """Return two wallets, the first with promotional grants of so many units."""
    ledger = two_wallets()
    for amount in units:
        ledger.run(grant(amount, category=PROMOTIONAL))
    return ledger


# What leaves


@pytest.mark.parametrize("units", [1, 9, 10])
def test_a_transfer_leaves_at_once_and_is_in_transit(units: int) -> None:
    ledger = with_credit(10)

    version = send(ledger, units)

    source = ledger.wallet()
    assert (posted_units(source), in_transit_units(source)) == (10 - units, units)
    assert posted_units(ledger.wallet(BETA)) == 0
    assert sent(ledger, version).amount_units == units
    assert is_conserved(source)


def test_a_transfer_of_one_unit_too_many_moves_nothing() -> None:
    ledger = with_credit(10)

    with pytest.raises(InsufficientCredit) as refused:
        send(ledger, 11)

    assert refused.value.metadata == {"available_units": "10", "amount_units": "11"}
    assert posted_units(ledger.wallet()) == 10


def test_lots_leave_in_burn_down_order_whatever_their_scope() -> None:
    ledger = two_wallets()
    ledger.run(grant(5, category=PROMOTIONAL, priority=2))
    ledger.run(grant(5, category=PROMOTIONAL, priority=1, scope=("chat",)))

    version = send(ledger, 7)

    assert [(each.grant_version, each.amount_units) for each in sent(ledger, version).slices] == [
        (3, 5),
        (2, 2),
    ]
    arrive(ledger, version)
    assert [(lot.priority, lot.scope, lot.remaining_units) for lot in ledger.wallet(BETA).lots] == [
        (1, ("chat",), 5),
        (2, (), 2),
    ]


def test_held_units_do_not_leave() -> None:
    ledger = with_credit(10)
    ledger.place(hold(4))

    with pytest.raises(InsufficientCredit):
        send(ledger, 7)
    send(ledger, 6)

    assert ledger.wallet().lots[0].held_units == 4


def test_included_credit_stays_with_its_contract() -> None:
    ledger = two_wallets()
    ledger.run(grant(10, category=GrantCategory.INCLUDED))

    with pytest.raises(InsufficientCredit):
        send(ledger, 1)


def test_credit_leaves_from_its_first_instant_up_to_its_expiry() -> None:
    for instant, leaves in (
        (after(hours=1) - MICROSECOND, False),
        (after(hours=1), True),
        (after(hours=2) - MICROSECOND, True),
        (after(hours=2), False),
    ):
        ledger = two_wallets()
        ledger.run(grant(5, category=PROMOTIONAL, effective_time=after(hours=1), expire_time=after(hours=2)))
        if leaves:
            send(ledger, 5, instant)
        else:
            with pytest.raises(InsufficientCredit):
                send(ledger, 5, instant)


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (transfer(0), AmountNotPositive),
        (transfer(-1), AmountNotPositive),
        (transfer(UNITS_MAX + 1), AmountOutOfRange),
        (transfer(1, destination=WALLET), TransferToItself),
        (transfer(1, asset=Asset("TOKEN", 0)), AssetMismatch),
        (transfer(1, asset=Asset("CREDIT", 5)), AssetMismatch),
        (transfer(1, customer="customers/other"), CustomerMismatch),
    ],
)
def test_a_transfer_that_may_not_be_is_refused(command: object, refusal: type[Exception]) -> None:
    ledger = with_credit(10)

    with pytest.raises(refusal):
        ledger.run(command)  # type: ignore[arg-type]

    assert posted_units(ledger.wallet()) == 10


# What it carries


def test_a_slice_carries_its_terms_and_its_consideration() -> None:
    ledger = two_wallets()
    ledger.run(
        grant(10, paid_nanos=25, priority=3, scope=("chat",), expire_time=after(days=9), effective_time=NOW)
    )

    arrive(ledger, send(ledger, 3, after(hours=1)), after(hours=2))

    (lot,) = ledger.wallet(BETA).lots
    assert (lot.category, lot.priority, lot.scope) == (GrantCategory.PAID, 3, ("chat",))
    assert (lot.effective_time, lot.expire_time) == (NOW, after(days=9))
    assert (lot.granted_units, lot.consideration) == (3, Money("EUR", 7))


@pytest.mark.parametrize("parts", [(10,), (1,) * 10, (3, 3, 4), (9, 1)])
def test_cost_basis_is_conserved_to_the_nano_over_any_split(parts: tuple[int, ...]) -> None:
    ledger = two_wallets()
    buy(ledger, 10, 99)

    for units in parts:
        arrive(ledger, send(ledger, units))

    carried = [lot.consideration.nanos for lot in ledger.wallet(BETA).lots if lot.consideration]
    assert sum(carried) == 99


def test_promotional_credit_carries_no_consideration() -> None:
    ledger = with_credit(10)

    arrive(ledger, send(ledger, 10))

    assert ledger.wallet(BETA).lots[0].consideration is None
    assert ledger.wallet().moved == {}


def test_recurrence_and_the_link_of_a_bonus_stay_behind() -> None:
    ledger = two_wallets()
    purchase = buy(ledger, 10, 100)
    ledger.run(grant(5, category=PROMOTIONAL, purchase_version=purchase))
    ledger.run(grant(5, category=PROMOTIONAL, recurrence=recurring("P1D", percent="50")))

    arrive(ledger, send(ledger, 20))

    for lot in ledger.wallet(BETA).lots:
        assert (lot.recurrence, lot.purchase_version, lot.series_version) == (None, 0, 0)
    assert ledger.wallet(BETA).series == ()
    assert len(ledger.wallet().series) == 1, "the grant still comes again in the source"


def test_a_refund_of_the_rest_and_of_what_moved_add_up_to_what_was_paid() -> None:
    ledger = two_wallets()
    purchase = buy(ledger, 3, 100)
    arrive(ledger, send(ledger, 1))

    here = ledger.answer(refund(purchase)).event
    there = ledger.answer(msgspec.structs.replace(refund(2), wallet=BETA)).event

    assert isinstance(here, GrantRefunded)
    assert isinstance(there, GrantRefunded)
    assert (here.refund.nanos, there.refund.nanos) == (66, 33)


def test_what_was_refunded_does_not_move_again() -> None:
    ledger = two_wallets()
    purchase = buy(ledger, 3, 100)
    ledger.run(refund(purchase, 2))

    version = send(ledger, 1)

    assert sent(ledger, version).slices[0].consideration == Money("EUR", 33)


# What arrives


def test_an_arrival_is_one_lot_a_slice_and_the_last_one_answers() -> None:
    ledger = with_credit(4, 6)
    version = send(ledger, 10)

    arrived = ledger.run(arrival(ledger, version))

    first, second = sent(ledger, version).slices
    assert events_of(arrived) == [
        CreditsTransferredIn(WALLET, version, 1, 2, 4, first.lot),
        CreditsTransferredIn(WALLET, version, 2, 2, 6, second.lot),
    ]
    assert [bool(each.fact.fingerprint) for each in arrived] == [False, True]
    assert is_conserved(ledger.wallet(BETA))


def test_the_source_settles_once() -> None:
    ledger = with_credit(10)
    version = send(ledger, 10)
    ledger.run(arrival(ledger, version))

    first = ledger.run(SettleTransfer(WALLET, version))
    second = ledger.run(SettleTransfer(WALLET, version))

    assert events_of(first) == [TransferSettled(version)]
    assert second == []
    assert in_transit_units(ledger.wallet()) == 0
    assert come_back(ledger, version) == []


@pytest.mark.parametrize(("arrives", "left_units"), [(after(hours=1) - MICROSECOND, 10), (after(hours=1), 0)])
def test_what_expired_on_the_way_expires_on_arrival(arrives: object, left_units: int) -> None:
    ledger = two_wallets()
    ledger.run(grant(10, category=PROMOTIONAL, expire_time=after(hours=1)))
    version = send(ledger, 10)

    arrived = events_of(ledger.run(arrival(ledger, version), arrives))  # type: ignore[arg-type]

    assert posted_units(ledger.wallet(BETA)) == left_units
    assert any(isinstance(each, CreditsExpired) for each in arrived) is (left_units == 0)


def test_what_arrives_repays_debts() -> None:
    ledger = Book()
    ledger.run(open_wallet())
    ledger.run(open_wallet(wallet=BETA, mode=ShortfallMode.ADVANCE))
    ledger.run(grant(10, category=PROMOTIONAL, effective_time=after(days=-1)))
    ledger.run(debit(4, wallet=BETA))
    version = send(ledger, 10, after(hours=1))

    arrived = ledger.run(arrival(ledger, version), after(hours=2))

    repaid = [each for each in arrived if isinstance(each.fact.event, DebtRepaid)]
    assert [each.fact.effective_time for each in repaid] == [after(hours=2)]
    assert posted_units(ledger.wallet(BETA)) == 6


@pytest.mark.parametrize(("held_units", "fits"), [(UNITS_MAX - 10, True), (UNITS_MAX - 9, False)])
def test_a_destination_takes_no_more_than_a_wallet_may_ever_hold(held_units: int, fits: bool) -> None:
    ledger = with_credit(10)
    ledger.run(grant(held_units, wallet=BETA))
    version = send(ledger, 10)

    if fits:
        arrive(ledger, version)
        assert posted_units(ledger.wallet(BETA)) == UNITS_MAX
    else:
        with pytest.raises(AmountOutOfRange):
            arrive(ledger, version)


def test_a_grant_counts_what_arrived_before() -> None:
    ledger = with_credit(10)
    arrive(ledger, send(ledger, 10))

    with pytest.raises(AmountOutOfRange):
        ledger.run(grant(UNITS_MAX - 9, wallet=BETA))
    ledger.run(grant(UNITS_MAX - 10, wallet=BETA))


# What comes back


def test_what_comes_back_goes_to_its_own_lots() -> None:
    ledger = two_wallets()
    buy(ledger, 10, 99)
    before = ledger.wallet()
    version = send(ledger, 4)

    recorded = come_back(ledger, version)

    assert [type(each) for each in events_of(recorded)] == [TransferReturned]
    after_all = ledger.wallet()
    assert after_all.lots == before.lots
    assert (after_all.sent_units, after_all.transfers, after_all.moved[2].nanos) == (0, (), 0)
    assert come_back(ledger, version) == []


def test_a_lot_that_had_left_altogether_comes_back() -> None:
    ledger = with_credit(10)
    before = ledger.wallet().lots
    version = send(ledger, 10)
    assert ledger.wallet().lots == ()

    come_back(ledger, version)

    assert ledger.wallet().lots == before


@pytest.mark.parametrize(("back", "left_units"), [(HOUR - MICROSECOND, 10), (HOUR, 0)])
def test_what_lapsed_on_the_way_expires_as_it_comes_back(back: timedelta, left_units: int) -> None:
    ledger = two_wallets()
    ledger.run(grant(10, category=PROMOTIONAL, expire_time=NOW + HOUR))
    version = send(ledger, 10)

    come_back(ledger, version, NOW + back)

    assert posted_units(ledger.wallet()) == left_units
    assert is_conserved(ledger.wallet())


def test_what_was_extended_meanwhile_comes_back_extended() -> None:
    ledger = two_wallets()
    ledger.run(grant(10, category=PROMOTIONAL, expire_time=NOW + HOUR))
    version = send(ledger, 9)
    ledger.run(extend(2, NOW + 3 * HOUR))

    come_back(ledger, version, NOW + 2 * HOUR)

    assert posted_units(ledger.wallet()) == 10


def test_what_was_revoked_meanwhile_is_revoked_as_it_comes_back() -> None:
    ledger = with_credit(10)
    version = send(ledger, 9)
    ledger.run(revoke(2))

    recorded = events_of(come_back(ledger, version))

    assert recorded[-1] == GrantRevoked(2, 9)
    assert posted_units(ledger.wallet()) == 0


def test_transfers_that_came_back_leave_no_more_to_refund_than_was_paid() -> None:
    ledger = two_wallets()
    purchase = buy(ledger, 7, 10)
    versions = [send(ledger, 1) for _ in range(7)]
    for version in versions[::2]:
        come_back(ledger, version)
    for version in versions[1::2]:
        arrive(ledger, version)
    there = sum(lot.consideration.nanos for lot in ledger.wallet(BETA).lots if lot.consideration)

    refunded = 0
    while ledger.wallet().lots:
        event = ledger.answer(refund(purchase, 1)).event
        assert isinstance(event, GrantRefunded)
        refunded += event.refund.nanos

    assert refunded + there <= 10


def test_a_debit_of_what_arrived_is_reversed_to_the_lot_that_arrived() -> None:
    ledger = with_credit(10)
    ledger.run(grant(10, wallet=WALLET, category=PROMOTIONAL))
    back = send(ledger, 10)
    arrive(ledger, back)
    home = send(ledger, 10, wallet=BETA, destination=WALLET)
    arrive(ledger, home, wallet=BETA)
    version = ledger.run(debit(20))[-1].version

    ledger.reverse(version)

    assert posted_units(ledger.wallet()) == 20
    assert is_conserved(ledger.wallet())


def test_a_transfer_is_named_by_its_version_and_says_the_order_it_took() -> None:
    ledger = with_credit(10)

    event = ledger.answer(transfer(10)).event

    assert isinstance(event, CreditsTransferredOut)
    assert (event.destination, event.burn_down_order) == (BETA, "default/1")


def test_goodwill_names_its_debit_and_is_promotional() -> None:
    ledger = with_credit(10)
    used = ledger.run(debit(4))[-1].version
    command = msgspec.structs.replace(grant(4, category=PROMOTIONAL), compensates_version=used)

    event = ledger.answer(command).event

    assert isinstance(event, CreditsGranted)
    assert event.compensates_version == used


@pytest.mark.parametrize("category", [GrantCategory.PAID, GrantCategory.INCLUDED])
def test_goodwill_is_never_cash(category: GrantCategory) -> None:
    ledger = with_credit(10)
    used = ledger.run(debit(4))[-1].version

    with pytest.raises(FieldNotAllowed):
        ledger.run(msgspec.structs.replace(grant(4, category=category), compensates_version=used))
