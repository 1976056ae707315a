"""Fixtures: a ledger that stands still in time, a rating service, and a customer of a card of two dimensions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integration.authorization.conftest import ledger_server, rating_url  # noqa: F401
from tests.integration.authorization.gateway import running_gateway
from tests.integration.rerating.customer import Customer
from tests.postgres import postgres_server  # noqa: F401
from tests.servers import LedgerServer


@pytest_asyncio.fixture
async def customer(ledger_server: LedgerServer, rating_url: str) -> AsyncIterator[Customer]:  # noqa: F811
    """A customer with credit and a contract by the month, on a card of its own."""
    async with running_gateway(ledger_server, rating_url) as gateway:
        yield await Customer.signed(gateway)
