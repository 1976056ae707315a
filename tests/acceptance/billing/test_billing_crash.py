"""Killed ten times in a billing run, rating bills each contract, records it and grants its credit exactly once.

The moments come from a seed, which is printed; CRASH_SEED=n repeats them as far as a machine repeats itself.
BILLING_CONTRACTS=n plays another number of contracts than 1,000.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from tests.acceptance.billing.crash_world import START, CrashWorld, crash_world, until
from tests.postgres import PostgresServer

KILLS = 10
FEBRUARY, MARCH, APRIL = (datetime(2026, month, 1, tzinfo=UTC) for month in (2, 3, 4))
GRACE = timedelta(hours=24)

log = logging.getLogger(__name__)


async def bill_through_kills(world: CrashWorld, random: Random) -> int:
    """Let rating bill, kill it at random moments of the work, and return how many kills found it at work."""
    work = len(world.contracts) + 2 * world.expected_invoices().total()
    moments = sorted(random.randrange(work) for _ in range(KILLS))
    kills_at_work = 0
    for number, moment in enumerate(moments, start=1):
        rating = world.start_rating()
        await until(partial(world.has_done, moment), f"work before kill {number}")
        await asyncio.sleep(random.uniform(0, 0.1))
        rating.kill()
        kills_at_work += not world.is_done()
        log.info("kill %s after %s of %s", number, world.work_done(), work)
    rating = world.start_rating()
    try:
        await until(world.is_done, "the end of the billing run")
    finally:
        rating.kill()
    return kills_at_work


async def check_grants(world: CrashWorld) -> None:
    """Fail unless each contract was granted its three cycles once, to the microsecond."""
    granted = Counter(
        (
            stream,
            datetime.fromisoformat(fact["effective_time"]),
            datetime.fromisoformat(fact["event"]["expire_time"]),
            fact["event"]["amount_units"],
        )
        for stream, fact in await world.facts("wallet.CreditsGranted.v1")
    )
    cycles = [(START, FEBRUARY), (FEBRUARY, MARCH), (MARCH, APRIL)]
    wallets = [name.replace("contracts/", "wallets/") for name in world.contracts]

    assert granted == Counter((wallet, *cycle, 1_000) for wallet in wallets for cycle in cycles)
    assert await world.facts("wallet.GrantRevoked.v1") == []


async def check_records(world: CrashWorld) -> None:
    """Fail unless the ledger was told of each invoice once, by its hash."""
    recorded = [
        (stream, fact["event"]["invoice"], fact["event"]["document_hash"])
        for stream, fact in await world.facts("contract.InvoiceIssued.v1")
    ]
    documents = world.documents()

    assert Counter(stream for stream, _, _ in recorded) == world.expected_invoices()
    assert {invoice: document_hash for _, invoice, document_hash in recorded} == documents
    assert len(documents) == len(recorded)


async def test_ten_kills_in_a_billing_run_bill_each_contract_once_and_grant_its_credit_once(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    seed = int(os.environ.get("CRASH_SEED", secrets.randbelow(10**9)))
    count = int(os.environ.get("BILLING_CONTRACTS", "1000"))
    log.info("CRASH_SEED=%s", seed)
    async with crash_world(postgres_server, tmp_path) as world:
        await world.sign(count)
        await world.ledger.advance(FEBRUARY + GRACE)
        kills_at_work = await bill_through_kills(world, Random(seed))

        assert kills_at_work >= KILLS // 2, "the kills came in the middle of the work"
        assert world.invoices() == world.expected_invoices()
        await check_grants(world)
        await check_records(world)
