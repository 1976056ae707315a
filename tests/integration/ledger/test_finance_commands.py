"""The commands of finance on the command line, each as a person and as a program would use it."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from ledger_service.cli.main import app
from tests.servers import LedgerServer


class Terminal:
    """Runs commands against a running ledger."""

    def __init__(self, address: str) -> None:
        self.address = address

    def run(self, *arguments: str) -> str:
        """Return what a command prints, which must succeed."""
        ended = CliRunner().invoke(app, [*arguments, "--address", self.address])
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    def json(self, *arguments: str) -> dict[str, Any]:
        """Return the JSON that a command prints, which must succeed."""
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json"))
        return found

    def refused(self, *arguments: str) -> int:
        """Return the exit code of a command that must fail."""
        return CliRunner().invoke(app, [*arguments, "--address", self.address]).exit_code


@pytest.fixture
def terminal(running_sandbox: LedgerServer) -> Terminal:
    """A command line beside a ledger."""
    return Terminal(running_sandbox.address)


def test_a_lot_is_sold_estimated_refunded_and_given_up(terminal: Terminal) -> None:
    wallet = f"wallets/{uuid4().hex}"
    terminal.run("open", wallet.partition("/")[2], "--customer", "customers/acme")
    sold = terminal.json(
        *("sell", wallet, "100", "--price", "0.000001 EUR"),
        *("--breakage", "0.1", "--tax", "0.000000007 EUR"),
    )
    lot = sold["grant"]["name"]
    terminal.run("debit", wallet, "45")
    terminal.run("finance", "revise-estimate", lot, "--breakage", "0.25")
    refund = terminal.json("refund", lot, "--units", "10")
    paid = terminal.run("finance", "settle-refund", refund["name"], "--reference", "transfer 9")
    terminal.run("revoke", lot, "--units", "5")
    terminal.run("finance", "escheat", lot, "0.5", "--jurisdiction", "Delaware")
    position = terminal.json("finance", "declare-remote", lot)["position"]
    lots: dict[str, Any] = {}
    while not lots or int(lots["position"]) < int(position):
        lots = terminal.json("finance", "paid-lots", wallet)
    figures = {
        name: int(lots["lots"][0][name]["nanos"]) for name in ("usage", "refunds", "contract_liability")
    }

    assert sold["grant"]["finance"]["expected_breakage"] == "0.1"
    assert "0.0000001 EUR" in paid
    assert figures == {"usage": 450, "refunds": 100, "contract_liability": 0}
    assert lot.rpartition("/")[2] in terminal.run("finance", "paid-lots", wallet)


def test_a_top_up_is_sold_on_terms_and_its_grant_says_so(terminal: Terminal, tmp_path: Path) -> None:
    wallet = f"wallets/{uuid4().hex}"
    terminal.run("open", wallet.partition("/")[2], "--customer", "customers/acme")
    terms = tmp_path / "terms.yaml"
    terms.write_text(
        "standalone_price: {currency_code: EUR, nanos: 300}\n"
        "bundle: [{product: setup, standalone_price: {currency_code: EUR, nanos: 100}}]\n"
    )
    asked = terminal.json(
        *("top-up", "request", wallet, "100", "--price", "0.000001 EUR"),
        *("--terms-file", str(terms), "--product", "packs"),
    )
    paid = terminal.json("top-up", "settle", asked["top_up"]["name"], "SUCCEEDED", "--tax", "0.00000019 EUR")
    refund = terminal.json("refund", paid["grant"], "--units", "50")
    listed: dict[str, Any] = {}
    while not listed:
        found = terminal.run("grants", wallet, "--json")
        listed = json.loads(found) if found.strip() else {}

    assert listed["finance"]["product"] == "packs"
    assert listed["finance"]["bundle"][0]["amount"]["nanos"] == "250"
    assert refund["tax"]["nanos"] == "71"
    assert "Sold for" in terminal.run("grants", wallet)


def test_credit_and_usage_of_another_day_count_on_that_day(terminal: Terminal, tmp_path: Path) -> None:
    wallet, rules = f"wallets/{uuid4().hex}", tmp_path / "rules.yaml"
    rules.write_text("late_usage_grace: 864000s")
    terminal.run("open", wallet.partition("/")[2], "--customer", "customers/acme", "--rules", str(rules))
    sold = terminal.json("sell", wallet, "100", "--price", "1 EUR", "--effective", "2025-01-01")
    bonus = terminal.json(
        *("grant", wallet, "20", "--purchase", sold["grant"]["name"], "--effective", "2025-01-02")
    )
    used = terminal.json("debit", wallet, "10", "--at", "2025-01-03T12:00:00Z")

    assert sold["grant"]["effective_time"] == "2025-01-01T00:00:00Z"
    assert bonus["grant"]["purchase"] == sold["grant"]["name"]
    assert used["debit"]["effective_time"] == "2025-01-03T12:00:00Z"


def test_what_a_lot_carries_is_what_was_paid_less_all_that_became_of_it(terminal: Terminal) -> None:
    wallet, other, customer = (f"{kind}/{uuid4().hex}" for kind in ("wallets", "wallets", "customers"))
    for name in (wallet, other):
        terminal.run("open", name.partition("/")[2], "--customer", customer)
    lot = terminal.json("sell", wallet, "100", "--price", "1 EUR", "--breakage", "0.2")["grant"]["name"]
    terminal.run("debit", wallet, "40")
    terminal.run("refund", lot, "--units", "10")
    terminal.run("finance", "escheat", lot, "0.1")
    terminal.run("transfer", wallet, other, "15")
    since = terminal.json("finance", "revise-estimate", lot, "--breakage", "0.2")["position"]
    terminal.run("finance", "periods", uuid4().hex, "--min-position", since)
    [row] = csv.DictReader(StringIO(terminal.run("finance", "paid-lots", wallet, "--csv")))
    gone = [Decimal(row[name]) for name in ("usage", "breakage", "refunds", "moved", "escheat")]

    assert gone == [Decimal(text) for text in ("0.4", "0.1", "0.1", "0.15", "0.05")]
    assert Decimal(row["consideration"]) - sum(gone) == Decimal(row["liability"])


def test_a_pool_is_created_and_revised(terminal: Terminal) -> None:
    pool = terminal.json("finance", "create-pool", uuid4().hex, "--currency", "EUR", "--breakage", "0.2")[
        "pool"
    ]["name"]

    assert "revised" in terminal.run("finance", "revise-estimate", pool, "--breakage", "0.3")
    assert terminal.refused("finance", "create-pool", "p", "--method", "HOPE") == 2


def test_a_period_is_closed_and_listed(terminal: Terminal) -> None:
    entity = uuid4().hex
    span = ("--from", "2025-11-01", "--to", "2025-12-01")
    closed = terminal.json("finance", "close-period", *span, "--entity", entity)
    since = ("--min-position", closed["position"])
    listed = terminal.json("finance", "periods", entity, *since)["periods"]

    assert [period["figures_hash"] for period in listed] == [closed["period"]["figures_hash"]]
    assert "2025-11-01" in terminal.run("finance", "periods", entity, *since)
    assert terminal.refused("finance", "close-period", *span, "--entity", entity) == 2


def test_the_journal_is_shown_by_day(terminal: Terminal) -> None:
    rows = terminal.json(
        "finance", "journal-days", "--from", "2026-01-01", "--to", "2035-01-01", "--currency", "EUR"
    )["rows"]

    assert sum(int(row["amount"]["nanos"]) for row in rows) == 0
    assert "Debit" in terminal.run("finance", "journal-days", "--from", "2026-01-01", "--to", "2026-01-02")


def test_lists_of_the_books_are_whole_however_small_their_pages(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet, entity = f"wallets/{uuid4().hex}", uuid4().hex
    terminal.run("open", wallet.partition("/")[2], "--customer", "customers/acme", "--entity", entity)
    for _ in range(3):
        terminal.run("sell", wallet, "100", "--price", "1 EUR")
    since = terminal.json("debit", wallet, "150")["position"]
    terminal.run("finance", "periods", entity, "--min-position", since)
    monkeypatch.setattr("ledger_service.cli.finance_rows.PAGE_SIZE", 1)
    span = ("--from", "2025-01-01", "--to", "2034-12-31", "--currency", "EUR", "--entity", entity)

    lots = list(csv.DictReader(StringIO(terminal.run("finance", "paid-lots", wallet, "--csv"))))
    days = list(csv.DictReader(StringIO(terminal.run("finance", "journal-days", *span, "--csv"))))
    assert [(lot["left"], lot["liability"]) for lot in lots] == [
        ("0", "0.00"),
        ("50", "0.50"),
        ("100", "1.00"),
    ]
    assert {(day["account"], day["debit"], day["credit"]) for day in days} == {
        ("Cash", "3.00", "0.00"),
        ("ContractLiability", "0.00", "3.00"),
        ("ContractLiability", "1.50", "0.00"),
        ("Revenue:Usage", "0.00", "1.50"),
    }
    assert terminal.json("finance", "journal-days", *span, "--known", "2025-02-01")["rows"] == []
