"""The `rating` command line against a running service: each command once, and what it says when refused."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from credits.rating.v1 import rating_service_pb2
from tests.integration.rating.harness import CARD, CONTRACT, START, WALLET, Service, usage

EXAMPLES = Path("rating_service/examples")
AT = (START + timedelta(days=1)).isoformat()


async def rating(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a terminal of 120 columns."""
    # No ledger listens on port 1: one that happens to run on this machine must not be asked.
    variables = {
        "RATING_ADDRESS": f"127.0.0.1:{service.parts.served.port}",
        "RATING_LEDGER_ADDRESS": "127.0.0.1:1",
        "COLUMNS": "120",
    }
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
    taxed = ["--tax", "VAT=19@DE"]
    issued = await rating(service, "invoice", "issue", CONTRACT, "2026-01-15", *taxed)
    shown = await rating(service, "invoice", "show", "invoices/acme-20260101T000000Z")
    listed = await rating(service, "invoice", "list", "--json")
    traced = await rating(service, "invoice", "trace", "invoices/acme-20260101T000000Z", "3")
    agreed = await rating(service, "invoice", "trace", "invoices/acme-20260101T000000Z", "1")

    assert "3 CREDIT" in quoted.stdout
    assert f"{WALLET}/debits/2: 3,000,000 units, 1,000,000 of them overage" in recorded.stdout
    assert json.loads(preview.stdout)["invoice"]["total"]["nanos"] == "22000000000"
    for screen in (issued.stdout, shown.stdout):
        assert "VAT 19 %, DE" in screen
        assert "26.18 USD" in screen
        assert "Included: 2 CREDIT used of 5 CREDIT" in screen
    assert [each["contract"] for each in json.loads(listed.stdout)["invoices"]] == [CONTRACT]
    assert "u-1" in traced.stdout
    assert "ContractSigned" in agreed.stdout
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


async def test_a_card_file_is_shown_with_what_its_units_mean_and_a_warning_where_it_does_not_say(
    service: Service,
) -> None:
    full = await rating(service, "card", "check", str(EXAMPLES / "llm_full_card.yaml"))
    as_json = await rating(service, "card", "check", str(EXAMPLES / "llm_full_card.yaml"), "--json")
    silent = await rating(service, "card", "check", str(EXAMPLES / "context_window_card.yaml"))

    assert {each.returncode for each in (full, as_json, silent)} == {0}
    assert "seconds: One second of processing." in full.stdout
    assert full.stderr == ""
    card = json.loads(as_json.stdout)
    assert card["name"] == "rateCards/llm-full"
    assert card["unit_definitions"]["requests"] == "One request."
    assert [line.rpartition(" one of ")[2] for line in silent.stderr.splitlines()] == [
        "input_tokens is",
        "output_tokens is",
    ]


async def test_a_plan_file_is_shown_or_refused_with_its_line(service: Service, tmp_path: Path) -> None:
    good = await rating(service, "plan", "check", str(EXAMPLES / "plan_pro.yaml"))
    as_json = await rating(service, "plan", "check", str(EXAMPLES / "plan_pro.yaml"), "--json")
    broken = tmp_path / "plan.yaml"
    broken.write_text("plan: x\nasset: {code: CREDIT, scale: 6}\nphases: [{key: K}]\n", encoding="utf-8")
    bad = await rating(service, "plan", "check", str(broken))

    assert (good.returncode, as_json.returncode, bad.returncode) == (0, 0, 2)
    for words in ("299.00 USD", "100,000 CREDIT", "SOFT", "rateCards/llm-tokens"):
        assert words in good.stdout
    assert json.loads(as_json.stdout)["name"] == "plans/pro"
    assert "plan.yaml:3: phases[0].key:" in bad.stderr


async def test_two_card_files_are_compared(service: Service) -> None:
    old, new = (str(EXAMPLES / name) for name in ("llm_card.yaml", "llm_card_price_cut.yaml"))

    same = await rating(service, "card", "diff", old, old)
    other = await rating(service, "card", "diff", old, new)
    another_asset = await rating(service, "card", "diff", old, str(EXAMPLES / "llm_full_card.yaml"))

    assert "no difference" in same.stdout
    assert "rates: 3 changed, 0 added, 0 removed" in other.stdout
    assert (same.returncode, other.returncode, another_asset.returncode) == (0, 0, 2)


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


async def test_lines_that_tell_no_time_are_refused_with_what_to_do(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "usage.jsonl"
    file.write_text('{"id": "m-1", "usage": {"input_tokens": 5}}', encoding="utf-8")
    told = await rating(
        service, "usage", "record", str(file), "--format", "anthropic", "--contract", CONTRACT
    )

    assert "FIELD_REQUIRED: usage.effective_time is required" in told.stdout
    assert told.stderr == "Lines that do not tell when they happened need --at.\n"
    assert told.returncode == 1


async def test_lines_without_an_id_are_named_by_prefix_and_number(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "usage.jsonl"
    file.write_text('{"input_tokens": 1000}\n' * 2, encoding="utf-8")
    command = ["usage", "record", str(file), "--format", "anthropic", "--contract", CONTRACT, "--at", AT]
    recorded = await rating(service, *command, "--id-prefix", "day-1/")
    again = await rating(service, *command, "--id-prefix", "day-1/")

    assert recorded.stdout.strip() == "2 recorded, 0 replayed, 0 quarantined, 0 refused"
    assert again.stdout.strip() == "0 recorded, 2 replayed, 0 quarantined, 0 refused"


async def test_what_was_used_from_the_command_line(service: Service, tmp_path: Path) -> None:
    spent = usage("u-1", input_tokens=1_000_000)
    spent.properties["model"] = "=cmd"
    await service.rating.RecordUsage(rating_service_pb2.RecordUsageRequest(usage=spent))
    service.ledger.now = START + timedelta(days=9)
    page = tmp_path / "usage.html"
    asked = ["usage", "report", CONTRACT, "--from", "2026-01-01", "--to", "2026-02-01"]
    table = await rating(service, *asked, "--by", "day,model")
    lines = await rating(service, *asked, "--by", "model", "--only", "model==cmd", "--csv")
    written = await rating(service, *asked, "--html", str(page))
    credit = await rating(service, "usage", "credit", CONTRACT, "--json")
    check = await rating(service, "usage", "check")

    assert "2026-01-02   =cmd           1        3         3 " in table.stdout
    assert table.stdout.count("CREDIT") == 2
    assert lines.stdout.splitlines()[1] == "'=cmd,1,0,3000000,3000000,3000000,"
    assert "=cmd" in page.read_text(encoding="utf-8")
    assert json.loads(credit.stdout)["wallet"] == WALLET
    assert "0 differences" in check.stdout
    assert {each.returncode for each in (table, lines, written, credit, check)} == {0}
