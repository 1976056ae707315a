"""The `ledger` command against a live server: exit codes, JSON for machines, errors in one line."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from credits.ledger.v1 import money_pb2, wallet_pb2, wallet_rules_pb2, wallet_service_pb2
from tests.integration.ledger.client import Client, key, timestamp
from tests.postgres import PostgresServer
from tests.servers import WAIT_SECONDS, LedgerServer, environment, execute, free_port, projector, serving


class CommandLine:
    """Runs the command with an address and a database in its environment."""

    def __init__(self, server: LedgerServer, wallet: str, url: str) -> None:
        self.server = server
        self.wallet = wallet
        self.url = url

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        usual = {"address": self.server.address, "database_url": self.url}
        return subprocess.run(
            [sys.executable, "-m", "ledger_service", *arguments],
            env=environment(usual | settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_SECONDS,
        )

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the JSON values that a command prints, which must succeed."""
        ended = self.run(*arguments, "--json")
        assert (ended.returncode, ended.stderr) == (0, "")
        decoder, text, values = json.JSONDecoder(), ended.stdout.strip(), []
        while text:
            value, end = decoder.raw_decode(text)
            values.append(value)
            text = text[end:].lstrip()
        return values


async def _fill(address: str) -> str:
    async with Client(address) as client:
        wallet = await client.open_wallet()
        price = money_pb2.Money(currency_code="USD", nanos=10**10)
        now = (await client.balance(wallet)).as_of_time.ToDatetime()
        await client.grant(wallet, 5_000_000, consideration=price, effective_time=timestamp(now))
        await client.grant(wallet, 1_000_000, reference="welcome")
        await client.debit(wallet, 1_500_000)
        return wallet


@pytest.fixture(scope="module")
def ledger_command(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CommandLine]:
    """The command line beside a ledger with one wallet: 6 CREDIT granted, 1.5 debited."""
    url = postgres_server.create_database()
    logs = tmp_path_factory.mktemp("command_line")
    with (
        projector(logs / "projector.log", database_url=url),
        serving(logs / "ledger.log", database_url=url) as server,
    ):
        yield CommandLine(server, asyncio.run(_fill(server.address)), url)
    postgres_server.drop_database(url)


def error_line(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the one line with which a command failed."""
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    return line


def test_health_is_told_by_its_exit_code(ledger_command: CommandLine, tmp_path: Path) -> None:
    served = ledger_command.run("health")
    with LedgerServer(tmp_path / "standby.log", database_url=ledger_command.url) as standby:
        standby.wait_for_line("listening")
        not_served = ledger_command.run("health", address=standby.address)

    assert (served.returncode, served.stdout) == (0, "SERVING\n")
    assert (not_served.returncode, not_served.stdout) == (1, "NOT_SERVING\n")


@pytest.mark.parametrize("arguments", [["health"], ["balance", "wallets/a"], ["verify"]])
def test_a_ledger_that_does_not_answer_is_named_in_one_line(
    ledger_command: CommandLine, arguments: list[str]
) -> None:
    address = f"127.0.0.1:{free_port()}"

    assert error_line(ledger_command.run(*arguments, address=address)) == (
        f"ledger: no ledger answers at {address}"
    )


def test_an_unknown_wallet_is_an_error_of_one_line_with_its_reason(ledger_command: CommandLine) -> None:
    line = error_line(ledger_command.run("balance", "wallets/nobody"))

    assert line.startswith("ledger: wallets/nobody does not exist")
    assert line.endswith("(WALLET_NOT_FOUND)")


def test_a_malformed_time_is_an_error_of_one_line(ledger_command: CommandLine) -> None:
    line = error_line(ledger_command.run("statement", ledger_command.wallet, "--from", "yesterday"))

    assert line.startswith("ledger: --from: 'yesterday' is not a time")


def test_a_malformed_setting_is_an_error_of_one_line(ledger_command: CommandLine) -> None:
    line = error_line(ledger_command.run("check-history", log_level="loud"))

    assert line.startswith("ledger: LEDGER_LOG_LEVEL")


def test_a_missing_authority_file_is_an_error_of_one_line(ledger_command: CommandLine) -> None:
    line = error_line(ledger_command.run("balance", ledger_command.wallet, "--ca-file", "nowhere.pem"))

    assert "nowhere.pem" in line


def test_the_balance_is_shown_in_assets_and_printed_in_units(ledger_command: CommandLine) -> None:
    [balance] = ledger_command.json("balance", ledger_command.wallet)
    shown = ledger_command.run("balance", ledger_command.wallet)

    assert (balance["available_units"], balance["debited_units"]) == ("4500000", "1500000")
    assert balance["held_units"] == "0", "what is 0 is printed too"
    assert "4.50" in shown.stdout


def test_a_watched_balance_is_one_line_a_state(ledger_command: CommandLine) -> None:
    ended = ledger_command.run("watch", ledger_command.wallet, "--messages", "1", "--json")
    [line] = ended.stdout.splitlines()
    state = json.loads(line)
    shown = ledger_command.run("watch", ledger_command.wallet, "--messages", "1")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert (state["version"], state["balance"]["available_units"]) == ("4", "4500000")
    assert shown.stdout.endswith("version 4: 4.50 CREDIT available, 0.00 held\n")


def test_a_watch_is_resumed_after_a_version_and_refused_in_one_line(ledger_command: CommandLine) -> None:
    [state] = ledger_command.json("watch", ledger_command.wallet, "--after-version", "3", "--messages", "1")
    line = error_line(ledger_command.run("watch", "wallets/nobody"))

    assert state["version"] == "4"
    assert line.endswith("(WALLET_NOT_FOUND)")


async def _spend(address: str) -> str:
    async with Client(address) as client:
        wallet = await client.open_wallet(granted_units=5_000_000)
        rules = wallet_rules_pb2.WalletRules(
            spend_cap=wallet_rules_pb2.SpendCap(amount_units=4_000_000, period="P1M"),
            budgets=[
                wallet_rules_pb2.Budget(budget_id="bots", amount_units=2_000_000, api_key="key-7"),
            ],
        )
        request = wallet_service_pb2.UpdateWalletRequest(
            wallet=wallet_pb2.Wallet(name=wallet, rules=rules),
            update_mask=FieldMask(paths=["rules"]),
            idempotency_key="rules",
        )
        await client.wallets.UpdateWallet(request)
        return wallet


def test_budgets_are_shown_in_assets_and_printed_in_units(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url = postgres_server.create_database()
    with serving(tmp_path / "ledger.log", database_url=url) as server:
        command = CommandLine(server, asyncio.run(_spend(server.address)), url)
        command.json("debit", command.wallet, "500000", "--api-key", "key-7", "--user", "ann")
        command.json("hold", command.wallet, "250000", "--api-key", "key-7")
        spend_cap, budget = command.json("budgets", command.wallet)
        shown = command.run("budgets", command.wallet)
    postgres_server.drop_database(url)

    assert (spend_cap["limit_units"], spend_cap["remaining_units"]) == ("4000000", "3250000")
    assert (budget["budget_id"], budget["used_units"], budget["held_units"]) == ("bots", "500000", "250000")
    assert "spend cap" in shown.stdout
    assert "api_key key-7" in shown.stdout
    assert "1.25" in shown.stdout


def test_grants_are_listed_with_what_is_left(ledger_command: CommandLine) -> None:
    grants = ledger_command.json("grants", ledger_command.wallet)

    assert sorted(int(grant["remaining_units"]) for grant in grants) == [1_000_000, 3_500_000]


def test_a_statement_has_one_line_an_event_and_a_replay_goes_back_to_it(ledger_command: CommandLine) -> None:
    lines = ledger_command.json("statement", ledger_command.wallet, "--from", "2020-01-01")
    [then] = ledger_command.json("replay", ledger_command.wallet, "--as-recorded", lines[1]["record_time"])

    assert [line["posted_units"] for line in lines] == ["0", "5000000", "6000000", "4500000"]
    assert (then["event_count"], then["balance"]["available_units"]) == ("2", "5000000")


def test_events_are_printed_one_a_line_as_stored(ledger_command: CommandLine) -> None:
    events = ledger_command.json("events", "--stream", ledger_command.wallet, "--after", "2")

    assert [event["version"] for event in events] == [3, 4]
    assert events[1]["state"]["event"]["amount_units"] == 1_500_000


def test_wallets_are_listed_by_customer(ledger_command: CommandLine) -> None:
    [wallet] = ledger_command.json("wallets", "--customer", "customers/acme")

    assert wallet["name"] == ledger_command.wallet
    assert ledger_command.json("wallets", "--customer", "customers/other") == []


def test_projections_are_shown_with_their_lag(ledger_command: CommandLine) -> None:
    [response] = ledger_command.json("projections")

    assert [each["name"] for each in response["projections"]] == ["journal", "wallet_view"]
    assert {each["head_position"] for each in response["projections"]} == {"4"}


def test_the_roll_forward_ties(ledger_command: CommandLine) -> None:
    [response] = ledger_command.json("finance", "roll-forward", "--from", "2026-01-01", "--to", "2035-01-01")
    total = {name: int(response["total"][name]["nanos"]) for name in ("opening", "billings", "closing")}

    assert total == {"opening": 0, "billings": 10**10, "closing": 7 * 10**9}
    assert (
        ledger_command.run("finance", "roll-forward", "--from", "2026-01-01", "--to", "2026-01-01").returncode
        == 2
    )
    days = ("--from", "2026-01-01", "--to", "2035-01-01")
    lines = ledger_command.run("finance", "roll-forward", *days, "--csv").stdout.splitlines()
    assert (
        lines[0] == "day,currency,opening,billings,usage,breakage,by_time,drawn_down,refunds,escheat,closing"
    )
    assert lines[-1].split(",")[:4] == ["Total", "USD", "0.00", "10.00"]
    assert lines[-1].endswith(",7.00")


def test_verification_ends_with_1_if_and_only_if_something_is_wrong(ledger_command: CommandLine) -> None:
    reports = ledger_command.json("verify")
    lines = ledger_command.json("check-history")
    execute(ledger_command.url, "UPDATE wallet_view_grants SET drawn_units = drawn_units + 1")
    wrong = ledger_command.run("verify")
    wrong_here = ledger_command.run("check-history", "--json")
    rebuilt = ledger_command.run("rebuild")
    mended = ledger_command.run("verify")

    assert reports[-1]["done"] is True
    assert lines[-1]["done"] is True
    assert (wrong.returncode, wrong_here.returncode) == (1, 1)
    assert "PROJECTION wallet_view" in wrong.stdout
    assert "PROJECTION" in wrong_here.stdout
    assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
    assert (mended.returncode, mended.stderr) == (0, "")
    assert "wallet_view rebuilt at position 4" in rebuilt.stdout


def test_an_unknown_command_is_refused_with_2(ledger_command: CommandLine) -> None:
    assert ledger_command.run("balances").returncode == 2


def test_credit_is_moved_charged_back_and_made_up_for(ledger_command: CommandLine) -> None:
    source, destination = f"w-{key()}", f"w-{key()}"
    for wallet in (source, destination):
        ledger_command.json("open", wallet, "--customer", "customers/acme")
    ledger_command.json("grant", f"wallets/{source}", "10", "--category", "PROMOTIONAL")
    [debit] = ledger_command.json("debit", f"wallets/{source}", "4")
    arguments = ("transfer", f"wallets/{source}", f"wallets/{destination}", "6", "--key", "t")

    [moved] = ledger_command.json(*arguments)
    shown = ledger_command.run(*arguments)
    name = debit["debit"]["name"]
    goodwill = ("grant", f"wallets/{source}", "4", "--category", "PROMOTIONAL", "--compensates", name)
    [made_up] = ledger_command.json(*goodwill)
    refused = error_line(ledger_command.run("charge-back", made_up["grant"]["name"]))

    assert (moved["transfer"]["amount_units"], moved["transfer"]["state"]) == (
        "6",
        "TRANSFER_STATE_SETTLED",
    )
    assert shown.stdout.split() == [
        *f"wallets/{source}/transfers/4 of 6 units to wallets/{destination}: SETTLED".split()
    ]
    assert made_up["grant"]["compensates"] == name
    assert refused.endswith("(GRANT_NOT_REFUNDABLE)")


def test_a_chargeback_prints_what_is_owed(ledger_command: CommandLine) -> None:
    async def bought() -> str:
        async with Client(ledger_command.server.address) as client:
            wallet = await client.open_wallet()
            money = money_pb2.Money(currency_code="EUR", nanos=10**9)
            grant = (await client.grant(wallet, 10, consideration=money)).grant.name
            await client.debit(wallet, 4)
            return grant

    name = asyncio.run(bought())
    arguments = ("charge-back", name, "--reference", "case-7", "--key", "c")

    [answer] = ledger_command.json(*arguments)
    shown = ledger_command.run(*arguments)
    balance = ledger_command.run("balance", name.partition("/grants/")[0])

    assert (answer["revoked_units"], answer["receivable"]["nanos"]) == ("6", "400000000")
    assert shown.stdout == "6 units revoked, 0.40 EUR owed by the customer\n"
    assert "0.40 EUR" in balance.stdout


def test_a_pending_grant_is_activated_from_the_command_line(ledger_command: CommandLine) -> None:
    wallet = new_wallet(ledger_command)
    [answer] = ledger_command.json("grant", wallet, "5", "--category", "PAID", "--pending")
    granted = answer["grant"]

    [activated] = ledger_command.json("activate", granted["name"])

    assert (granted["state"], activated["granted_units"]) == ("GRANT_STATE_PENDING", "5")
    assert "(GRANT_NOT_PENDING)" in error_line(ledger_command.run("activate", granted["name"]))


def test_a_top_up_is_requested_and_settled_from_the_command_line(ledger_command: CommandLine) -> None:
    wallet = new_wallet(ledger_command)
    [answer] = ledger_command.json("top-up", "request", wallet, "500", "--price", "4.99 CHF")
    asked = answer["top_up"]

    [settled] = ledger_command.json("top-up", "settle", asked["name"], "SUCCEEDED", "--payment", "pay-1")

    assert asked["price"] == {"currency_code": "CHF", "nanos": "4990000000"}
    assert (settled["payment_reference"], settled["grant"]) == ("pay-1", f"{wallet}/grants/4")
    refused = error_line(ledger_command.run("top-up", "settle", asked["name"], "FAILED"))
    assert "(TOP_UP_ALREADY_SETTLED)" in refused
    described = ledger_command.run("statement", wallet).stdout
    assert "requested for CHF 4.99" in described
    assert "Top-up 2 succeeded" in described


@pytest.mark.parametrize("price", ["49.90", "x EUR", "0.0000000001 EUR", "NaN EUR", "EUR/49.90"])
def test_a_malformed_price_is_an_error_of_one_line(ledger_command: CommandLine, price: str) -> None:
    ended = ledger_command.run("top-up", "request", ledger_command.wallet, "5", "--price", price)

    assert "is not an amount such as 12.50 USD" in error_line(ended)


def new_wallet(ledger_command: CommandLine) -> str:
    """Open a wallet of its own and return its name."""
    [opened] = ledger_command.json("open", f"w-{uuid4().hex}", "--customer", "customers/topped-up")
    return str(opened["wallet"]["name"])
