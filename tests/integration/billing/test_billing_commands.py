"""`rating billing run|status` against both services."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

from credits.ledger.v1 import money_pb2
from tests.integration.billing.world import GRACE, World, terms


async def rating(world: World, *arguments: str, group: str = "billing") -> subprocess.CompletedProcess[str]:
    """Run a command in a terminal of 200 columns."""
    variables = {"RATING_ADDRESS": f"127.0.0.1:{world.parts.served.port}", "COLUMNS": "200"}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "rating_service", group, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_run_says_what_it_did_and_the_status_how_far_each_cycle_is(lone_world: World) -> None:
    world = lone_world
    euros = terms(
        "later",
        base_fee=None,
        included_units=0,
        overage_price=money_pb2.UnitPrice(currency_code="EUR", price="1"),
    )
    mixed = (await world.sign(terms("first", duration="P1D", included_units=0), euros)).name
    fine = (await world.sign()).name
    await world.ledger.advance(world.at("01-15"))
    await world.use(mixed, 1_000)
    await world.ledger.advance(world.at("02-01") + GRACE)
    ran = await rating(world, "run", "--json")
    again, listed, failed, open_ones = await asyncio.gather(
        rating(world, "run", "--contract", mixed),
        rating(world, "status", "--contract", fine),
        rating(world, "status", "--failed"),
        rating(world, "status", "--state", "open", "--json"),
    )

    done = json.loads(ran.stdout)
    assert (done["contracts_done"], done["grants_count"], done["invoices_count"]) == (2, 3, 1)
    assert [each["reason"] for each in done["failures"]] == ["MIXED_CURRENCIES"]
    assert done["invoices"][0] in listed.stdout
    assert "MIXED_CURRENCIES" in again.stdout
    assert "MIXED_CURRENCIES" in failed.stdout
    assert {each["contract"] for each in json.loads(open_ones.stdout)["cycles"]} == {mixed, fine}
    # A run in which a contract failed says so to scripts.
    assert [each.returncode for each in (ran, again, listed, failed, open_ones)] == [3, 3, 0, 0, 0]


async def test_a_plan_change_that_is_committed_again_shows_what_was_changed(world: World) -> None:
    contract = (await world.sign()).name
    plan = await world.publish_plan(terms("other", included_units=2_000))
    shown = await rating(world, "preview-plan-change", contract, plan, "--json", group="contract")
    token = json.loads(shown.stdout)["token"]

    first = await rating(world, "commit-plan-change", token, group="contract")
    again = await rating(world, "commit-plan-change", token, group="contract")

    assert first.stdout.endswith("changed now\n")
    assert again.stdout.endswith("changed before\n")
    assert [each.returncode for each in (shown, first, again)] == [0, 0, 0]
