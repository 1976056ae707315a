"""One ledger on a manual clock for the tests of a worker; each test has contracts and a rating service of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.integration.billing.world import START, World, running_world
from tests.postgres import PostgresServer, postgres_server  # noqa: F401
from tests.servers import LedgerServer


@pytest.fixture
def running_ledger(
    postgres_server: PostgresServer,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LedgerServer]:
    """A ledger on a manual clock that begins at START."""
    url = postgres_server.create_database()
    settings = {"sandbox": "true", "sandbox_start_time": START.isoformat()}
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
async def world(running_ledger: LedgerServer, rating_url: str) -> AsyncIterator[World]:
    """Both services, and a card."""
    async with running_world(running_ledger.address, rating_url) as running:
        yield running
