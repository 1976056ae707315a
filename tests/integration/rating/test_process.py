"""The service as a process: how it starts, how it fails to, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc

from credits.rating.v1 import rating_service_pb2, rating_service_pb2_grpc
from rating_service.adapters.migrations import migrate
from tests.fakes.fake_ledger import FakeLedger, start_fake_ledger
from tests.integration.rating.harness import usage


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def start(*arguments: str, **variables: str) -> Process:
    """Start `rating` with variables."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rating_service",
        *arguments,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def failing_line(**variables: str) -> str:
    """Return the last line of a service that must not start, after checking that it failed."""
    process = await start("serve", **variables)
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode not in (0, None)
    assert b"Traceback" not in output + errors
    return errors.decode().splitlines()[-1]


async def status(port: int) -> str:
    """Return what health says, "" if nobody answers."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.aio.AioRpcError:
            return ""
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


async def becomes(port: int, wanted: str) -> None:
    """Return once health says what is wanted."""
    async with asyncio.timeout(20):
        while await status(port) != wanted:  # noqa: ASYNC110, it is the state of another process
            await asyncio.sleep(0.05)


async def serves_no_more(port: int) -> None:
    """Return once health says so, or nobody answers a new connection."""
    async with asyncio.timeout(20):
        while await status(port) == "SERVING":  # noqa: ASYNC110, it is the state of another process
            await asyncio.sleep(0.05)


async def test_health_follows_the_ledger_and_sigterm_ends_the_service_well(
    rating_url: str, ledger: FakeLedger
) -> None:
    server, address = await start_fake_ledger(ledger)
    port = free_port()
    process = await start(
        "serve",
        RATING_DATABASE_URL=rating_url,
        RATING_LISTEN=f"127.0.0.1:{port}",
        RATING_LEDGER_ADDRESS=address,
        RATING_SANDBOX="1",
    )
    await becomes(port, "SERVING")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        await stub.RecordUsage(rating_service_pb2.RecordUsageRequest(usage=usage()))
    await server.stop(None)
    await becomes(port, "NOT_SERVING")
    server, _ = await start_fake_ledger(ledger, address)
    await becomes(port, "SERVING")
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    await server.stop(None)

    assert process.returncode == 0
    lines = [json.loads(line) for line in errors.decode().splitlines() if line.startswith("{")]
    [call] = [line for line in lines if line["event"] == "call"]
    assert {"method": "RecordUsage", "code": "OK", "count": 1}.items() <= call.items()
    assert lines[-1]["event"] == "draining"


async def test_calls_in_flight_are_finished_after_sigterm(rating_url: str, ledger: FakeLedger) -> None:
    server, address = await start_fake_ledger(ledger)
    ledger.debits_go_on.clear()
    port = free_port()
    process = await start(
        "serve",
        RATING_DATABASE_URL=rating_url,
        RATING_LISTEN=f"127.0.0.1:{port}",
        RATING_LEDGER_ADDRESS=address,
        RATING_SANDBOX="1",
    )
    await becomes(port, "SERVING")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        call = stub.RecordUsage(rating_service_pb2.RecordUsageRequest(usage=usage()))
        await ledger.until_waiting(1)
        process.send_signal(signal.SIGTERM)
        await serves_no_more(port)
        ledger.debits_go_on.set()
        assert (await call).debit.amount_units == 3_000
    await asyncio.wait_for(process.communicate(), 30)
    await server.stop(None)

    assert process.returncode == 0


async def test_a_port_in_use_is_named(rating_url: str) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = await failing_line(RATING_DATABASE_URL=rating_url, RATING_LISTEN=address)

    assert line == f"rating: RATING_LISTEN={address}: cannot listen; is the port in use?"


async def test_a_database_that_does_not_answer_is_named() -> None:
    line = await failing_line(
        RATING_DATABASE_URL=f"postgresql://someone:secret@127.0.0.1:{free_port()}/rating"
    )

    assert line.startswith("rating: RATING_DATABASE_URL: the database cannot be used: ")
    assert "secret" not in line


async def test_a_data_directory_that_holds_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    line = await failing_line(RATING_DATA_DIRECTORY=str(tmp_path), RATING_DATABASE_URL="")

    assert line == f"rating: data directory {tmp_path} is not empty and holds no PostgreSQL data"


async def test_an_impossible_setting_is_named() -> None:
    line = await failing_line(RATING_LISTEN="nowhere")

    assert line == "rating: RATING_LISTEN='nowhere': expected host:port"


async def test_a_schema_that_is_newer_than_the_service_is_refused(rating_url: str) -> None:
    migrate(rating_url)
    with psycopg.connect(rating_url) as connection:
        connection.execute("INSERT INTO rating.migrations (number, name) VALUES (999, 'later')")
    line = await failing_line(RATING_DATABASE_URL=rating_url)

    assert line.startswith("rating: the schema is at migration 999")
