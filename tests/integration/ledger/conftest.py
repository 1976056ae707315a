"""One ledger on the system clock and one sandbox for all tests of a worker; each test has wallets of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.integration.ledger.client import Client
from tests.postgres import PostgresServer
from tests.servers import LedgerServer, projector


@pytest.fixture(scope="session")
def running_ledger(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LedgerServer]:
    """A ledger and its projector."""
    yield from _running(postgres_server, tmp_path_factory)


@pytest.fixture(scope="session")
def running_sandbox(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LedgerServer]:
    """A ledger on a manual clock, which begins with the year 2026, and its projector."""
    yield from _running(
        postgres_server, tmp_path_factory, sandbox="true", sandbox_start_time="2026-01-01T00:00:00Z"
    )


def _running(
    postgres: PostgresServer, directories: pytest.TempPathFactory, **settings: str
) -> Iterator[LedgerServer]:
    url = postgres.create_database()
    logs = directories.mktemp("ledger")
    with (
        projector(logs / "projector.log", database_url=url),
        LedgerServer(logs / "ledger.log", database_url=url, **settings) as server,
    ):
        server.wait_for_line("serving")
        yield server
    postgres.drop_database(url)


@pytest_asyncio.fixture
async def ledger(running_ledger: LedgerServer) -> AsyncIterator[Client]:
    """A caller of the ledger."""
    async with Client(running_ledger.address) as client:
        yield client


@pytest_asyncio.fixture
async def sandbox(running_sandbox: LedgerServer) -> AsyncIterator[Client]:
    """A caller of the sandbox."""
    async with Client(running_sandbox.address) as client:
        yield client
