"""Legal entities on the command line: wallets of theirs, the currency of their books, and exchange rates."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from ledger_service.cli.main import app
from tests.integration.ledger.test_finance_commands import Terminal
from tests.servers import LedgerServer

BEGIN = ("--from", "2025-12-01")
EUR, USD = ("--price", "10 EUR"), ("--price", "10 USD")


class Company:
    """An entity, and a wallet of it."""

    def __init__(self, address: str) -> None:
        self.terminal = Terminal(address)
        self.entity = f"eu-{uuid4().hex[:12]}"
        self.name = f"entities/{self.entity}"
        wallet_id = uuid4().hex
        opened = self.terminal.json("open", wallet_id, "--customer", self.customer, "--entity", self.entity)
        self.wallet = opened["wallet"]["name"]
        assert opened["wallet"]["entity"] == self.entity

    @property
    def customer(self) -> str:
        """Return the customer of the wallet."""
        return f"customers/{self.entity}"

    def sell(self, *options: str) -> tuple[str, str, str]:
        """Sell 100 units at a price, and return the entity, and its currency and rate."""
        terms = self.terminal.json("sell", self.wallet, "100", *options)["grant"]["finance"]
        return terms["entity"], terms["functional_currency_code"], terms["exchange_rate"]

    def lots(self, count: int) -> list[dict[str, Any]]:
        """Return the paid lots of the wallet, once the projector has seen so many."""
        lots: list[dict[str, Any]] = []
        while len(lots) < count:
            lots = self.terminal.json("finance", "paid-lots", self.wallet)["lots"]
        return lots

    def set_rate(self, currency: str, rate: str, *options: str) -> dict[str, Any]:
        """State a rate and return it."""
        arguments = ("finance", "set-rate", self.name, currency, rate, *options)
        stated: dict[str, Any] = self.terminal.json(*arguments)["exchange_rate"]
        return stated

    def refusal(self, *arguments: str) -> str:
        """Return how a command that must fail is refused."""
        # What begins with a hyphen follows the options.
        ended = CliRunner().invoke(app, self._at_address(arguments))
        assert ended.exit_code != 0
        return ended.output

    def _at_address(self, arguments: tuple[str, ...]) -> list[str]:
        place = arguments.index("--") if "--" in arguments else len(arguments)
        return [*arguments[:place], "--address", self.terminal.address, *arguments[place:]]


@pytest.fixture
def company(running_sandbox: LedgerServer) -> Company:
    """A company."""
    return Company(running_sandbox.address)


def test_a_wallet_sells_for_its_entity_unless_another_is_named(company: Company) -> None:
    sold, by_other = company.sell(*USD), company.sell(*USD, "--entity", "other")
    lots = company.lots(2)

    assert [sold, by_other] == [(company.entity, "", ""), ("other", "", "")]
    assert [lot["entity"] for lot in lots] == [company.entity, "other"]
    assert company.entity in company.terminal.run("wallets", "--customer", company.customer, "--json")


def test_a_sale_takes_the_rate_in_force_and_without_one_it_is_refused(company: Company) -> None:
    terminal = company.terminal
    terminal.run("finance", "set-currency", company.name, "USD", "--key", "k")
    again = terminal.json("finance", "set-currency", company.name, "USD", "--key", "k")
    refused = company.refusal("sell", company.wallet, "100", *EUR)
    first = company.set_rate("EUR", "1.1", *BEGIN, "--source", "ECB")
    company.set_rate("EUR", "1.3", "--from", "2100-01-01")
    company.set_rate("EUR", "1.2", *BEGIN)
    sold = [company.sell(*options) for options in (EUR, USD)]
    stated = company.sell(*EUR, "--rate", "1.5")

    assert again["replayed"]
    assert "EXCHANGE_RATE_REQUIRED" in refused
    assert first["source"] == "ECB"
    assert sold == [(company.entity, "USD", "1.2"), (company.entity, "", "")]
    assert stated == (company.entity, "USD", "1.5")
    assert company.lots(3)[0]["consideration"] == {"currency_code": "USD", "nanos": "12000000000"}
    _check_history(company)


def test_a_top_up_is_sold_into_a_pool_of_the_entitys_books_at_the_rate_of_its_settlement(
    company: Company,
) -> None:
    terminal = company.terminal
    terminal.run("finance", "set-currency", company.name, "USD")
    pool = terminal.json(
        *("finance", "create-pool", company.entity, "--currency", "USD", "--method", "REMOTE"),
        *("--entity", company.entity),
    )["pool"]["name"]
    ask = ("top-up", "request", company.wallet, "100", *EUR, "--pool", pool)
    top_up = terminal.json(*ask)["top_up"]["name"]
    pay = ("top-up", "settle", top_up, "SUCCEEDED", "--tax", "1.90 EUR")
    other = company.refusal(*ask, "--books", "GBP")
    without = company.refusal(*pay)
    company.set_rate("EUR", "1.2", *BEGIN)
    terminal.run(*pay)
    (lot,) = company.lots(1)

    assert "FIELD_MALFORMED" in other
    assert "EXCHANGE_RATE_REQUIRED" in without
    assert (lot["entity"], lot["pool"], lot["consideration"]["currency_code"]) == (
        company.entity,
        pool,
        "USD",
    )


def test_credit_that_nobody_paid_for_is_outstanding_of_the_wallets_entity(company: Company) -> None:
    company.terminal.run("grant", company.wallet, "7")
    rows: list[dict[str, Any]] = []
    while not rows:
        rows = company.terminal.json("finance", "outstanding", "--entity", company.entity).get("rows", [])

    assert [(row["entity"], row["category"], row["outstanding_units"]) for row in rows] == [
        (company.entity, "PROMOTIONAL", "7")
    ]


def _check_history(company: Company) -> None:
    shown = company.terminal.run("finance", "rates", company.name, "--currency", "EUR", "--json").splitlines()
    text = "\n".join(shown)

    assert text.count('"replaced": true') == 1
    assert text.count('"rate": "1.1"') == text.count('"rate": "1.2"') == text.count('"rate": "1.3"') == 1
    assert "USD" in company.terminal.run("finance", "rates", company.name)


@pytest.mark.parametrize(
    ("currency", "rate", "reason"),
    [
        ("EUR", "0", "AMOUNT_NOT_POSITIVE"),
        ("EUR", "-1", "AMOUNT_NOT_POSITIVE"),
        ("EUR", "one", "FIELD_MALFORMED"),
        ("USD", "1.1", "FIELD_NOT_ALLOWED"),
    ],
)
def test_what_is_no_rate_is_refused_by_name(company: Company, currency: str, rate: str, reason: str) -> None:
    without = company.refusal("finance", "set-rate", company.name, "EUR", "1.1", *BEGIN)
    company.terminal.run("finance", "set-currency", company.name, "USD")
    twice = company.refusal("finance", "set-currency", company.name, "EUR")

    assert "FUNCTIONAL_CURRENCY_REQUIRED" in without
    assert "FUNCTIONAL_CURRENCY_FIXED" in twice
    refused = company.refusal("finance", "set-rate", company.name, *BEGIN, "--key", "k", "--", currency, rate)
    assert reason in refused
