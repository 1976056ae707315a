"""What callers are told when the database is slow, gone or broken, and when the ledger itself fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
import pytest_asyncio
from psycopg.conninfo import conninfo_to_dict

from credits.ledger.v1 import wallet_service_pb2
from tests.integration.ledger.client import Client, refusal, send
from tests.postgres import PostgresServer
from tests.servers import WAIT_SECONDS, LedgerServer, execute, wait_until

CALLS_MAX = 20_000
"""Calls that a ledger lets wait."""


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[LedgerServer]:
    """A ledger whose database the test may break."""
    with LedgerServer(tmp_path / "ledger.log", database_url=database_url) as running:
        running.wait_for_line("serving")
        yield running


@pytest_asyncio.fixture
async def client(server: LedgerServer) -> AsyncIterator[Client]:
    """A caller of it."""
    async with Client(server.address) as caller:
        yield caller


@contextmanager
def stalled_log(url: str) -> Iterator[None]:
    """Hold a lock that no append gets past."""
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE ledger.stored_events IN SHARE MODE")
        yield


def waiting_appends(url: str) -> int:
    """Return how many appends wait for a lock."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ledger-writer'"
            " AND datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
    assert row is not None
    count: int = row[0]
    return count


def shut_out(postgres: PostgresServer, url: str, *, sessions: str = "") -> None:
    """Let the database take no more connections, and end those that it has, or those of one name."""
    name = conninfo_to_dict(url)["dbname"]
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND %s IN ('', application_name)",
            (name, sessions),
        )


def let_in(postgres: PostgresServer, url: str) -> None:
    """Let the database take connections again."""
    name = conninfo_to_dict(url)["dbname"]
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until a condition holds, while calls go on."""
    await asyncio.to_thread(wait_until, condition, what)


async def until_health(client: Client, *, serving: bool) -> None:
    """Wait until the health service says so."""
    deadline = time.monotonic() + WAIT_SECONDS
    while await client.serves() is not serving:
        assert time.monotonic() < deadline, f"serving is not {serving}"
        await asyncio.sleep(0.01)


async def test_health_follows_an_idle_database_away_and_back(
    client: Client, postgres_server: PostgresServer, database_url: str
) -> None:
    wallet = await client.open_wallet(granted_units=10)

    shut_out(postgres_server, database_url)
    await until_health(client, serving=False)
    refused = await refusal(client.debit(wallet, 1))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_SERVING")
    assert refused.retry_after_nanos > 0

    let_in(postgres_server, database_url)
    await until_health(client, serving=True)
    await client.debit(wallet, 1)
    assert len(await client.events(stream=wallet)) == 3


async def test_a_debit_whose_fate_nobody_knows_is_refused_so_and_its_retry_counts_once(
    client: Client, postgres_server: PostgresServer, database_url: str
) -> None:
    wallet = await client.open_wallet(granted_units=10)
    with stalled_log(database_url):
        call = asyncio.create_task(refusal(client.debit(wallet, 4, idempotency_key="k")))
        await until(lambda: waiting_appends(database_url), "the append")
        shut_out(postgres_server, database_url, sessions="ledger-writer")
    refused = await call
    let_in(postgres_server, database_url)
    await until_health(client, serving=True)
    await client.debit(wallet, 4, idempotency_key="k")

    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN")
    assert refused.retry_after_nanos > 0
    assert (await client.balance(wallet)).available_units == 6


async def test_a_batch_beyond_the_calls_that_may_wait_is_refused_and_the_others_are_answered(
    client: Client, database_url: str
) -> None:
    wallet = await client.open_wallet(granted_units=2 * CALLS_MAX)

    def batch(number: int) -> wallet_service_pb2.BatchDebitRequest:
        requests = [
            wallet_service_pb2.DebitRequest(name=wallet, amount_units=1, idempotency_key=f"{number}-{item}")
            for item in range(CALLS_MAX // 4)
        ]
        return wallet_service_pb2.BatchDebitRequest(requests=requests)

    with stalled_log(database_url):
        calls = [asyncio.create_task(send(client.wallets.BatchDebit, batch(number))) for number in range(5)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    responses = await asyncio.gather(*waiting)

    assert len(done) == 1
    refused = await refusal(done.pop())
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    assert refused.retry_after_nanos > 0
    assert sum(len(response.results) for response in responses) == CALLS_MAX
    assert (await client.balance(wallet)).available_units == CALLS_MAX


async def test_a_call_that_loses_every_attempt_is_refused_as_contended_and_leaves_nothing(
    client: Client, database_url: str
) -> None:
    wallet = await client.open_wallet(granted_units=10)
    execute(
        database_url,
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'taken' USING ERRCODE = 'unique_violation'; END $$",
        "CREATE TRIGGER lose BEFORE INSERT ON stored_events EXECUTE FUNCTION lose()",
    )

    refused = await refusal(client.debit(wallet, 1, idempotency_key="k"))
    execute(database_url, "DROP TRIGGER lose ON stored_events")
    answer = await client.debit(wallet, 1, idempotency_key="k")

    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "CONTENDED")
    assert refused.retry_after_nanos > 0
    assert not answer.replayed
    assert (await client.balance(wallet)).available_units == 9


async def test_an_unexpected_error_tells_the_caller_nothing_but_an_incident_of_the_servers_log(
    client: Client, server: LedgerServer, database_url: str
) -> None:
    wallet = await client.open_wallet()
    execute(database_url, "ALTER TABLE wallet_view_grants RENAME TO elsewhere")

    refused = await refusal(
        send(client.wallets.ListGrants, wallet_service_pb2.ListGrantsRequest(name=wallet))
    )

    incident = refused.metadata["incident"]
    assert (refused.code, refused.reason, refused.domain) == (
        grpc.StatusCode.INTERNAL,
        "INTERNAL",
        "ledger.credits",
    )
    assert refused.message == f"internal error; quote incident {incident} to the operator"
    fault = server.wait_for_line("fault")
    assert (fault["incident"], fault["method"]) == (incident, "WalletService/ListGrants")
    assert "wallet_view_grants" in fault["exception"]
    assert await client.serves()
