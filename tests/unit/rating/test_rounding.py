"""Money is rounded once, and its parts add up."""

from fractions import Fraction

import pytest

from rating_service.domain.rounding import (
    minor_unit_nanos,
    round_half_up,
    round_parts,
    split_by_weight,
)

CENT = 10_000_000


@pytest.mark.parametrize(
    ("nanos", "cents"),
    [(4_999_999, 0), (5_000_000, 1), (12_500_000, 1), (15_000_000, 2), (-4_999_999, 0), (-5_000_000, -1)],
)
def test_halves_go_away_from_zero(nanos: int, cents: int) -> None:
    assert round_half_up(Fraction(nanos), step=CENT) == cents * CENT


def test_many_micro_amounts_are_summed_before_they_are_rounded() -> None:
    micro = Fraction("0.0000125") * 10**9

    assert round_half_up(1000 * micro, step=CENT) == CENT
    assert round_half_up(micro, step=CENT) == 0


def test_ten_over_three_equal_lines_gives_the_first_the_cent_that_is_left() -> None:
    assert split_by_weight(1000 * CENT, [1, 1, 1], step=CENT) == (334 * CENT, 333 * CENT, 333 * CENT)


def test_the_part_that_lost_most_gets_the_missing_unit() -> None:
    assert round_parts([Fraction(14, 10), Fraction(16, 10)], step=1) == (1, 2)


def test_an_exact_part_is_never_changed() -> None:
    assert round_parts([Fraction(5), Fraction(1, 2), Fraction(0)], step=1) == (5, 1, 0)


def test_weights_that_add_up_to_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="more than zero"):
        split_by_weight(100, [0, 0], step=1)


@pytest.mark.parametrize(("code", "nanos"), [("USD", CENT), ("JPY", 10**9), ("KWD", 10**6), ("CLF", 10**5)])
def test_a_currency_is_paid_in_its_own_minor_unit(code: str, nanos: int) -> None:
    assert minor_unit_nanos(code) == nanos
