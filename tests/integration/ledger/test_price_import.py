"""Price lists from the command line to the ledger: imported, imported again, imported anew, and compared."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from credits.ledger.v1 import rate_card_service_pb2
from tests.integration.ledger.client import Client, key, send
from tests.servers import LedgerServer

FIRST = {
    "a": {"litellm_provider": "acme", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
    "b": {"litellm_provider": "acme", "input_cost_per_token": 3e-6},
    "c": {"litellm_provider": "bolt", "input_cost_per_token": 4e-6},
}
SECOND = FIRST | {
    "a": {"litellm_provider": "acme", "input_cost_per_token": 5e-7, "output_cost_per_token": 2e-6},
    "d": {"litellm_provider": "acme", "input_cost_per_token": 7e-6},
}


async def rating(server: LedgerServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of rating against the ledger."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "rating_service", *arguments],
        env={**os.environ, "RATING_LEDGER_ADDRESS": server.address, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
    )


class Imports:
    """Imports lists into one card, each from a later instant than the one before unless told."""

    def __init__(self, server: LedgerServer, client: Client, directory: Path) -> None:
        self.server, self.client, self.directory = server, client, directory
        self.card = f"l-{key()}"
        self.days = 0

    async def run(self, prices: dict[str, Any], *options: str) -> dict[str, Any]:
        """Import a list and return what the command says of it."""
        file = self.directory / "list.json"
        file.write_text(json.dumps(prices), encoding="utf-8")
        self.days += 1
        instant = await self.client.clock() + timedelta(days=self.days)
        done = await rating(
            self.server,
            *("prices", "import", "litellm", str(file), "--card", self.card, "--from", instant.isoformat()),
            *("--markup", "1.2", "--credit-rate", "0.01 USD", "--publish", "--json", *options),
        )
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    async def prices(self, phase: int) -> dict[tuple[str, str], str]:
        """Return the prices of a published phase by model and dimension."""
        request = rate_card_service_pb2.GetRateCardRequest(name=f"rateCards/{self.card}")
        card = (await send(self.client.rate_cards.GetRateCard, request)).rate_card
        rates = card.phases[phase - 1].rates
        return {(rate.match["model"], rate.dimension): rate.unit.unit_price for rate in rates}


@pytest.fixture
def imports(running_sandbox: LedgerServer, sandbox: Client, tmp_path: Path) -> Imports:
    """Imports into a card of the test's own."""
    return Imports(running_sandbox, sandbox, tmp_path)


async def test_a_list_is_published_once_and_a_newer_one_as_a_phase_of_what_changed(imports: Imports) -> None:
    first = await imports.run(FIRST)
    again = await imports.run(FIRST)
    newer = await imports.run(SECOND)
    newer_again = await imports.run(SECOND)

    card = f"rateCards/{imports.card}"
    assert [each["phase"] for each in (first, again, newer, newer_again)] == [
        f"{card}/phases/1",
        "",
        f"{card}/phases/2",
        "",
    ]
    assert (first["models"], first["rates"], first["diff"]) == (3, 4, None)
    assert again["diff"]["changes"] == newer_again["diff"]["changes"] == []
    assert newer["diff"]["models_added"] == ["d"]
    assert [(each["kind"], each["model"], each["percent"]) for each in newer["diff"]["changes"]] == [
        ("changed", "a", "-50.00"),
        ("added", "d", ""),
    ]
    old, new = await imports.prices(1), await imports.prices(2)
    assert old["a", "input_tokens"] == "120"
    assert {at: price for at, price in new.items() if old.get(at) != price} == {
        ("a", "input_tokens"): "60",
        ("d", "input_tokens"): "840",
    }


async def test_a_change_outside_the_selection_publishes_nothing(imports: Imports) -> None:
    await imports.run(FIRST, "--provider", "bolt")

    again = await imports.run(SECOND, "--provider", "bolt")

    assert again["phase"] == ""
    assert await imports.prices(1) == {("c", "input_tokens"): "480"}


async def test_phases_and_files_are_compared(imports: Imports, tmp_path: Path) -> None:
    await imports.run(FIRST)
    await imports.run(SECOND, "-o", str(tmp_path / "card.yaml"))
    card = f"rateCards/{imports.card}"

    table = await rating(imports.server, "card", "diff", f"{card}/phases/1", card)
    same = await rating(imports.server, "card", "diff", str(tmp_path / "card.yaml"), card, "--json")
    absent = await rating(imports.server, "card", "diff", f"{card}/phases/3", card)
    republished = await rating(imports.server, "card", "publish", str(tmp_path / "card.yaml"))

    assert (table.returncode, same.returncode, absent.returncode) == (0, 0, 2)
    assert "-50.00 %" in table.stdout
    assert "rates: 1 changed, 1 added, 0 removed; models: 1 added, 0 removed" in table.stdout
    assert json.loads(same.stdout)["changes"] == json.loads(same.stdout)["terms"] == []
    assert f"{card}/phases/3 is not published" in " ".join(absent.stderr.replace("│", "").split())
    assert "was published before" in republished.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--publish",), "--from is needed"),
        (("--markup", "0"), "--markup: must be above 0"),
        (("--markup", "1e1"), "is not a decimal number"),
        (("--credit-rate", "0.01 EUR"), "must be in the list's currency"),
        (("--asset", "CREDIT"), "--credit-rate is needed"),
        (("--model", "x*"), "no prices of models"),
    ],
)
async def test_options_that_cannot_be_used_are_told(
    imports: Imports, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    file = tmp_path / "list.json"
    file.write_text(json.dumps(FIRST), encoding="utf-8")

    refused = await rating(imports.server, "prices", "import", "litellm", str(file), *options)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert told in " ".join(refused.stderr.replace("│", "").split())


async def test_an_import_without_publishing_only_counts(imports: Imports, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    prices = FIRST | {"e": {"search_context_cost_per_query": {}, "output_cost_per_image": 1}}
    file.write_text(json.dumps(prices), encoding="utf-8")

    counted = await rating(
        imports.server, "prices", "import", "litellm", str(file), "--credit-rate", "0.03 USD"
    )

    assert counted.returncode == 0, counted.stderr
    assert "4 models, 5 rates; 0 models without a price" in counted.stdout
    assert "left out: search_context_cost_per_query of 1 models" in counted.stdout
    assert "e output_images: 100/3 became 33.333333333333" in counted.stdout
