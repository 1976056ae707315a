"""Follows a ledger into a database until it is killed: `python -m … DATABASE_URL LEDGER_ADDRESS`."""

from __future__ import annotations

import asyncio
import sys

from rating_service.adapters.ledger.ledger_channel import open_channel
from rating_service.adapters.ledger.ledger_client import LedgerClient
from rating_service.adapters.postgres.history_store import PostgresHistoryStore
from rating_service.adapters.postgres.postgres_pool import open_pool
from rating_service.projections.follower import Follower


async def follow(url: str, address: str) -> None:
    """Follow for ever."""
    pool = await open_pool(url)
    channel = open_channel(address, ca_file=None, certificate_file=None, key_file=None)
    ledger = LedgerClient(channel)
    await Follower(ledger=ledger, store=PostgresHistoryStore(pool)).run()


if __name__ == "__main__":
    asyncio.run(follow(*sys.argv[1:]))
