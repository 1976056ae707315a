"""Streams in PostgreSQL: what is stored comes back as it was, and what still has something to do is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import msgspec
import pytest
import pytest_asyncio

from rating_service.adapters.migrations import migrate
from rating_service.adapters.postgres.postgres_pool import open_pool
from rating_service.adapters.postgres.stream_store import PostgresStreamStore
from rating_service.domain.usage_stream import OPEN, QUARANTINED, SETTLED, SETTLING, Holder, UsageStream
from tests.unit.rating.builders import JANUARY

MICROSECOND: Final = timedelta(microseconds=1)
CONTRACT: Final = "contracts/acme"


@pytest_asyncio.fixture
async def store(rating_url: str) -> AsyncIterator[PostgresStreamStore]:
    """A store on a migrated database."""
    await asyncio.to_thread(migrate, rating_url)
    pool = await open_pool(rating_url)
    yield PostgresStreamStore(pool)
    await pool.close()


def stream(usage_id: str, **changes: object) -> UsageStream:
    """Return an open stream that is settled at the end of its ten minutes."""
    opened = UsageStream(
        contract=CONTRACT,
        usage_id=usage_id,
        identity="i",
        sequence=1,
        received=b"totals",
        ttl=timedelta(minutes=10),
        settle_time=JANUARY + timedelta(minutes=10),
        state=OPEN,
    )
    return msgspec.structs.replace(opened, **changes)


async def test_a_stream_comes_back_as_it_was_stored(store: PostgresStreamStore) -> None:
    first = stream("s")
    full = stream(
        "s",
        hold="wallets/acme/holds/2",
        held_units=50,
        hold_expire_time=JANUARY + timedelta(minutes=20),
        hold_number=3,
        wanted_units=70,
        wanted_for=Holder("wallets/acme", "", "{odd, key}", "anna"),
        spare_holds=("wallets/acme/holds/1", "{odd, name}"),
    )
    added = await store.change(CONTRACT, "s", lambda _: first)
    changed = await store.change(CONTRACT, "s", lambda before: full if before == first else first)

    assert (added, changed) == (first, full)
    assert await store.change(CONTRACT, "s", lambda before: before or first) == full


@pytest.mark.parametrize(
    ("changes", "is_due"),
    [
        ({}, False),
        ({"settle_time": JANUARY}, True),
        ({"settle_time": JANUARY + MICROSECOND}, False),
        ({"state": SETTLING}, True),
        ({"state": SETTLED, "settle_time": JANUARY}, False),
        ({"state": QUARANTINED, "settle_time": JANUARY}, False),
        ({"state": OPEN, "spare_holds": ("h",)}, True),
        ({"state": SETTLED, "spare_holds": ("h",)}, True),
    ],
)
async def test_a_stream_is_due_if_it_is_over_or_settles_or_holds_too_much(
    store: PostgresStreamStore, changes: dict[str, object], is_due: bool
) -> None:
    stored = await store.change(CONTRACT, "s", lambda _: stream("s", **changes))

    assert await store.due(JANUARY, limit=10) == [stored] * is_due
