"""`rating credit-note`, `rating verify` and pages of documents, against a running service."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from structlog.testing import capture_logs
from typer.testing import CliRunner

from rating_service.cli.main import app
from tests.integration.rating.harness import CONTRACT, Service

INVOICE = "invoices/acme-20260101T000000Z"
NOTE = "creditNotes/acme-20260101T000000Z-1"
ISSUE = ["credit-note", "issue", INVOICE, "--key", "k", "--settlement", "credit", "--reason", "[bold]outage"]


async def rating(service: Service, *arguments: str) -> Any:
    """Run a command in this process, in a terminal of 120 columns, apart from what the service logs."""
    variables = {"RATING_ADDRESS": f"127.0.0.1:{service.parts.served.port}", "COLUMNS": "120"}
    with capture_logs():
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, env=variables)


def forge(url: str) -> None:
    """Change what an invoice says, as the database's owner can."""
    with psycopg.connect(url) as direct:
        direct.execute("ALTER TABLE rating.invoices DISABLE TRIGGER ALL")
        direct.execute(
            "UPDATE rating.invoices SET document = replaced, hash = encode(sha256(replaced), 'hex') FROM (SELECT"
            " convert_to(replace(convert_from(document, 'UTF8'), 'plans/pro', 'plans/pr0'), 'UTF8') AS replaced"
            " FROM rating.invoices) AS new"
        )


async def test_documents_are_credited_shown_set_and_verified(
    service: Service, rating_url: str, tmp_path: Path
) -> None:
    service.ledger.now = datetime(2026, 2, 2, tzinfo=UTC)
    page, note_page = tmp_path / "invoice.html", tmp_path / "note.html"
    await rating(service, "invoice", "issue", CONTRACT, "2026-01-15")
    issued = await rating(service, *ISSUE, "-l", "1=12.50 USD")
    again = await rating(service, *ISSUE, "-l", "1=12.50 USD", "--json")
    shown = await rating(service, "credit-note", "show", NOTE, "--html", str(note_page))
    await rating(service, "invoice", "show", INVOICE, "--html", str(page))
    listed = await rating(service, "credit-note", "list", "--contract", CONTRACT)
    balance = await rating(service, "credit-note", "balance", CONTRACT)
    verified = await rating(service, "verify")

    for screen in (issued.stdout, listed.stdout):
        assert "12.50 USD" in screen
        assert "[bold]outage" in screen
    assert json.loads(again.stdout)["replayed"] is True
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert "Credit note" in note_page.read_text(encoding="utf-8")
    assert "20.00" in page.read_text(encoding="utf-8")
    assert "12.50 USD for later invoices" in balance.stdout
    assert (verified.exit_code, verified.stdout) == (0, "2 documents, 0 adjustments: all as it must be\n")

    await asyncio.to_thread(forge, rating_url)
    forged = await rating(service, "verify", "--json")
    findings = json.loads(forged.stdout)["findings"]
    assert forged.exit_code == 1
    assert 'plan is "plans/pr0", computed again "plans/pro"' in findings[0]["description"]
    assert {"check": "LEDGER_HASH_DIFFERS", "document": INVOICE}.items() <= findings[1].items()


async def test_an_amount_that_is_none_is_refused_before_it_is_sent(service: Service) -> None:
    refused = await rating(service, *ISSUE, "--net", "12,50 USD")

    assert refused.exit_code == 2
    assert "is not an amount such as 12.50 USD" in " ".join(refused.stderr.split())
