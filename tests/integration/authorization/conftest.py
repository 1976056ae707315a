"""Fixtures: a sandbox ledger for all tests of a worker, and a rating service a test that follows it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.integration.authorization.gateway import Gateway, running_gateway
from tests.postgres import PostgresServer, postgres_server  # noqa: F401
from tests.servers import LedgerServer


@pytest.fixture(scope="session")
def ledger_server(
    postgres_server: PostgresServer,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LedgerServer]:
    """A ledger on a manual clock, which begins with the year 2026."""
    url = postgres_server.create_database()
    settings = {"sandbox": "true", "sandbox_start_time": "2026-01-01T00:00:00Z"}
    log_file = tmp_path_factory.mktemp("ledger") / "ledger.log"
    with LedgerServer(log_file, database_url=url, **settings) as server:
        server.wait_for_line("serving")
        yield server
    postgres_server.drop_database(url)


@pytest.fixture
def rating_url(postgres_server: PostgresServer) -> Iterator[str]:  # noqa: F811
    """A fresh, empty database."""
    url = postgres_server.create_database(migrated=False)
    yield url
    postgres_server.drop_database(url)


@pytest_asyncio.fixture
async def gateway(ledger_server: LedgerServer, rating_url: str) -> AsyncIterator[Gateway]:
    """A caller of both services."""
    async with running_gateway(ledger_server, rating_url) as running:
        yield running
