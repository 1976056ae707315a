"""The command line's `open`, `update`, `close` and `watch` with rules: a file in, and errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.ledger.test_command_line import CommandLine, error_line, ledger_command

__all__ = ["ledger_command"]

RULES = """\
late_usage_grace: 3600s
alerts:
  entitlement_percents: [50]
  low_balance_units: [20]
spend_cap:
  amount_units: 700
  period: P1M
  anchor_time: 2026-01-01T00:00:00Z
"""


def written(directory: Path, text: str) -> str:
    """Write a file with rules and return its path."""
    path = directory / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def opened(ledger: CommandLine, wallet_id: str, *arguments: str) -> str:
    """Open a wallet."""
    [response] = ledger.json("open", wallet_id, "--customer", "customers/acme", *arguments)
    return str(response["wallet"]["name"])


def test_a_wallet_is_opened_with_the_rules_of_a_file(ledger_command: CommandLine, tmp_path: Path) -> None:
    path = written(tmp_path, RULES)

    arguments = ("open", "ruled", "--customer", "customers/acme", "--rules", path)
    [response] = ledger_command.json(*arguments)

    rules = response["wallet"]["rules"]
    assert rules["late_usage_grace"] == "3600s"
    assert rules["alerts"]["entitlement_percents"] == [50]
    assert rules["spend_cap"] == {
        "amount_units": "700",
        "period": "P1M",
        "zone": "UTC",
        "anchor_time": "2026-01-01T00:00:00Z",
    }


def test_an_update_changes_what_the_file_and_the_options_name(
    ledger_command: CommandLine, tmp_path: Path
) -> None:
    name = opened(ledger_command, "updated", "--rules", written(tmp_path, RULES))
    path = written(tmp_path, json.dumps({"spendCap": None, "lateUsageGrace": "60s"}))

    [response] = ledger_command.json("update", name, "--rules", path, "--overage-limit", "9")

    wallet = response["wallet"]
    assert wallet["rules"]["late_usage_grace"] == "60s"
    assert "spend_cap" not in wallet["rules"]
    assert wallet["rules"]["alerts"]["entitlement_percents"] == [50]
    assert (wallet["overage_limit_units"], wallet["shortfall_mode"]) == ("9", "SHORTFALL_MODE_HARD")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("alerts: [", "not YAML"),
        ("", "expected rules by name"),
        ("- alerts", "expected rules by name"),
        ("alarms: {}", 'no field named "alarms"'),
        ("alerts: {fast_rise: {factor: 3}}", "factor field"),
        ("late_usage_grace: soon", "late_usage_grace field"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(
    ledger_command: CommandLine, tmp_path: Path, text: str, told: str
) -> None:
    path = written(tmp_path, text)

    line = error_line(ledger_command.run("update", "wallets/any", "--rules", path))

    assert line.startswith(f"ledger: --rules: {path}: ")
    assert told in line


def test_a_file_that_is_not_there_and_an_update_of_nothing_are_refused(
    ledger_command: CommandLine, tmp_path: Path
) -> None:
    missing = str(tmp_path / "nowhere.yaml")

    assert "No such file" in error_line(ledger_command.run("update", "wallets/any", "--rules", missing))
    assert "give --rules" in error_line(ledger_command.run("update", "wallets/any"))
    assert "none of HARD" in error_line(ledger_command.run("update", "wallets/any", "--shortfall", "soft"))


def test_a_rule_that_no_wallet_can_have_is_refused_by_the_service(
    ledger_command: CommandLine, tmp_path: Path
) -> None:
    name = opened(ledger_command, "refused")
    path = written(tmp_path, "alerts: {entitlement_percents: [101]}")

    line = error_line(ledger_command.run("update", name, "--rules", path))

    assert line.endswith("(NUMBER_OUT_OF_RANGE)")


def test_a_watch_shows_alerts_with_the_state_that_they_came_with(ledger_command: CommandLine) -> None:
    name = opened(ledger_command, "watched")
    ledger_command.json("grant", name, "1000000")
    ledger_command.json("debit", name, "800000")

    ended = ledger_command.run("watch", name, "--after-version", "1", "--messages", "1")
    [state] = ledger_command.json("watch", name, "--after-version", "1", "--messages", "1")

    lines = ended.stdout.splitlines()
    assert [line.partition("version ")[2] for line in lines] == [
        "4: alert ENTITLEMENT rising at 50 %, 0.20 available",
        "5: alert ENTITLEMENT rising at 80 %, 0.20 available",
        "5: 0.20 CREDIT available, 0.00 held",
    ]
    assert [alert["threshold"] for alert in state["alerts"]] == ["50", "80"]


def test_a_wallet_is_closed_once_its_rest_is_forfeited(ledger_command: CommandLine) -> None:
    name = opened(ledger_command, "closed")
    ledger_command.json("grant", name, "5")

    refused = error_line(ledger_command.run("close", name))
    closed = ledger_command.run("close", name, "--forfeit")
    shown = ledger_command.run("balance", name)

    assert refused.endswith("(WALLET_NOT_EMPTY)")
    assert closed.stdout == f"{name} closed, 5 units forfeited\n"
    assert "closed 20" in shown.stdout
