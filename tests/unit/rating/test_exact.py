"""Decimal text is exact in both directions."""

from fractions import Fraction

import pytest

from rating_service.domain.exact import exact_text, parse_exact, scaled_text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("1.0", "1"),
        ("0.0030", "0.003"),
        ("100", "100"),
        ("-0.50", "-0.5"),
        ("0.000000750", "0.00000075"),
    ],
)
def test_text_has_no_exponent_and_no_trailing_zeros(text: str, canonical: str) -> None:
    assert canonical == exact_text(parse_exact(text))


@pytest.mark.parametrize("text", ["", "1e3", ".5", "5.", "+1", "1_000", "NaN", "１", "1/3", " 1", "1\n"])
def test_what_is_not_plain_decimal_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not decimal text"):
        parse_exact(text)


def test_an_endless_decimal_has_no_text() -> None:
    with pytest.raises(ValueError, match="no finite decimal text"):
        exact_text(Fraction(1, 3))


@pytest.mark.parametrize(
    ("numerator", "decimals", "text"),
    [(0, 3, "0"), (1, 3, "0.001"), (1000, 3, "1"), (1010, 3, "1.01"), (7, 0, "7"), (-15, 1, "-1.5")],
)
def test_scaled_text_places_the_point(numerator: int, decimals: int, text: str) -> None:
    assert text == scaled_text(numerator, decimals)
