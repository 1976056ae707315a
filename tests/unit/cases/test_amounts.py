"""Decimal text to units and back: exactly or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.acceptance.cases.amounts import (
    UNITS_MAX,
    check_precision,
    from_units,
    price_text,
    quantity_of,
    round_half_up,
    scale_for,
    to_nanos,
    to_units,
)
from tests.acceptance.cases.verdicts import Unsupported, compare


@given(st.integers(-UNITS_MAX, UNITS_MAX), st.integers(0, 12))
def test_units_survive_the_way_to_an_amount_and_back(units: int, scale: int) -> None:
    assert to_units(from_units(units, scale), scale) == units


def test_an_amount_fits_up_to_the_last_unit() -> None:
    assert to_units(Decimal("9223372036854.775807"), 6) == UNITS_MAX
    with pytest.raises(Unsupported):
        to_units(Decimal("9223372036854.775808"), 6)


def test_an_amount_below_one_unit_is_not_rounded() -> None:
    assert to_units(Decimal("0.000001"), 6) == 1
    with pytest.raises(Unsupported):
        to_units(Decimal("0.0000005"), 6)


def test_trailing_zeros_need_no_scale() -> None:
    assert to_units(Decimal("1.50000000"), 1) == 15
    assert to_nanos(Decimal("50.00")) == 50_000_000_000


def test_the_usual_scale_is_taken_unless_the_amounts_need_another() -> None:
    assert scale_for([Decimal("1.5")]) == 6
    assert scale_for([Decimal("1.00000001")]) == 8
    assert scale_for([Decimal("9000000000000000")]) == 0


@pytest.mark.parametrize("amounts", [["0.0000000000001"], ["9223372036854775808"], ["0.00000001", "1E+12"]])
def test_amounts_that_no_scale_holds_are_unsupported(amounts: list[str]) -> None:
    with pytest.raises(Unsupported):
        scale_for(map(Decimal, amounts))


@pytest.mark.parametrize(
    ("text", "parts", "unit_size"), [("7", 7, 1), ("12.5", 125, 10), ("0.025", 25, 1000)]
)
def test_a_fractional_quantity_is_counted_in_parts(text: str, parts: int, unit_size: int) -> None:
    assert quantity_of(Decimal(text)) == (parts, unit_size)


@pytest.mark.parametrize(("price", "text"), [("1E-7", "0.0000001"), ("1E+2", "100"), ("2.50", "2.5")])
def test_a_price_is_plain_decimal_text(price: str, text: str) -> None:
    assert price_text(Decimal(price)) == text


@pytest.mark.parametrize(
    ("amount", "precision", "rounded"),
    [("0.004", "0.01", "0"), ("0.005", "0.01", "0.01"), ("-0.005", "0.01", "-0.01"), ("4174.5", "1", "4175")],
)
def test_halves_are_rounded_away_from_zero(amount: str, precision: str, rounded: str) -> None:
    assert round_half_up(Decimal(amount), check_precision(Decimal(precision))) == Decimal(rounded)


@pytest.mark.parametrize("precision", ["0", "-1", "0.05", "3"])
def test_a_precision_that_is_no_power_of_ten_is_unsupported(precision: str) -> None:
    with pytest.raises(Unsupported):
        check_precision(Decimal(precision))


def test_numbers_are_compared_as_decimals_and_not_as_text() -> None:
    assert compare("x", "50", Decimal("50.000000")) == []
    assert compare("x", "1.0", 1) == []
    assert len(compare("x", "50", Decimal("50.0000001"))) == 1


def test_a_tolerance_is_inclusive() -> None:
    assert compare("x", "1.00", Decimal("1.01"), tolerance=Decimal("0.01")) == []
    assert len(compare("x", "1.00", Decimal("1.0100001"), tolerance=Decimal("0.01"))) == 1


def test_objects_are_compared_by_what_is_expected_and_lists_in_full() -> None:
    assert compare("x", {"a": "1"}, {"a": 1, "b": 2}) == []
    assert [str(each) for each in compare("x", {"a": "1"}, {"b": 2})] == ["expected x.a 1 got nothing"]
    assert [str(each) for each in compare("x", [["a", "1"]], [["a", 2]])] == ["expected x[0][1] 1 got 2"]
    assert [str(each) for each in compare("x", ["a"], ["a", "b"])] == ["expected x [a] got [a, b]"]
