"""What a case may spell in several ways is read as one; what could mean two things is not read."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.acceptance.cases.recognition_accounts import as_the_case_knows, own_name
from tests.acceptance.cases.recognition_events import EVENTS
from tests.acceptance.cases.recognition_words import BY_KIND, KIND_OF, KINDS, respelled, respelled_event
from tests.acceptance.cases.verdicts import Unsupported
from tests.acceptance.cases.wallet_results import result_named

DAY = datetime(2025, 1, 1, tzinfo=UTC)
ONE = Decimal(1)


def test_every_kind_has_a_player_and_every_word_means_one_kind() -> None:
    assert KINDS.keys() == EVENTS.keys()
    assert len(KIND_OF) == sum(map(len, KINDS.values()))


@pytest.mark.parametrize("kind", sorted(BY_KIND))
def test_no_word_stands_for_two_fields_of_one_kind(kind: str) -> None:
    words = [word for table in BY_KIND[kind] for others in table.values() for word in set(others)]
    names = {name for table in BY_KIND[kind] for name in table}

    assert sorted(words) == sorted(set(words))
    assert not names & set(words)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (
            {"date": "d", "kind": "Purchase", "id": "g", "qty": "1", "price": "2", "expiry": None},
            {"t": "d", "type": "grant", "id": "g", "units": "1", "consideration": "2", "expiry": None},
        ),
        (
            {"t": "d", "type": "promo-grant", "id": "g", "units": "1"},
            {"t": "d", "type": "grant", "id": "g", "units": "1", "category": "promo"},
        ),
        (
            {"t": "d", "type": "late usage", "id": "u", "amount": "1", "usage_date": "c"},
            {"t": "d", "type": "debit", "id": "u", "units": "1", "effective": "c"},
        ),
        (
            {"t": "d", "type": "reverse", "id": "r", "of": "u"},
            {"t": "d", "type": "reversal", "id": "r", "debit": "u"},
        ),
        (
            {"t": "d", "type": "rollover", "lot": "a", "to_lot": "b", "new_expiry": "e"},
            {"t": "d", "type": "roll_over", "lot": "a", "new_lot": "b", "new_expires": "e"},
        ),
    ],
)
def test_an_event_is_read_by_any_of_its_words(told: dict[str, object], read: dict[str, object]) -> None:
    assert respelled_event(told) == read


def test_a_field_that_is_told_by_its_own_name_leaves_others_alone() -> None:
    assert respelled({"units": "1", "qty": "2"}, {"units": ("qty",)}) == {"units": "1", "qty": "2"}


def test_two_words_for_one_field_are_not_read() -> None:
    with pytest.raises(Unsupported, match="'qty' and 'quantity' in one object"):
        respelled({"qty": "1", "quantity": "1"}, {"units": ("qty", "quantity")})


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("cash", "Cash"),
        ("Deferred Revenue", "ContractLiability"),
        ("contract_liability", "ContractLiability"),
        ("Revenue:Rateable", "Revenue:Plan"),
        ("Sales:Mystery", "Sales:Mystery"),
    ],
)
def test_an_account_is_known_by_what_it_means(name: str, own: str) -> None:
    assert own_name(name) == own


def test_an_invoice_is_paid_at_once_where_a_case_knows_no_receivable() -> None:
    got = {DAY: {"AccountsReceivable": ONE, "Cash": ONE}}

    assert as_the_case_knows(got, {DAY: {"Cash": ONE}}) == {DAY: {"Cash": 2 * ONE}}
    assert as_the_case_knows(got, {DAY: {"Cash": ONE, "AccountsReceivable": ONE}}) == got


@pytest.mark.parametrize(
    ("word", "name"),
    [("OK", "OK"), ("already voided", "ALREADY_RELEASED"), ("HOLD_EXPIRED", "EXPIRED"), ("ODD", "ODD")],
)
def test_a_result_is_known_by_what_it_means(word: str, name: str) -> None:
    assert result_named(word) == name
