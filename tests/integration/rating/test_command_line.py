"""The `rating` command line against a running service: each command once, and what it says when refused."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from tests.integration.rating.harness import CARD, CONTRACT, START, WALLET, Service

EXAMPLES = Path("rating_service/examples")
AT = (START + timedelta(days=1)).isoformat()


async def rating(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a terminal of 120 columns."""
    variables = {"RATING_ADDRESS": f"127.0.0.1:{service.parts.served.port}", "COLUMNS": "120"}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "rating_service", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_customers_month_from_the_command_line(service: Service) -> None:
    await service.ledger.grant(
        WALLET, 2_000_000, category="INCLUDED", contract=CONTRACT, effective_time=START
    )
    price = ["-q", "input_tokens=1_000_000", "-p", "context_tokens=1", "--at", AT]
    quoted = await rating(service, "quote", "--card", CARD, *price)
    recorded = await rating(service, "usage", "record", "u-1", "--contract", CONTRACT, *price)
    service.ledger.now = START + timedelta(days=60)
    preview = await rating(service, "invoice", "preview", CONTRACT, "2026-01-15", "--json")
    issued = await rating(service, "invoice", "issue", CONTRACT, "2026-01-15")
    shown = await rating(service, "invoice", "show", "invoices/acme-20260101T000000Z")
    listed = await rating(service, "invoice", "list", "--json")
    traced = await rating(service, "invoice", "trace", "invoices/acme-20260101T000000Z", "3")

    assert "3 whole assets" in quoted.stdout
    assert f"{WALLET}/debits/2: 3,000,000 units, 1,000,000 of them overage" in recorded.stdout
    assert json.loads(preview.stdout)["invoice"]["total"]["nanos"] == "22000000000"
    for screen in (issued.stdout, shown.stdout):
        assert "22.00 USD" in screen
        assert "Included: 2 CREDIT used of 5 CREDIT" in screen
    assert [each["contract"] for each in json.loads(listed.stdout)["invoices"]] == [CONTRACT]
    assert "u-1" in traced.stdout
    assert {each.returncode for each in (quoted, recorded, preview, issued, shown, listed, traced)} == {0}


async def test_a_refusal_is_one_line_with_its_reason_and_exit_code_one(service: Service) -> None:
    refused = await rating(service, "invoice", "show", "invoices/none")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[-1] == (
        "rating: NOT_FOUND INVOICE_NOT_FOUND: invoices/none was not issued"
    )


async def test_a_card_file_is_shown_or_refused_with_its_line(service: Service, tmp_path: Path) -> None:
    good = await rating(service, "card", "check", str(EXAMPLES / "llm_card.yaml"))
    broken = tmp_path / "card.yaml"
    broken.write_text("rate_card: x\nasset: {code: CREDIT}\n", encoding="utf-8")
    bad = await rating(service, "card", "check", str(broken))

    assert (good.returncode, bad.returncode) == (0, 2)
    assert "input_tokens" in good.stdout
    assert "card.yaml" in bad.stderr
    assert "Traceback" not in bad.stderr


async def test_a_file_of_responses_is_recorded_once_and_what_cannot_be_rated_is_retried(
    service: Service, tmp_path: Path
) -> None:
    lines = [
        {"id": "r-1", "usage": {"prompt_tokens": 1000, "completion_tokens": 10}},
        {"id": "r-2", "usage": {"prompt_tokens": 40_000, "completion_tokens": 1}},
        {"usage": {"prompt_tokens": 1}},
    ]
    file = tmp_path / "usage.jsonl"
    file.write_text("\n\n".join(map(json.dumps, lines)), encoding="utf-8")
    command = ["usage", "record", str(file), "--format", "openai", "--contract", CONTRACT, "--at", AT]
    first = await rating(service, *command)
    again = await rating(service, *command, "--json")
    report = json.loads(again.stdout)
    listed = await rating(service, "quarantine", "list")
    retried = await rating(service, "quarantine", "retry", "--reason", "BEYOND_LAST_TIER", "--json")
    name = "quarantinedUsages/1"
    dismissed = await rating(service, "quarantine", "dismiss", name, "--reason", "test", "--actor", "ann")

    assert first.stdout.splitlines()[0] == "1 recorded, 0 replayed, 1 quarantined, 1 refused"
    assert (first.returncode, again.returncode) == (1, 1)
    assert {key: report[key] for key in ("recorded", "replayed", "quarantined", "refused")} == {
        "recorded": 0,
        "replayed": 1,
        "quarantined": 1,
        "refused": 1,
    }
    assert [(each["line"], each["reason"]) for each in report["problems"]] == [
        (3, "BEYOND_LAST_TIER"),
        (5, "FIELD_REQUIRED"),
    ]
    assert name in listed.stdout
    assert (json.loads(retried.stdout)["recorded"], json.loads(retried.stdout)["left"]) == (0, 1)
    assert "dismissed" in dismissed.stdout
    assert {each.returncode for each in (listed, retried, dismissed)} == {0}


async def test_lines_without_an_id_are_named_by_prefix_and_number(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "usage.jsonl"
    file.write_text('{"input_tokens": 1000}\n' * 2, encoding="utf-8")
    command = ["usage", "record", str(file), "--format", "anthropic", "--contract", CONTRACT, "--at", AT]
    recorded = await rating(service, *command, "--id-prefix", "day-1/")
    again = await rating(service, *command, "--id-prefix", "day-1/")

    assert recorded.stdout.strip() == "2 recorded, 0 replayed, 0 quarantined, 0 refused"
    assert again.stdout.strip() == "0 recorded, 2 replayed, 0 quarantined, 0 refused"
