"""Killed at any moment, the ledger loses nothing that it acknowledged and keeps nothing that it refused.

The moments come from a seed, which is printed; CRASH_SEED=n repeats them as far as a machine repeats itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import msgspec

from credits.ledger.v1 import history_service_pb2, wallet_service_pb2
from tests.acceptance.ledger.callers import CALLERS, Book, debit_until
from tests.acceptance.ledger.log_checks import check_order_and_hashes, debits_by_key
from tests.integration.ledger.client import Client
from tests.servers import WAIT_SECONDS, KillablePostgres, LedgerServer, Process, environment, projector

VICTIMS = ["ledger", "postgres"] * 5
GRANTED_UNITS = [10**9, 10**9, 10**9, 20_000]
"""The last wallet runs dry under the load."""

log = logging.getLogger(__name__)


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until a condition holds, while the callers go on."""
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"{what}: not within {WAIT_SECONDS} s"
        await asyncio.sleep(0.01)


class Stack:
    """The processes that are killed, and a caller."""

    def __init__(
        self, postgres: KillablePostgres, server: LedgerServer, follower: Process, client: Client
    ) -> None:
        self.postgres = postgres
        self.server = server
        self.projector = follower
        self.client = client

    async def kill(self, victim: str) -> None:
        """Kill one of them and start it again."""
        if victim == "ledger":
            self.server.kill()
            await asyncio.to_thread(self.server.start)
        elif victim == "postgres":
            await asyncio.to_thread(self.postgres.kill)
            await asyncio.to_thread(self.postgres.start)
            if self.projector.return_code is not None:
                # It was just starting and found no database: a supervisor would start it again.
                await asyncio.to_thread(self.projector.start)
        else:
            self.projector.kill()
            await asyncio.to_thread(self.projector.start)


@asynccontextmanager
async def running_stack(directory: Path) -> AsyncIterator[Stack]:
    """Run PostgreSQL, the ledger and its projector."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(KillablePostgres(directory / "postgres"))
        server = LedgerServer(directory / "ledger.log", database_url=postgres.url)
        stack.enter_context(server).wait_for_line("serving")
        follower = stack.enter_context(projector(directory / "projector.log", database_url=postgres.url))
        client = await stack.enter_async_context(Client(server.address))
        yield Stack(postgres, server, follower, client)


async def kill_ten_times(stack: Stack, book: Book, random: Random) -> None:
    """Kill after random moments of undisturbed load."""
    victims = random.sample(VICTIMS, len(VICTIMS))
    for number, victim in enumerate(victims, start=1):
        known = len(book.acknowledged)

        async def is_under_load(known: int = known) -> bool:
            return len(book.acknowledged) >= known + 20

        await until(is_under_load, f"load before kill {number}")
        await asyncio.sleep(random.uniform(0, 0.25))
        if random.random() < 0.5:
            await stack.kill("projector")
        log.info("kill %s: %s after %s debits", number, victim, len(book.acknowledged))
        await stack.kill(victim)
        await until(stack.client.serves, f"serving after kill {number}, of {victim}")


async def load_through_kills(stack: Stack, seed: int) -> tuple[dict[str, int], Book]:
    """Return what each wallet was granted, and what the callers were told."""
    wallets = {await stack.client.open_wallet(granted_units=units): units for units in GRANTED_UNITS}
    book = Book()
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as callers:
        for number in range(CALLERS):
            arguments = (list(wallets), book, f"caller-{number}", Random(f"{seed}/{number}"))
            callers.create_task(debit_until(stopping, stack.client, *arguments))
        try:
            await kill_ten_times(stack, book, Random(seed))
        finally:
            stopping.set()
    return wallets, book


async def check_answers_stand(client: Client, book: Book, random: Random) -> None:
    """Fail unless a call that is sent again after all that gets the answer that its caller was given."""
    for request, response in random.sample(list(book.acknowledged.values()), 50):
        alone = wallet_service_pb2.DebitRequest()
        alone.CopyFrom(request)
        alone.ClearField("group")
        again = await client.wallets.Debit(alone, timeout=WAIT_SECONDS)
        assert again.replayed
        assert (again.debit, again.position) == (response.debit, response.position)


def check_history(stack: Stack) -> list[dict[str, object]]:
    """Return the reports of `check-history`, which must end with exit code 0."""
    ended = subprocess.run(
        [sys.executable, "-m", "ledger_service", "check-history", "--json"],
        env=environment({"database_url": stack.postgres.url}),
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    return [msgspec.json.decode(line) for line in ended.stdout.splitlines()]


async def test_ten_kills_lose_no_acknowledged_debit_and_keep_no_refused_one(tmp_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED", secrets.randbelow(10**9)))
    log.info("CRASH_SEED=%s", seed)
    async with running_stack(tmp_path) as stack:
        wallets, book = await load_through_kills(stack, seed)

        async def is_projected() -> bool:
            request = history_service_pb2.ListProjectionsRequest()
            response = await stack.client.history.ListProjections(request)
            return all(each.lag_events == 0 for each in response.projections)

        await until(is_projected, "projections at the head")
        events = await stack.client.events()
        recorded = debits_by_key(events)

        assert book.retries > 0, "the kills were noticed"
        assert book.refused
        check_order_and_hashes(events)
        assert recorded == {key: request.amount_units for key, (request, _) in book.acknowledged.items()}, (
            "every acknowledged debit is there once, and nothing else"
        )
        assert recorded.keys().isdisjoint(book.refused)
        await check_answers_stand(stack.client, book, Random(seed))
        for wallet, granted_units in wallets.items():
            balance = await stack.client.balance(wallet)
            assert balance.available_units == granted_units - book.acknowledged_units(wallet)
        reports = await asyncio.to_thread(check_history, stack)
        assert [report for report in reports if report["findings"]] == []
        assert reports[-1]["done"]
        assert reports[-1]["checked_events"] == len(events)
        assert reports[-1]["projections"]
