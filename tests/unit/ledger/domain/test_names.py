"""Names and texts at their boundaries."""

from collections.abc import Callable

import pytest

from ledger_service.domain.names import (
    check_feature,
    check_id,
    check_idempotency_key,
    check_name,
    check_price,
    check_range,
    check_text,
    check_unit_price,
    check_word,
)
from ledger_service.domain.refusals import (
    FieldMalformed,
    FieldRequired,
    FieldTooLong,
    NumberOutOfRange,
    Refusal,
)
from ledger_service.domain.values import UnitPrice


def check_wallet_name(name: str) -> None:
    """Check a wallet's name."""
    check_name(name, collection="wallets", field="f")


CHECKS: dict[str, Callable[[str], None]] = {
    "name": check_wallet_name,
    "id": lambda text: check_id(text, field="f"),
    "word": lambda text: check_word(text, field="f"),
    "feature": lambda text: check_feature(text, field="f"),
    "price": lambda text: check_price(text, field="f"),
    "text": lambda text: check_text(text, field="f"),
    "key": check_idempotency_key,
}

ACCEPTED: dict[str, list[str]] = {
    "name": ["wallets/a", "wallets/A.b_c~d-9", "wallets/" + "a" * 100],
    "id": ["a", "0", "a" * 100, "A.b_c~d-9"],
    "word": ["a", "_", "0", "input_tokens", "a" * 64],
    "feature": ["a", "chat:large", "a" * 100],
    "price": ["0", "0.0", "1", "0." + "0" * 17 + "1", "9" * 18 + "." + "9" * 18],
    "text": ["", "é" * 200, "line\nbreak"],
    "key": ["k", "k" * 200, "ключ 1"],
}
REFUSED: dict[str, dict[type[Refusal], list[str]]] = {
    "name": {
        FieldRequired: [""],
        FieldMalformed: [
            "a",
            "wallets/",
            "wallets/" + "a" * 101,
            "wallet/a",
            "plans/a",
            "wallets/a/b",
            "wallets/.a",
            "wallets/a\n",
            "wallets/é",
            " wallets/a",
        ],
    },
    "id": {FieldRequired: [""], FieldMalformed: ["a" * 101, "-a", "a/b", "a b", "a\n", "é"]},
    "word": {FieldRequired: [""], FieldMalformed: ["a" * 65, "A", "a-b", "a\n", "²"]},
    "feature": {FieldMalformed: ["", "a" * 101, ":a", "a b", "a\n"]},
    "price": {
        FieldRequired: [""],
        FieldMalformed: ["-1", "+1", "01", "1.", ".1", "1e3", "NaN", "9" * 19, "0." + "1" * 19, "1\n", "١"],
    },
    "text": {FieldTooLong: ["é" * 201], FieldMalformed: ["\x00"]},
    "key": {FieldRequired: [""], FieldTooLong: ["k" * 201], FieldMalformed: ["a\nb", "a\x00", "\u200b"]},
}


@pytest.mark.parametrize(
    ("check", "text"), [(check, text) for check, texts in ACCEPTED.items() for text in texts]
)
def test_a_text_within_its_form_is_accepted(check: str, text: str) -> None:
    CHECKS[check](text)


@pytest.mark.parametrize(
    ("check", "refusal", "text"),
    [
        (check, refusal, text)
        for check, by_refusal in REFUSED.items()
        for refusal, texts in by_refusal.items()
        for text in texts
    ],
)
def test_a_text_beyond_its_form_is_refused(check: str, refusal: type[Refusal], text: str) -> None:
    with pytest.raises(refusal) as refused:
        CHECKS[check](text)

    assert refused.value.field == ("idempotency_key" if check == "key" else "f")


@pytest.mark.parametrize("number", [3, 4, 5])
def test_a_range_includes_both_ends(number: int) -> None:
    check_range(number, low=3, high=5, field="f")


@pytest.mark.parametrize("number", [2, 6])
def test_a_number_outside_its_range_is_refused(number: int) -> None:
    with pytest.raises(NumberOutOfRange):
        check_range(number, low=3, high=5, field="f")


def test_a_unit_price_names_the_part_that_is_wrong() -> None:
    check_unit_price(UnitPrice("EUR", "0.1"), field="f")

    with pytest.raises(FieldMalformed) as no_price:
        check_unit_price(UnitPrice("EUR", "x"), field="f")
    with pytest.raises(FieldMalformed) as no_currency:
        check_unit_price(UnitPrice("EURO", "1"), field="f")

    assert (no_price.value.field, no_currency.value.field) == ("f.price", "f.currency_code")
