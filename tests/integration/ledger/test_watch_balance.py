"""A wallet's balance watched: its newest state always comes, states in between need not, and it can be resumed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest

from credits.ledger.v1 import wallet_service_pb2
from ledger_service.application.writing.committed_position import WATCHERS_MAX
from ledger_service.rpc.wallets.watch_service import HEARTBEAT_SECONDS, INTERVAL_SECONDS
from tests.integration.ledger.client import CALL_SECONDS, Client, refusal, refused_by
from tests.servers import LedgerServer, serving, wait_until

Message = wallet_service_pb2.WatchBalanceResponse
QUIET_SECONDS = 0.3
"""How long nothing comes before a test says that nothing will; far above the interval, far below the heartbeat."""


def watch(client: Client, wallet: str, **fields: Any) -> Any:
    """Return the call that watches a wallet."""
    request = wallet_service_pb2.WatchBalanceRequest(name=wallet, **fields)
    return client.wallets.WatchBalance(request, timeout=CALL_SECONDS)


@asynccontextmanager
async def watching(client: Client, wallet: str, **fields: Any) -> AsyncIterator[Any]:
    """Yield the call that watches a wallet, and cancel it in the end."""
    call = watch(client, wallet, **fields)
    try:
        yield call
    finally:
        call.cancel()


async def messages_through(call: Any, version: int) -> list[Message]:
    """Return the messages up to the one with a version."""
    messages: list[Message] = [await call.read()]
    while messages[-1].version < version:
        messages.append(await call.read())
    return messages


async def is_quiet(reading: asyncio.Future[Any]) -> bool:
    """Say whether nothing comes for a while."""
    done, _ = await asyncio.wait([reading], timeout=QUIET_SECONDS)
    return not done


async def test_the_first_message_is_the_balance_now(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    granted = await ledger.grant(wallet, 7)

    async with watching(ledger, wallet) as call:
        first = await call.read()

    assert (first.balance.name, first.balance.available_units, first.version) == (wallet, 7, 2)
    assert first.position >= granted.position


async def test_each_change_is_told_and_nothing_else(ledger: Client) -> None:
    wallet, other = [await ledger.open_wallet(granted_units=10) for _ in range(2)]

    async with watching(ledger, wallet) as call:
        seen = [await call.read()]
        reading = asyncio.ensure_future(call.read())
        await ledger.debit(other, 1)
        assert await is_quiet(reading)
        await ledger.debit(wallet, 4)
        seen.append(await reading)
        await ledger.grant(wallet, 1)
        seen.append(await call.read())

    assert [(message.version, message.balance.available_units) for message in seen] == [
        (2, 10),
        (3, 6),
        (4, 7),
    ]


async def test_every_watcher_sees_the_final_state_of_a_busy_wallet(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=1_000)
    begun = asyncio.get_running_loop().time()

    async def follow() -> list[Message]:
        async with watching(ledger, wallet) as call:
            return await messages_through(call, 2 + 300)

    async def write() -> None:
        for _ in range(100):
            await asyncio.gather(*(ledger.debit(wallet, 1) for _ in range(3)))

    following = [asyncio.create_task(follow()) for _ in range(5)]
    await write()
    followed = await asyncio.gather(*following)
    elapsed = asyncio.get_running_loop().time() - begun

    for messages in followed:
        assert messages[-1].balance.available_units == 700
        assert all(earlier.version < later.version for earlier, later in pairwise(messages))
        assert all(message.balance.available_units == 1_002 - message.version for message in messages)
        assert len(messages) <= elapsed / INTERVAL_SECONDS + 2


async def test_a_watch_resumes_after_the_version_that_was_seen(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    await ledger.debit(wallet, 1)

    async with watching(ledger, wallet, after_version=2) as call:
        missed = await call.read()
    async with watching(ledger, wallet, after_version=missed.version) as call:
        reading = asyncio.ensure_future(call.read())
        assert await is_quiet(reading)
        await ledger.debit(wallet, 2)
        fresh = await reading

    assert (missed.version, missed.balance.available_units) == (3, 9)
    assert (fresh.version, fresh.balance.available_units) == (4, 7)


async def test_an_idle_watch_shows_that_it_is_alive_with_what_time_has_changed(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)

    async with asyncio.timeout(CALL_SECONDS), watching(ledger, wallet) as call:
        first, second = await call.read(), await call.read()

    assert (first.version, second.version) == (2, 2)
    elapsed = second.balance.as_of_time.ToDatetime() - first.balance.as_of_time.ToDatetime()
    assert elapsed.total_seconds() >= HEARTBEAT_SECONDS


async def test_a_watch_counts_the_lots_of_its_feature(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    await ledger.grant(wallet, 5, scope=["chat"])

    async with watching(ledger, wallet, feature="image") as image, watching(ledger, wallet) as all_lots:
        units = [(await call.read()).balance.available_units for call in (image, all_lots)]

    assert units == [10, 15]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": "wallets/of-nobody"}, "WALLET_NOT_FOUND"),
        ({"name": "nobody"}, "FIELD_MALFORMED"),
        ({"name": "wallets/of-nobody", "after_version": -1}, "NUMBER_OUT_OF_RANGE"),
    ],
)
async def test_a_watch_of_nothing_is_refused(ledger: Client, fields: dict[str, Any], reason: str) -> None:
    request = wallet_service_pb2.WatchBalanceRequest(**fields)

    refused = await refusal(ledger.wallets.WatchBalance(request, timeout=CALL_SECONDS).read())

    assert refused.reason == reason


async def test_one_watcher_too_many_is_refused_until_another_has_gone(
    database_url: str, tmp_path: Path
) -> None:
    with serving(tmp_path / "ledger.log", database_url=database_url) as server:
        async with Client(server.address) as client:
            wallet = await client.open_wallet(granted_units=10)
            calls = [watch(client, wallet) for _ in range(WATCHERS_MAX)]
            assert {(await call.read()).version for call in calls} == {2}
            refused = await refusal(watch(client, wallet).read())
            await client.debit(wallet, 1)
            for call in calls:
                await messages_through(call, 3)

            for call in calls:
                call.cancel()
            await asyncio.to_thread(wait_until, lambda: cancelled(server) == WATCHERS_MAX, "their end")
            again = await watch(client, wallet).read()

    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCHERS_FULL")
    assert refused.retry_after_nanos > 0
    assert again.version == 3


async def test_a_drain_ends_a_watch_at_once(database_url: str, tmp_path: Path) -> None:
    with serving(tmp_path / "ledger.log", database_url=database_url) as server:
        async with Client(server.address) as client:
            call = watch(client, await client.open_wallet())
            await call.read()
            server.terminate()
            async with asyncio.timeout(CALL_SECONDS):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call.read()
        assert await asyncio.to_thread(server.wait) == 0

    refused = refused_by(caught.value)
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_SERVING")


def cancelled(server: LedgerServer) -> int:
    """Return how many watches their callers have ended."""
    return sum(
        line.get("method") == "WalletService/WatchBalance" and line["code"] == "CANCELLED"
        for line in server.lines()
    )
