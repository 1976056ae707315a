"""Two ledgers on one database: one serves, the other stands by and takes over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import psycopg
import pytest
import pytest_asyncio

from credits.ledger.v1 import history_service_pb2
from tests.acceptance.ledger.log_checks import check_order_and_hashes, debits_by_key
from tests.integration.ledger.client import Client, Refused, refusal, refused_by
from tests.servers import WAIT_SECONDS, LedgerServer


@pytest.fixture
def standby(server: LedgerServer, database_url: str, tmp_path: Path) -> Iterator[LedgerServer]:
    """A second ledger on the database of the first, listening."""
    with LedgerServer(tmp_path / "standby.log", database_url=database_url) as second:
        second.wait_for_line("listening")
        yield second


@pytest_asyncio.fixture
async def first(server: LedgerServer) -> AsyncIterator[Client]:
    """A caller of the ledger that serves."""
    async with Client(server.address) as client:
        yield client


@pytest_asyncio.fixture
async def second(standby: LedgerServer) -> AsyncIterator[Client]:
    """A caller of the ledger that stands by."""
    async with Client(standby.address) as client:
        yield client


async def until_serving(client: Client) -> None:
    """Wait until a ledger serves."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not await client.serves():
        assert time.monotonic() < deadline, f"not serving within {WAIT_SECONDS} s"
        await asyncio.sleep(0.01)


def end_writer_session(url: str) -> None:
    """Cut the session that holds the shard, as a failover of the database would."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'ledger-writer' AND datname = current_database()"
        )


async def test_a_standby_says_that_it_does_not_serve_and_refuses_commands(
    first: Client, second: Client
) -> None:
    wallet = await first.open_wallet(granted_units=10)

    assert await first.serves()
    assert not await second.serves()
    assert not await second.serves("credits.ledger.v1.WalletService")
    for call in (second.debit(wallet, 1), second.balance(wallet), second.grant(wallet, 1)):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_SERVING")
        assert refused.retry_after_nanos > 0
    assert (await first.balance(wallet)).available_units == 10


async def test_a_standby_takes_over_within_seconds_with_every_acknowledged_debit(
    server: LedgerServer, first: Client, second: Client
) -> None:
    wallet = await first.open_wallet(granted_units=1_000)
    answers = await asyncio.gather(*(first.debit(wallet, 3, idempotency_key=f"k-{n}") for n in range(100)))

    server.kill()
    await until_serving(second)

    assert (await second.balance(wallet)).available_units == 700
    again = await second.debit(wallet, 3, idempotency_key="k-7")
    assert again.replayed
    assert again.debit == answers[7].debit
    await second.debit(wallet, 700)
    log = await second.events()
    check_order_and_hashes(log)
    assert sum(debits_by_key(log).values()) == 1_000


async def test_a_ledger_that_stops_hands_over_to_the_standby(
    server: LedgerServer, first: Client, second: Client
) -> None:
    wallet = await first.open_wallet(granted_units=10)

    assert server.stop() == 0
    await until_serving(second)

    assert (await second.balance(wallet)).available_units == 10


async def test_an_idle_ledger_that_lost_the_shard_stops_answering_from_memory(
    server: LedgerServer, first: Client, second: Client, database_url: str
) -> None:
    wallet = await first.open_wallet(granted_units=10)

    end_writer_session(database_url)
    await asyncio.to_thread(server.wait_for_line, "not_serving")
    holder, other = await until_one_serves(first, second)
    await holder.debit(wallet, 4)

    assert (await refusal(other.balance(wallet))).reason == "NOT_SERVING"
    assert (await holder.balance(wallet)).available_units == 6


async def until_one_serves(one: Client, other: Client) -> tuple[Client, Client]:
    """Return the ledger that serves and the one that does not."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (serves := (await one.serves(), await other.serves())) not in ((True, False), (False, True)):
        assert time.monotonic() < deadline, f"they serve: {serves}"
        await asyncio.sleep(0.01)
    return (one, other) if serves[0] else (other, one)


class Follower:
    """Follows the log from server to server and remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._position = 0
        self._more = asyncio.Event()

    async def follow(self, client: Client) -> Refused:
        """Follow from where it stands until the stream ends, and return why it did."""
        request = history_service_pb2.FollowEventsRequest(after_position=self._position)
        try:
            async for message in client.history.FollowEvents(request, timeout=WAIT_SECONDS):
                self.seen += [event.position for event in message.events]
                self._position = message.position
                self._more.set()
        except grpc.aio.AioRpcError as error:
            return refused_by(error)
        raise AssertionError("a log has no end")

    async def until_seen(self, count: int) -> None:
        """Wait until so many events were seen."""
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self.seen) < count:
                self._more.clear()
                await self._more.wait()


async def debit_wherever(clients: tuple[Client, Client], wallet: str, stopping: asyncio.Event) -> int:
    """Debit one unit after the other at whichever ledger serves, each until it is acknowledged."""
    count = 0
    while not stopping.is_set():
        for client in clients:
            try:
                await client.debit(wallet, 1, idempotency_key=f"k-{count}")
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.005)
            else:
                count += 1
    return count


async def test_a_follower_ends_with_the_server_and_goes_on_at_the_next_one(
    server: LedgerServer, first: Client, second: Client
) -> None:
    wallet = await first.open_wallet(granted_units=100_000)
    follower = Follower()
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(debit_wherever((first, second), wallet, stopping))
        following = tasks.create_task(follower.follow(first))
        await follower.until_seen(20)
        server.terminate()
        ended = await following
        assert await asyncio.to_thread(server.wait) == 0
        await until_serving(second)
        following = tasks.create_task(follower.follow(second))
        await follower.until_seen(len(follower.seen) + 20)
        stopping.set()
        await follower.until_seen(2 + await writing)
        following.cancel()

    assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_SERVING")
    assert follower.seen == list(range(1, 2 + writing.result() + 1)), "no gap, no duplicate"


async def test_a_follower_does_not_hold_up_the_end_of_its_server(server: LedgerServer, first: Client) -> None:
    follower = Follower()
    await first.open_wallet()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follower.follow(first))
        await follower.until_seen(1)
        server.terminate()
        ended = await following

    assert ended.reason == "NOT_SERVING", (
        "it was told, and not cut off without a reason when the grace is over"
    )
    assert await asyncio.to_thread(server.wait) == 0
