"""Burn-down order: each key decides where the keys before it tie."""

import pytest

from ledger_service.domain.burn_down import Lot, default_order, insert_lot, is_drawable
from ledger_service.domain.values import GrantCategory
from tests.builders import MICROSECOND, NOW, after, book, debit, grant, lot, open_wallet

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
