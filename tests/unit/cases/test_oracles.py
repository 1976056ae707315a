"""The oracles themselves, held to published examples and to sums that must come out."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.oracle.amounts import Object, half_up, text
from tests.oracle.rating import Tier, graduated, package, split, volume
from tests.oracle.recognition_cases import recognition_case
from tests.oracle.recognition_reports import report
from tests.oracle.wallet import NEVER, Lot, Wallet

FONTS = [
    Tier(Fraction(5), Fraction(7), Fraction(0)),
    Tier(Fraction(10), Fraction("6.5"), Fraction(0)),
    Tier(None, Fraction(6), Fraction(0)),
]
"""Stripe's example of tiered prices."""


def test_points_whose_estimate_falls_are_revenue_as_in_the_published_example() -> None:
    """KPMG Revenue: IFRS 15 handbook (2019), Example 10B."""
    events: list[Object] = [
        {
            "t": "2021-01-01",
            "type": "grant",
            "id": "pts",
            "units": "10000",
            "consideration": "9000",
            "expected_redeemed_units": "9700",
        },
        {"t": "2022-06-30", "type": "debit", "id": "y2", "units": "4500"},
        {"t": "2023-06-30", "type": "debit", "id": "y3", "units": "4000"},
        {
            "t": "2023-12-31",
            "type": "estimate",
            "id": "est",
            "lots": ["pts"],
            "expected_redeemed_units": "9200",
        },
    ]
    periods: list[Object] = [
        {"from": f"{year}-01-01", "to": f"{year + 1}-01-01"} for year in (2021, 2022, 2023)
    ]
    policy = {"breakage_method": "proportional", "precision": "1"}

    rows = report(policy, events, periods)["rollforward"]

    assert [row["recognised_usage"] for row in rows] == ["0", "4050", "3600"]
    assert [row["recognised_breakage"] for row in rows] == ["0", "125", "540"]
    assert [row["closing"] for row in rows] == ["9000", "4825", "685"]


@pytest.mark.parametrize("seed", range(20))
def test_every_entry_of_a_written_case_balances_and_every_row_adds_up(seed: int) -> None:
    case = recognition_case(seed)

    for entry in case["expected"]["journal"]:
        signed = [Fraction(line.get("debit", 0)) - Fraction(line.get("credit", 0)) for line in entry["lines"]]
        assert abs(sum(signed, Fraction(0))) <= Fraction(len(signed), 10**6)
    for row in case["expected"]["rollforward"]:
        gone = ("recognised_usage", "recognised_breakage", "refunds", "escheat")
        left = (
            Fraction(row["opening"]) + Fraction(row["billings"]) - sum(Fraction(row[name]) for name in gone)
        )
        assert left == Fraction(row["closing"])


@pytest.mark.parametrize(
    ("quantity", "by_volume", "by_tier"), [(1, "7", "7"), (6, "39", "41.5"), (20, "120", "127.5")]
)
def test_fonts_cost_what_stripe_says(quantity: int, by_volume: str, by_tier: str) -> None:
    assert text(volume(FONTS, Fraction(quantity))) == by_volume
    assert text(graduated(FONTS, Fraction(quantity))) == by_tier


def test_a_package_is_paid_as_soon_as_it_is_begun() -> None:
    assert [package(100, Fraction(5), 100, quantity) for quantity in (100, 101, 200, 201)] == [0, 5, 5, 10]


def test_parts_of_a_total_add_up_to_it() -> None:
    assert split(1000, [1, 1, 1]) == [334, 333, 333]


@pytest.mark.parametrize(("amount", "rounded"), [("0.125", "0.13"), ("-0.125", "-0.13"), ("0.1249", "0.12")])
def test_halves_go_away_from_zero(amount: str, rounded: str) -> None:
    assert text(half_up(Fraction(amount), Fraction(1, 100))) == rounded


def test_a_capture_takes_the_front_and_gives_the_rest_back() -> None:
    wallet = Wallet()
    for number, amount in enumerate((4, 6)):
        lot = Lot(
            grant_id=f"g{number}",
            amount=amount,
            start=0,
            end=NEVER,
            priority=number,
            promo=False,
            scope=(),
            number=number,
        )
        wallet.grant(lot, 0)

    wallet.hold("h", 8, 1, ttl=10)
    wallet.capture("c", "h", 5, 2, final=True)

    assert [lot.free for lot in wallet.lots.values()] == [0, 5]
    assert wallet.results == ["OK", "OK"]
