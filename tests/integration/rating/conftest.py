"""Fixtures: a fresh database a test on the run's own embedded server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.fakes.fake_ledger import FakeLedger
from tests.integration.rating.harness import Service, agreed_ledger, running_service
from tests.postgres import PostgresServer, postgres_server  # noqa: F401


@pytest.fixture
def rating_url(postgres_server: PostgresServer) -> Iterator[str]:  # noqa: F811
    """A fresh, empty database."""
    url = postgres_server.create_database(migrated=False)
    yield url
    postgres_server.drop_database(url)


@pytest_asyncio.fixture
async def ledger() -> FakeLedger:
    """A ledger with a card and a contract."""
    return await agreed_ledger()


@pytest_asyncio.fixture
async def service(rating_url: str, ledger: FakeLedger) -> AsyncIterator[Service]:
    """The service, caught up with that ledger."""
    async with running_service(rating_url, ledger) as running:
        yield running
