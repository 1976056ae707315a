"""Charges: whatever their order and their parts, the debits add up to the floor of the exact sum."""

from fractions import Fraction
from math import floor
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain.values import ShortfallMode
from tests.builders import NOW, Book, charge, debit
from tests.property.ledger.domain.histories import opened

figures = st.one_of(
    st.decimals(min_value=0, max_value=20, places=3),
    st.decimals(min_value=0, max_value=1, places=54),
    st.sampled_from(["0", "0.5", "0.999999999999999999", "0.000000000000000001", "1000000.1"]),
).map(lambda figure: f"{figure:f}" if not isinstance(figure, str) else figure)
charges = st.lists(st.lists(figures, min_size=1, max_size=4), max_size=12)


def debited(parts: list[list[str]]) -> tuple[int, Book]:
    """Return what charges with these lines are debited in total."""
    ledger = opened(ShortfallMode.SOFT)
    total = sum(ledger.debit(debit(charge=charge(*figures)), NOW).amount_units for figures in parts)
    return total, ledger


@given(charges)
def test_debits_add_up_to_the_floor_of_the_exact_sum(parts: list[list[str]]) -> None:
    exact = sum((Fraction(figure) for figures in parts for figure in figures), Fraction())

    total, ledger = debited(parts)

    assert total == floor(exact)
    assert Fraction(ledger.wallet().carried_fraction) == exact - total


@given(charges, st.randoms(use_true_random=False))
def test_the_order_of_charges_does_not_matter(parts: list[list[str]], random: Random) -> None:
    shuffled = list(parts)
    random.shuffle(shuffled)

    assert debited(shuffled)[0] == debited(parts)[0]
    assert debited(shuffled)[1].wallet() == debited(parts)[1].wallet()


@given(charges)
def test_lines_charged_together_or_apart_cost_the_same(parts: list[list[str]]) -> None:
    apart = [[figure] for figures in parts for figure in figures]

    assert debited(apart)[0] == debited(parts)[0]
