"""Terms of sales on the command line: read from options and files, and shown in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from credits.ledger.v1 import money_pb2, sale_terms_pb2, wallet_pb2
from ledger_service.cli.sale_options import read_terms, show_sale

EUR_100 = money_pb2.Money(currency_code="EUR", nanos=100_000_000_000)
EUR_19 = money_pb2.Money(currency_code="EUR", nanos=19_000_000_000)


def sold(**terms: object) -> str:
    """Return how a grant that was sold for 100 EUR is shown."""
    finance = sale_terms_pb2.SaleTerms(**terms)  # type: ignore[arg-type]
    return show_sale(wallet_pb2.Grant(consideration=EUR_100, finance=finance))


def test_a_grant_that_was_not_sold_shows_nothing() -> None:
    assert show_sale(wallet_pb2.Grant()) == ""


@pytest.mark.parametrize(
    ("terms", "shown"),
    [
        ({}, "100.00 EUR"),
        ({"tax": EUR_19}, "100.00 EUR + 19.00 EUR tax"),
        (
            {"functional_currency_code": "USD", "exchange_rate": "1.1", "entity": "eu", "product": "packs"},
            "100.00 EUR at 1.1 USD (eu/packs)",
        ),
        ({"pool": "breakagePools/packs"}, "100.00 EUR packs"),
        ({"expected_breakage": "0.1"}, "100.00 EUR breakage 0.1"),
        ({"expected_redeemed_units": 9}, "100.00 EUR estimated"),
        ({"bundle": [sale_terms_pb2.BundledItem(product="support")]}, "100.00 EUR with support"),
    ],
)
def test_a_sale_is_shown_in_one_line(terms: dict[str, object], shown: str) -> None:
    assert sold(**terms) == shown


def test_no_option_and_no_file_are_no_terms() -> None:
    assert read_terms(None) is None


def test_an_option_changes_what_a_file_says(tmp_path: Path) -> None:
    file = tmp_path / "terms.yaml"
    file.write_text("product: packs\nexpected_breakage: '0.1'\n")

    assert read_terms(file, product="credits", tax="19 EUR") == sale_terms_pb2.SaleTerms(
        product="credits", expected_breakage="0.1", tax=EUR_19
    )


@pytest.mark.parametrize("text", ["unknown: 1", "- a list", "[", "expected_redeemed_units: many"])
def test_a_file_that_says_no_terms_ends_the_command(text: str, tmp_path: Path) -> None:
    file = tmp_path / "terms.yaml"
    file.write_text(text)

    with pytest.raises(typer.Exit):
        read_terms(file)
    with pytest.raises(typer.Exit):
        read_terms(tmp_path / "none.yaml")
