"""`rating authorize`, `settle` and `cancel` against running services."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

from tests.integration.authorization.gateway import Gateway


async def rating(gateway: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a terminal of 120 columns."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "rating_service", *arguments],
        env={**os.environ, "RATING_ADDRESS": gateway.address, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_request_from_the_command_line(gateway: Gateway) -> None:
    signed = await gateway.sign(units=100, requests_per_minute=3, upgrade_hint="plans/team")
    asked = ["authorize", "--contract", signed.contract, "-q", "input_tokens=10"]
    await gateway.authorize(signed)

    shown = await rating(gateway, *asked, "--hold", "one", "--hold-seconds", "30")
    authorization = shown.stdout.splitlines()[-1]
    settled = await rating(gateway, "settle", authorization, "-q", "input_tokens=7")
    told = await rating(gateway, *asked, "--hold", "two", "--json")
    other = json.loads(told.stdout)
    cancelled = await rating(gateway, "cancel", other["authorization"], "--json")
    await gateway.authorize(signed)
    refused = await rating(gateway, *asked)

    assert "allowed" in shown.stdout
    assert "requests per minute" in shown.stdout
    assert f"held by {signed.wallet}/holds/" in shown.stdout
    assert settled.stdout.endswith(": 7 units, 0 of them overage\n")
    assert (other["allowed"], other["estimated_units"]) == (True, "10")
    assert json.loads(cancelled.stdout) == {"released_units": "10", "replayed": False}
    assert "RATE_LIMITED_REQUESTS" in refused.stdout
    assert "upgrade: plans/team" in refused.stdout
    assert [each.returncode for each in (shown, settled, told, cancelled, refused)] == [0, 0, 0, 0, 3]
