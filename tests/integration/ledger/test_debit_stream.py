"""Debits in a stream: order, one answer each, the bound on what is inside, and what a lost client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from credits.ledger.v1 import wallet_service_pb2
from ledger_service.rpc.wallets.debit_stream_service import DEBITS_IN_FLIGHT_MAX
from tests.integration.ledger.client import CALL_SECONDS, DEBITED, Client, Refused, refused_by
from tests.integration.ledger.test_lifecycle import metrics
from tests.integration.ledger.test_store_trouble import stalled_log, waiting_appends
from tests.servers import LedgerServer, free_port, serving, wait_until

Response = wallet_service_pb2.StreamDebitsResponse
METHOD = "WalletService/StreamDebits"


def item(wallet: str, sequence: int, amount_units: int = 1) -> wallet_service_pb2.StreamDebitsRequest:
    """Return a debit whose key is its sequence."""
    debit = wallet_service_pb2.DebitRequest(
        name=wallet, amount_units=amount_units, idempotency_key=f"k-{sequence}"
    )
    return wallet_service_pb2.StreamDebitsRequest(sequence=sequence, debit=debit)


def stream(client: Client, *requests: wallet_service_pb2.StreamDebitsRequest) -> Any:
    """Send requests and then no more, and return the call."""
    return client.wallets.StreamDebits(iter(requests) if requests else None, timeout=CALL_SECONDS)


async def answers(call: Any) -> list[Response]:
    """Return all answers of a stream that ends well."""
    return [answer async for answer in call]


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[LedgerServer]:
    """A ledger of the test's own, with its metrics."""
    settings = {"database_url": database_url, "metrics_port": str(free_port())}
    with serving(tmp_path / "ledger.log", **settings) as running:
        yield running


async def until_inside(server: LedgerServer, debits: int) -> None:
    """Return once so many debits are inside and not answered."""
    port = int(server.settings["metrics_port"])
    await asyncio.to_thread(
        wait_until, lambda: f"ledger_calls_waiting {debits}.0\n" in metrics(port), f"{debits} calls"
    )


@pytest_asyncio.fixture
async def client(server: LedgerServer) -> AsyncIterator[Client]:
    """A caller of it."""
    async with Client(server.address) as caller:
        yield caller


async def test_answers_come_in_the_order_of_the_requests_also_across_wallets(ledger: Client) -> None:
    wallets = [await ledger.open_wallet(granted_units=1_000) for _ in range(3)]
    requests = [item(wallets[number % 3], 7_000 - number) for number in range(2_500)]

    received = await answers(stream(ledger, *requests))

    assert [answer.sequence for answer in received] == [request.sequence for request in requests]
    assert {answer.WhichOneof("outcome") for answer in received} == {"response"}
    positions = [answer.response.position for answer in received]
    assert positions == sorted(set(positions))


async def test_each_debit_has_its_own_refusal(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=5)
    nameless = wallet_service_pb2.StreamDebitsRequest(sequence=3)
    nothing = item("wallets/of-nobody", 4)
    requests = [item(wallet, 1, 3), item(wallet, 2, 3), nameless, nothing, item(wallet, 5, 2)]

    received = await answers(stream(ledger, *requests))

    refused = {answer.sequence: Refused(answer.error) for answer in received if answer.HasField("error")}
    assert [answer.sequence for answer in received] == [1, 2, 3, 4, 5]
    assert {sequence: each.reason for sequence, each in refused.items()} == {
        2: "INSUFFICIENT_CREDIT",
        3: "FIELD_REQUIRED",
        4: "WALLET_NOT_FOUND",
    }
    assert (await ledger.balance(wallet)).available_units == 0


async def test_a_debit_is_answered_while_the_stream_stays_open(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=5)
    call = stream(ledger)

    for sequence in range(3):
        await call.write(item(wallet, sequence))
        assert (await call.read()).sequence == sequence
    await call.done_writing()

    assert await call.read() == grpc.aio.EOF


async def test_an_empty_stream_ends_well(ledger: Client) -> None:
    call = stream(ledger)
    await call.done_writing()

    assert await answers(call) == []


async def test_no_debit_is_answered_before_it_is_durable(client: Client, database_url: str) -> None:
    wallet = await client.open_wallet(granted_units=10)
    call = stream(client)
    with stalled_log(database_url):
        await call.write(item(wallet, 1))
        await asyncio.to_thread(wait_until, lambda: waiting_appends(database_url) > 0, "the append")
        first = asyncio.ensure_future(call.read())
        await asyncio.sleep(0.2)
        assert not first.done()

    assert (await first).response.position > 0
    call.cancel()


async def test_the_server_reads_no_more_than_may_be_inside(
    client: Client, server: LedgerServer, database_url: str
) -> None:
    wallet = await client.open_wallet(granted_units=5_000)
    requests = [item(wallet, number) for number in range(1, 3 * DEBITS_IN_FLIGHT_MAX)]
    with stalled_log(database_url):
        call = stream(client, *requests)
        await until_inside(server, DEBITS_IN_FLIGHT_MAX)
        await asyncio.sleep(0.3)  # for more, which must not come
        call.cancel()

    async def debited() -> int:
        return len(await client.events(stream=wallet, topics=(DEBITED,)))

    async with asyncio.timeout(CALL_SECONDS):
        while await debited() < DEBITS_IN_FLIGHT_MAX:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)

    assert await debited() == DEBITS_IN_FLIGHT_MAX


async def test_what_a_vanished_client_sent_is_kept_and_its_retry_is_replayed(
    client: Client, server: LedgerServer, database_url: str
) -> None:
    wallet = await client.open_wallet(granted_units=100)
    requests = [item(wallet, number) for number in range(20)]
    with stalled_log(database_url):
        async with Client(server.address) as lost:
            call = stream(lost)
            for request in requests:
                await call.write(request)
            await until_inside(server, 20)
        await asyncio.to_thread(
            wait_until, lambda: [line["code"] for line in lines(server)] == ["CANCELLED"], "the line"
        )

    received = await answers(stream(client, *requests))

    assert [answer.response.replayed for answer in received] == [True] * 20
    assert (await client.balance(wallet)).debited_units == 20


async def test_a_drain_answers_what_is_inside_and_ends_the_stream(
    client: Client, server: LedgerServer, database_url: str
) -> None:
    wallet = await client.open_wallet(granted_units=100)
    idle = stream(client)
    await idle.write(item(wallet, 99))
    await idle.read()
    call = stream(client)
    with stalled_log(database_url):
        for number in range(10):
            await call.write(item(wallet, number))
        await until_inside(server, 10)
        server.terminate()
        async with asyncio.timeout(CALL_SECONDS):
            while await client.serves():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    received = [await call.read() for _ in range(10)]

    assert [answer.sequence for answer in received] == list(range(10))
    assert all(answer.HasField("response") for answer in received)
    for ended in (call, idle):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ended.read()
        refused = refused_by(caught.value)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_SERVING")
    assert await asyncio.to_thread(server.wait) == 0
    assert sorted(line["messages"] for line in lines(server)) == [1, 10]


def lines(server: LedgerServer) -> list[dict[str, Any]]:
    """Return the canonical lines of a server's debit streams."""
    return [line for line in server.lines() if line.get("method") == METHOD]
