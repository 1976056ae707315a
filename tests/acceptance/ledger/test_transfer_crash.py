"""Killed between the steps of transfers, the ledger brings every one of them to its end, once.

The moments come from a seed, which is printed; CRASH_SEED=n repeats them as far as a machine repeats itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import grpc
import msgspec
import psycopg
import pytest
from psycopg import sql

from credits.ledger.v1 import history_service_pb2, transfer_pb2
from ledger_service.adapters.migrate import SCHEMA_DEFAULT
from tests.acceptance.ledger.callers import AGAIN, CALL_SECONDS_MAX, RETRY_SECONDS
from tests.acceptance.ledger.log_checks import check_order_and_hashes
from tests.acceptance.ledger.test_crash import Stack, check_history, running_stack, until
from tests.integration.ledger.client import Client

KILLS = 5
CALLERS = 8
GRANTED_UNITS = 10**6
SENT = "wallet.CreditsTransferredOut.v1"
ARRIVED = "wallet.CreditsTransferredIn.v1"
ENDED = ("wallet.TransferSettled.v1", "wallet.TransferReturned.v1")

log = logging.getLogger(__name__)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose name is short enough for PostgreSQL's socket, whichever worker runs the test."""
    with TemporaryDirectory(prefix="transfers-") as directory:
        yield Path(directory)


class Acknowledged:
    """What callers were told, by key."""

    def __init__(self) -> None:
        self.units: dict[str, int] = {}
        self.retries = 0


async def transfer_until(
    stopping: asyncio.Event, client: Client, wallets: list[str], told: Acknowledged, name: str, random: Random
) -> None:
    """Move random amounts, each under a key of its own, and try again for as long as the ledger is away."""
    count = 0
    while not stopping.is_set():
        count += 1
        source, destination = random.sample(wallets, 2)
        request = transfer_pb2.TransferCreditsRequest(
            name=source,
            destination=destination,
            amount_units=random.randint(1, 50),
            idempotency_key=f"{name}-{count}",
        )
        while True:
            try:
                await client.wallets.TransferCredits(request, timeout=CALL_SECONDS_MAX)
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN:
                    raise
                told.retries += 1
                await asyncio.sleep(RETRY_SECONDS)
            else:
                told.units[request.idempotency_key] = request.amount_units
                break


async def kill_under_load(stack: Stack, told: Acknowledged, random: Random) -> int:
    """Kill the ledger after random moments of load; return how many kills found credit on its way."""
    found = 0
    for number in range(1, KILLS + 1):
        known = len(told.units)

        async def is_under_load(known: int = known) -> bool:
            return len(told.units) >= known + 20

        await until(is_under_load, f"load before kill {number}")
        await asyncio.sleep(random.uniform(0, 0.1))
        log.info("kill %s after %s transfers", number, len(told.units))
        stack.server.kill()
        found += await on_its_way(stack) > 0
        await asyncio.to_thread(stack.server.start)
        await until(stack.client.serves, f"serving after kill {number}")
    return found


async def on_its_way(stack: Stack) -> int:
    """Return how many transfers the stored log leaves open while no ledger runs."""
    return await asyncio.to_thread(_open_in_log, stack.postgres.url)


def _open_in_log(url: str) -> int:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            sql.SQL("SELECT topic, count(*) FROM {}.stored_events GROUP BY topic").format(
                sql.Identifier(SCHEMA_DEFAULT)
            )
        ).fetchall()
    counts: dict[str, int] = dict(rows)
    return counts.get(SENT, 0) - sum(counts.get(topic, 0) for topic in ENDED)


async def test_kills_between_the_steps_leave_every_transfer_at_its_end(short_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED", secrets.randbelow(10**9)))
    log.info("CRASH_SEED=%s", seed)
    async with running_stack(short_path) as stack:
        client = stack.client
        wallets = [await client.open_wallet(granted_units=GRANTED_UNITS) for _ in range(3)]
        told, stopping = Acknowledged(), asyncio.Event()
        async with asyncio.TaskGroup() as callers:
            for number in range(CALLERS):
                random = Random(f"{seed}/{number}")
                callers.create_task(
                    transfer_until(stopping, client, wallets, told, f"caller-{number}", random)
                )
            try:
                found = await kill_under_load(stack, told, Random(seed))
            finally:
                stopping.set()

        async def has_all_arrived() -> bool:
            return all([(await client.balance(wallet)).in_transit_units == 0 for wallet in wallets])

        await until(has_all_arrived, "every transfer at its end")
        balances = [await client.balance(wallet) for wallet in wallets]
        assert sum(balance.available_units for balance in balances) == 3 * GRANTED_UNITS
        events = await client.events()
        check_order_and_hashes(events)
        check_once(events, told)
        assert told.retries > 0, "the kills were noticed"
        assert found > 0, "a kill fell between two steps"
        reports = await asyncio.to_thread(check_history, stack)
        assert [report for report in reports if report["findings"]] == []


async def test_a_courier_ends_what_no_caller_asks_about_again(short_path: Path) -> None:
    async with running_stack(short_path) as stack:
        client = stack.client
        source = await client.open_wallet(granted_units=GRANTED_UNITS)
        destination = await client.open_wallet()
        found, attempt = 0, 0
        while not found:
            attempt += 1
            calls = [
                client.wallets.TransferCredits(
                    transfer_pb2.TransferCreditsRequest(
                        name=source,
                        destination=destination,
                        amount_units=1,
                        idempotency_key=f"{attempt}-{number}",
                    ),
                    timeout=CALL_SECONDS_MAX,
                )
                for number in range(200)
            ]
            await asyncio.wait([asyncio.ensure_future(call) for call in calls], return_when="FIRST_COMPLETED")
            stack.server.kill()
            await asyncio.gather(*calls, return_exceptions=True)
            found = await on_its_way(stack)
            await asyncio.to_thread(stack.server.start)
            await until(client.serves, "serving again")

        async def has_all_arrived() -> bool:
            return (await client.balance(source)).in_transit_units == 0

        await until(has_all_arrived, "every transfer at its end")
        here, there = await client.balance(source), await client.balance(destination)
        assert here.available_units + there.available_units == GRANTED_UNITS
        assert there.available_units == len(await client.events(stream=source, topics=(SENT,)))
        actors = await client.actors(source)
        assert "courier" in actors


def check_once(events: list[history_service_pb2.Event], told: Acknowledged) -> None:
    """Fail unless each transfer left once, arrived slice by slice once, and ended once."""
    sent: dict[tuple[str, int], int] = {}
    keys: dict[str, int] = {}
    arrived: Counter[tuple[str, int]] = Counter()
    ended: Counter[tuple[str, int]] = Counter()
    for each in events:
        fact = msgspec.json.decode(each.state)
        event = fact["event"]
        if each.topic == SENT:
            assert fact["idempotency_key"] not in keys
            keys[fact["idempotency_key"]] = event["amount_units"]
            sent[each.stream, each.version] = len(event["slices"])
        elif each.topic == ARRIVED:
            arrived[event["source"], event["transfer_version"]] += 1
        elif each.topic in ENDED:
            ended[each.stream, event["transfer_version"]] += 1
    assert keys == told.units
    assert arrived == sent
    assert ended == dict.fromkeys(sent, 1)
