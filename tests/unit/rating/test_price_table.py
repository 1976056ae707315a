"""Prices are shown with every tier and term."""

import pytest

from credits.ledger.v1 import agreement_pb2
from rating_service.cli.cards.price_table import price_rows
from rating_service.cli.cards.rate_file import rate_message


@pytest.mark.parametrize(
    ("rate", "rows"),
    [
        ({"unit_price": "3", "unit_size": 1000}, [("", "3 / 1,000")]),
        ({"flat": "3", "scope": "USAGE"}, [("flat", "3"), ("  each usage by itself", "")]),
        (
            {
                "graduated": [{"up_to": 5000, "unit_price": "7", "flat_fee": "1"}, {"unit_price": "6"}],
                "free_units": 1000,
            },
            [
                ("graduated", ""),
                ("  up to 5,000", "7 / 1 + 1"),
                ("  above", "6 / 1"),
                ("  free units", "1,000"),
            ],
        ),
        (
            {"volume": [{"flat_fee": "9"}], "cycle_minimum": "5"},
            [("volume", ""), ("  above", "0 / 1 + 9"), ("  cycle minimum", "5")],
        ),
        (
            {"package": "5", "unit_size": 3, "charge_if": {"outcome": "good"}},
            [("package", "5 / 3"), ("  charged if outcome=good", "")],
        ),
        (
            {"percentage": {"percent": "1.2", "fixed_fee": "0.1"}, "usage_maximum": "12"},
            [("percentage", "1.2 % + 0.1"), ("  usage maximum", "12")],
        ),
        (
            {"graduated_percentage": [{"up_to": 9, "percent": "1"}, {"percent": "2", "flat_fee": "3"}]},
            [("graduated percentage", ""), ("  up to 9", "1 %"), ("  above", "2 % + 3")],
        ),
        ({"multiplier": "1.2", "provider_cost": "0.5"}, [("cost plus", "0.5 x 1.2 / 1")]),
    ],
)
def test_a_price_is_shown_with_its_tiers_and_terms(
    rate: dict[str, object], rows: list[tuple[str, str]]
) -> None:
    message: agreement_pb2.Rate = rate_message({"dimension": "calls", **rate})

    assert price_rows(message) == rows
