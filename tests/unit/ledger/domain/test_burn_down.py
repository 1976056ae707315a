"""Burn-down order: each key decides where the keys before it tie."""

import pytest

from ledger_service.domain.events import CreditsHeld, HoldCaptured
from ledger_service.domain.refusals import FieldMalformed
from ledger_service.domain.values import GrantCategory
from ledger_service.domain.wallet.burn_down import ORDERS, Lot, default_order, insert_lot, is_drawable
from tests.builders import MICROSECOND, NOW, after, book, capture, debit, grant, hold, lot, open_wallet

PROMOTIONAL, INCLUDED, PAID = GrantCategory.PROMOTIONAL, GrantCategory.INCLUDED, GrantCategory.PAID


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            lot(2, priority=1, expire_time=after(days=9), category=PAID),
            lot(1, priority=2, expire_time=after(days=1), category=PROMOTIONAL, scope=("chat",)),
            id="lower priority before earlier expiry",
        ),
        pytest.param(
            lot(2, expire_time=after(days=1), category=PAID),
            lot(1, expire_time=after(days=1) + MICROSECOND, category=PROMOTIONAL, scope=("chat",)),
            id="earlier expiry before category",
        ),
        pytest.param(
            lot(2, expire_time=after(days=9_000), category=PAID),
            lot(1, category=PROMOTIONAL, scope=("chat",)),
            id="an expiry before none",
        ),
        pytest.param(
            lot(2, category=PROMOTIONAL),
            lot(1, category=INCLUDED, scope=("chat",)),
            id="gift before included",
        ),
        pytest.param(
            lot(2, category=INCLUDED), lot(1, category=PAID, scope=("chat",)), id="included before paid"
        ),
        pytest.param(
            lot(2, category=PROMOTIONAL), lot(1, category=PAID, scope=("chat",)), id="gift before paid"
        ),
        pytest.param(
            lot(2, scope=("chat",), effective_time=NOW),
            lot(1, effective_time=NOW - MICROSECOND),
            id="restricted before open",
        ),
        pytest.param(
            lot(2, effective_time=NOW - MICROSECOND), lot(1, effective_time=NOW), id="earlier effective time"
        ),
        pytest.param(lot(1), lot(2), id="order of granting"),
    ],
)
def test_each_key_of_the_order_decides_where_those_before_it_tie(first: Lot, second: Lot) -> None:
    assert default_order(first) < default_order(second)
    assert insert_lot((second,), first) == insert_lot((first,), second) == (first, second)


def test_the_size_of_a_scope_and_of_a_lot_do_not_matter() -> None:
    narrow, wide = lot(2, scope=("chat",), remaining_units=1), lot(1, scope=("chat", "code"))

    assert insert_lot((narrow,), wide) == (wide, narrow)


def test_a_debit_draws_on_lots_in_burn_down_order_and_stops_when_covered() -> None:
    ledger = book(
        open_wallet(),
        grant(10),
        grant(10, expire_time=after(days=2)),
        grant(10, priority=1, category=PROMOTIONAL),
        grant(10, expire_time=after(days=1)),
    )

    event = ledger.debit(debit(25))

    assert [(draw.grant_version, draw.amount_units) for draw in event.draws] == [(5, 10), (3, 10), (2, 5)]
    assert event.burn_down_order == "default/1"


@pytest.mark.parametrize(("microseconds", "drawable"), [(-1, False), (0, True), (1, True)])
def test_a_lot_is_drawable_from_its_effective_time_on(microseconds: int, drawable: bool) -> None:
    starting = lot(effective_time=NOW)

    assert is_drawable(starting, effective_time=after(microseconds=microseconds), feature="") is drawable


@pytest.mark.parametrize(("microseconds", "drawable"), [(-1, True), (0, False), (1, False)])
def test_a_lot_is_drawable_until_just_before_its_expiry(microseconds: int, drawable: bool) -> None:
    expiring = lot(effective_time=after(days=-1), expire_time=NOW)

    assert is_drawable(expiring, effective_time=after(microseconds=microseconds), feature="") is drawable


@pytest.mark.parametrize(
    ("scope", "feature", "drawable"),
    [
        ((), "", True),
        ((), "chat", True),
        (("chat",), "chat", True),
        (("chat", "code"), "code", True),
        (("chat",), "code", False),
        (("chat",), "chats", False),
        (("chat",), "", False),
    ],
)
def test_a_restricted_lot_serves_its_features_only(
    scope: tuple[str, ...], feature: str, drawable: bool
) -> None:
    assert is_drawable(lot(scope=scope), effective_time=NOW, feature=feature) is drawable


LOTS = (
    lot(1, priority=1, expire_time=after(days=2), category=PAID, effective_time=after(days=-4)),
    lot(2, priority=1, expire_time=after(days=1), category=PAID, effective_time=after(days=-1)),
    lot(3, priority=1, expire_time=after(days=2), category=PROMOTIONAL, effective_time=after(days=-3)),
    lot(4, priority=0, category=PAID, effective_time=after(days=-2)),
    lot(5, priority=1, expire_time=after(days=2), category=PAID, effective_time=after(days=-5)),
    lot(6, priority=0, category=INCLUDED, effective_time=after(days=-1)),
    lot(7, priority=0, category=PAID, effective_time=after(days=-2), scope=("chat",)),
)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        pytest.param("default/1", [6, 7, 4, 2, 3, 5, 1], id="priority, expiry, category, scope, effective"),
        pytest.param("openmeter/1", [4, 6, 7, 2, 1, 3, 5], id="priority, expiry, granting"),
        pytest.param("metronome/1", [6, 4, 7, 3, 2, 5, 1], id="priority, category, expiry, effective"),
        pytest.param("orb/1", [2, 3, 5, 1, 6, 4, 7], id="expiry, category, effective"),
        pytest.param("fifo/1", [5, 1, 3, 4, 7, 2, 6], id="effective, granting"),
    ],
)
def test_each_preset_orders_by_its_own_keys(order: str, expected: list[int]) -> None:
    lots: tuple[Lot, ...] = ()
    for each in LOTS:
        lots = insert_lot(lots, each, order=order)
    backwards: tuple[Lot, ...] = ()
    for each in reversed(LOTS):
        backwards = insert_lot(backwards, each, order=order)

    assert [each.grant_version for each in lots] == expected
    assert lots == backwards


@pytest.mark.parametrize("order", ORDERS)
def test_the_name_of_the_order_stands_on_every_debit_hold_and_capture(order: str) -> None:
    ledger = book(open_wallet(order=order), grant(10))

    debited = ledger.debit(debit(1))
    held = ledger.answer(hold(5)).event
    captured = ledger.answer(capture(len(ledger.log), 1)).event

    assert isinstance(held, CreditsHeld)
    assert isinstance(captured, HoldCaptured)
    assert {debited.burn_down_order, held.burn_down_order, captured.burn_down_order} == {order}


def test_a_wallet_draws_in_the_order_it_was_opened_with() -> None:
    ledger = book(
        open_wallet(order="fifo/1"), grant(10), grant(10, effective_time=after(days=-1), priority=9)
    )

    assert [draw.grant_version for draw in ledger.debit(debit(15)).draws] == [3, 2]


@pytest.mark.parametrize("order", ["", "default", "default/2", "lifo/1"])
def test_an_order_that_nobody_knows_is_refused(order: str) -> None:
    with pytest.raises(FieldMalformed) as refused:
        book(open_wallet(order=order))

    assert refused.value.field == "wallet.burn_down_order"
