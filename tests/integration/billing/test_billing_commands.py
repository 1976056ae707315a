"""`rating billing run|status` against both services."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

from credits.ledger.v1 import money_pb2
from tests.integration.billing.world import GRACE, World, terms


async def rating(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a terminal of 200 columns."""
    variables = {"RATING_ADDRESS": f"127.0.0.1:{world.parts.served.port}", "COLUMNS": "200"}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "rating_service", "billing", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_run_says_what_it_did_and_the_status_how_far_each_cycle_is(lone_world: World) -> None:
    world = lone_world
    contract = (await world.sign()).name
    await world.ledger.advance(world.at("02-01") + GRACE)
    ran, listed, open_ones = (
        await rating(world, "run", "--json"),
        await rating(world, "status", "--contract", contract),
        await rating(world, "status", "--state", "open", "--json"),
    )

    done = json.loads(ran.stdout)
    assert (done["contracts_done"], done["grants_count"], done["invoices_count"]) == (1, 3, 1)
    [invoice] = done["invoices"]
    assert invoice in listed.stdout
    assert [each["contract"] for each in json.loads(open_ones.stdout)["cycles"]] == [contract]
    assert {each.returncode for each in (ran, listed, open_ones)} == {0}


async def test_a_run_in_which_a_contract_failed_exits_3_and_says_why(lone_world: World) -> None:
    world = lone_world
    euros = terms(
        "later",
        base_fee=None,
        included_units=0,
        overage_price=money_pb2.UnitPrice(currency_code="EUR", price="1"),
    )
    contract = (await world.sign(terms("first", duration="P1D", included_units=0), euros)).name
    await world.ledger.advance(world.at("01-15"))
    await world.use(contract, 1_000)
    await world.ledger.advance(world.at("02-01") + GRACE)
    ran, status = (
        await rating(world, "run", "--contract", contract),
        await rating(world, "status", "--failed"),
    )

    assert ran.returncode == 3
    assert "MIXED_CURRENCIES" in ran.stdout
    assert "MIXED_CURRENCIES" in status.stdout
