"""A ledger on a manual clock for the tests of a worker; each test has contracts and a rating service of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio

from tests.forked import ForkedLedger
from tests.integration.billing.world import World, running_world
from tests.postgres import PostgresServer, postgres_server  # noqa: F401
from tests.servers import LedgerServer


@pytest.fixture(scope="session")
def running_ledger(
    postgres_server: PostgresServer,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LedgerServer]:
    """The ledger that tests share, one year after the other."""
    with _running(postgres_server, tmp_path_factory) as server:
        yield server


@pytest.fixture
def lone_ledger(
    postgres_server: PostgresServer,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LedgerServer]:
    """A ledger for one test alone, whose clock stands at the beginning of 2026."""
    with _running(postgres_server, tmp_path_factory) as server:
        yield server


@pytest.fixture
def rating_url(postgres_server: PostgresServer) -> Iterator[str]:  # noqa: F811
    """A fresh, empty database."""
    url = postgres_server.create_database(migrated=False)
    yield url
    postgres_server.drop_database(url)


@pytest_asyncio.fixture
async def world(running_ledger: LedgerServer, rating_url: str) -> AsyncIterator[World]:
    """Both services at the beginning of a year; the ledger holds contracts of other tests as well."""
    async with running_world(running_ledger.address, rating_url) as running:
        yield running


@pytest_asyncio.fixture
async def lone_world(lone_ledger: LedgerServer, rating_url: str) -> AsyncIterator[World]:
    """Both services at the beginning of 2026, and nothing in them."""
    async with running_world(lone_ledger.address, rating_url) as running:
        yield running


@contextmanager
def _running(postgres: PostgresServer, directories: pytest.TempPathFactory) -> Iterator[LedgerServer]:
    url = postgres.create_database()
    log_file = directories.mktemp("ledger") / "ledger.log"
    with ForkedLedger(
        log_file, database_url=url, sandbox="true", sandbox_start_time="2026-01-01T00:00:00Z"
    ) as server:
        server.wait_for_line("serving")
        yield server
    postgres.drop_database(url)
