"""What PostgreSQL adds to the log: order under concurrency, lost connections, readers, no changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger_service.adapters.event_log import PostgresEventLog, PostgresLogReader
from ledger_service.application.ports import (
    AppendConflictError,
    NewEvent,
    OutcomeUnknownError,
    StoredEvent,
    StoreUnavailableError,
)
from tests.contract.cutting_proxy import CuttingProxy

INSERT = """
INSERT INTO ledger.stored_events (originator_id, originator_version, topic, state, notification_id)
SELECT %s, n - %s + 1, 'test.Happened.v1', '{}', n FROM generate_series(%s::bigint, %s::bigint) AS n"""
HEAD = "SELECT coalesce(max(notification_id), 0) FROM ledger.stored_events"
TERMINATE_WRITER = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'ledger-writer' AND datname = current_database()"""
BLOCKED_WRITERS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'ledger-writer' AND datname = current_database() AND wait_event_type = 'Lock'"""


def events(first: int, last: int, *, stream: str = "wallets/a", version: int = 1) -> list[NewEvent]:
    """Return events at positions [first, last], with keys."""
    return [
        NewEvent(at, stream, version + at - first, "test.Happened.v1", b"{}", at.to_bytes(16, "big"))
        for at in range(first, last + 1)
    ]


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[PostgresEventLog]:
    """The writer of a fresh shard."""
    async with PostgresEventLog(database_url) as log:
        assert await log.acquire()
        yield log


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[PostgresLogReader]:
    """A reader of the same shard."""
    async with PostgresLogReader(database_url) as reader:
        yield reader


@pytest.fixture
def admin(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection beside the log, in autocommit."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


async def until_blocked(admin: psycopg.Connection) -> None:
    """Wait until the writer waits for a lock, ten seconds at most."""
    for _ in range(1_000):
        if admin.execute(BLOCKED_WRITERS).fetchone() == (1,):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the writer was never blocked")


async def acquire(log: PostgresEventLog) -> None:
    """Become the writer again once the server has noticed that the old session is gone."""
    for _ in range(1_000):
        if await log.acquire():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the shard never became free")


async def test_a_writer_waits_for_an_earlier_one_at_its_positions_and_then_fails(
    log: PostgresEventLog, reader: PostgresLogReader, admin: psycopg.Connection, database_url: str
) -> None:
    with psycopg.connect(database_url) as earlier:
        earlier.execute(INSERT, ("wallets/earlier", 1, 1, 3))
        later = asyncio.create_task(log.append(events(3, 5)))
        await until_blocked(admin)
        assert await reader.read_log(after=0, limit=10) == []
        earlier.commit()

    with pytest.raises(AppendConflictError):
        await later
    assert [event.position for event in await reader.read_log(after=0, limit=10)] == [1, 2, 3]


async def test_a_writer_goes_on_when_the_earlier_one_at_its_positions_gives_up(
    log: PostgresEventLog, reader: PostgresLogReader, admin: psycopg.Connection, database_url: str
) -> None:
    with psycopg.connect(database_url) as earlier:
        earlier.execute(INSERT, ("wallets/earlier", 1, 1, 3))
        later = asyncio.create_task(log.append(events(1, 2)))
        await until_blocked(admin)
        earlier.rollback()

    await later
    assert [event.stream for event in await reader.read_log(after=0, limit=10)] == ["wallets/a"] * 2


async def append_many(log: PostgresEventLog, reader: PostgresLogReader, target: int) -> int:
    """Append after the head again and again, as a writer does, and return the number of lost races."""
    conflicts = 0
    while (head := await reader.head_position()) < target:
        batch = events(head + 1, head + random.randint(1, 20), stream=f"wallets/{random.random()}")
        try:
            await log.append(batch)
        except AppendConflictError:
            conflicts += 1
    return conflicts


def insert_many(url: str, target: int) -> int:
    """Do the same in long transactions of another session that holds no lock, as a forgotten writer would."""
    conflicts, head = 0, 0
    with psycopg.connect(url) as connection:
        while head < target:
            row = connection.execute(HEAD).fetchone()
            assert row is not None
            head = row[0]
            try:
                for at in range(head + 1, head + random.randint(2, 6)):
                    connection.execute(INSERT, (f"wallets/{random.random()}", at, at, at))
                connection.commit()
            except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected):
                conflicts += 1
                connection.rollback()
    return conflicts


async def follow(reader: PostgresLogReader, target: int) -> list[int]:
    """Poll without pause, as the most eager follower would, and return the positions in the order seen."""
    seen: list[int] = []
    while len(seen) < target:
        page = await reader.read_log(after=seen[-1] if seen else 0, limit=100)
        seen.extend(event.position for event in page)
    return seen


async def test_a_follower_never_skips_a_position_while_two_writers_compete(
    log: PostgresEventLog, reader: PostgresLogReader, database_url: str
) -> None:
    target = 2_000

    seen, log_conflicts, session_conflicts = await asyncio.gather(
        follow(reader, target),
        append_many(log, reader, target),
        asyncio.to_thread(insert_many, database_url, target),
    )

    assert seen == list(range(1, len(seen) + 1))
    assert log_conflicts + session_conflicts > 0


async def test_an_append_broken_before_its_commit_is_unknown_and_not_found_by_key(
    log: PostgresEventLog, admin: psycopg.Connection, database_url: str
) -> None:
    batch = events(1, 3)
    with psycopg.connect(database_url) as earlier:
        earlier.execute(INSERT, ("wallets/earlier", 1, 1, 1))
        broken = asyncio.create_task(log.append(batch))
        await until_blocked(admin)
        assert admin.execute(TERMINATE_WRITER).fetchone() == (1,)
        with pytest.raises(OutcomeUnknownError):
            await broken
        earlier.rollback()

    with pytest.raises(StoreUnavailableError):
        await log.head()
    await acquire(log)
    assert await log.find_keys([new.key_hash or b"" for new in batch]) == {}


async def test_an_append_broken_after_its_commit_is_unknown_and_found_by_key(
    database_url: str, tmp_path: Path
) -> None:
    batch = events(1, 3)
    async with CuttingProxy(database_url, tmp_path) as proxy, PostgresEventLog(proxy.url) as log:
        await acquire(log)
        proxy.cut_at_next_commit()
        with pytest.raises(OutcomeUnknownError):
            await log.append(batch)

        await acquire(log)
        found = await log.find_keys([new.key_hash or b"" for new in batch])

    assert {event.position for event in found.values()} == {1, 2, 3}


async def test_an_append_broken_at_any_moment_is_stored_as_a_whole_or_not_at_all(
    log: PostgresEventLog, admin: psycopg.Connection
) -> None:
    outcomes = set()
    for attempt in range(31):
        await acquire(log)
        head = await log.head()
        first = head.position + 1 if head else 1
        batch = events(first, first + 1_999, stream=f"wallets/{attempt}")
        append = asyncio.create_task(log.append(batch))
        # From at once, over moments around the commit, to surely after it.
        await asyncio.wait([append], timeout=attempt * 0.003 if attempt < 30 else None)
        await asyncio.to_thread(admin.execute, TERMINATE_WRITER)
        (broken,) = await asyncio.gather(append, return_exceptions=True)
        assert broken is None or isinstance(broken, OutcomeUnknownError)

        await log.close()
        await acquire(log)
        found = await log.find_keys([new.key_hash or b"" for new in batch])
        assert len(found) in ((2_000,) if broken is None else (0, 2_000))
        outcomes.add(len(found))
    assert outcomes == {0, 2_000}


async def test_a_cancelled_append_closes_the_log(
    log: PostgresEventLog, admin: psycopg.Connection, database_url: str
) -> None:
    with psycopg.connect(database_url) as earlier:
        earlier.execute(INSERT, ("wallets/earlier", 1, 1, 1))
        append = asyncio.create_task(log.append(events(1, 1)))
        await until_blocked(admin)
        append.cancel()
        with pytest.raises(asyncio.CancelledError):
            await append

    with pytest.raises(StoreUnavailableError):
        await log.head()


async def test_a_standby_takes_over_when_the_writers_session_dies(
    log: PostgresEventLog, admin: psycopg.Connection, database_url: str
) -> None:
    async with PostgresEventLog(database_url) as standby:
        assert not await standby.acquire()
        admin.execute(TERMINATE_WRITER)
        await acquire(standby)

        with pytest.raises(OutcomeUnknownError):
            await log.append(events(1, 1))
        assert not await log.acquire()


async def test_two_shards_of_a_database_have_a_writer_each(log: PostgresEventLog, database_url: str) -> None:
    async with PostgresEventLog(database_url, schema="ledger_2") as other:
        assert await other.acquire()


async def test_a_database_that_only_reads_is_unavailable_and_stores_nothing(
    log: PostgresEventLog, admin: psycopg.Connection
) -> None:
    await log.close()
    name = admin.info.dbname
    admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode())
    await acquire(log)

    with pytest.raises(StoreUnavailableError):
        await log.append(events(1, 1))
    assert await log.head() is None


async def test_a_server_that_is_away_is_unavailable(database_url: str, tmp_path: Path) -> None:
    away = make_conninfo("", **{**conninfo_to_dict(database_url), "host": str(tmp_path)})

    with pytest.raises(StoreUnavailableError):
        await PostgresEventLog(away).acquire()


async def test_a_statement_that_is_our_own_mistake_comes_through(log: PostgresEventLog) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await log.append(events(1, 1, version=0))


async def test_a_database_that_says_asynchronous_commit_is_overruled(
    log: PostgresEventLog, admin: psycopg.Connection
) -> None:
    await log.close()
    admin.execute(f'ALTER DATABASE "{admin.info.dbname}" SET synchronous_commit = off'.encode())
    await acquire(log)

    assert await log._fetch_all(b"SHOW synchronous_commit") == [("on",)]


@pytest.mark.parametrize(
    "change",
    [
        b"UPDATE ledger.stored_events SET topic = 'other'",
        b"DELETE FROM ledger.stored_events WHERE false",
        b"TRUNCATE ledger.stored_events",
        b"SET session_replication_role = replica; DELETE FROM ledger.stored_events",
    ],
)
async def test_the_log_is_append_only(
    log: PostgresEventLog, admin: psycopg.Connection, change: bytes
) -> None:
    await log.append(events(1, 1))

    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
        admin.execute(change)


async def test_people_read_the_log_in_psql(log: PostgresEventLog, admin: psycopg.Connection) -> None:
    times = b'"record_time":"2026-01-02T03:04:05.000006Z","effective_time":"2026-01-01T00:00:00Z"'
    state = b"{%s,%s}" % (times, b'"idempotency_key":"k"')
    await log.append([NewEvent(1, "wallets/a", 1, "test.Happened.v1", state, None)])

    row = admin.execute(
        "SELECT position, stream, version, idempotency_key, record_time = '2026-01-02 03:04:05.000006+00',"
        " effective_time < record_time, state ? 'record_time' FROM ledger.events"
    ).fetchone()

    assert row == (1, "wallets/a", 1, "k", True, True, True)


async def test_pages_of_the_log_follow_each_other_without_gap(
    log: PostgresEventLog, reader: PostgresLogReader
) -> None:
    await log.append(events(1, 10))

    pages = [await reader.read_log(after=after, limit=4) for after in (0, 4, 8, 10)]

    assert [[event.position for event in page] for page in pages] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10], []]
    assert await reader.head_position() == 10


async def test_reads_can_be_limited_to_topics(log: PostgresEventLog, reader: PostgresLogReader) -> None:
    other = NewEvent(2, "wallets/a", 2, "test.Other.v1", b"{}", None)
    await log.append([*events(1, 1), other, *events(3, 3, version=3)])
    expected = [StoredEvent(2, "wallets/a", 2, "test.Other.v1", b"{}")]

    assert await reader.read_log(after=0, limit=9, topics=["test.Other.v1"]) == expected
    assert await reader.read_stream("wallets/a", after=0, limit=9, topics=["test.Other.v1"]) == expected


async def test_a_stream_is_read_after_a_version(log: PostgresEventLog, reader: PostgresLogReader) -> None:
    await log.append([*events(1, 3), *events(4, 4, stream="wallets/b")])

    assert [event.version for event in await reader.read_stream("wallets/a", after=1, limit=9)] == [2, 3]
    assert [event.version for event in await reader.read_stream("wallets/a", after=0, limit=2)] == [1, 2]
    assert [event.version for event in await reader.read_versions("wallets/a", [3, 1, 9])] == [1, 3]
    assert await reader.read_versions("wallets/none", [1]) == []


async def test_an_empty_log_has_head_position_zero(reader: PostgresLogReader) -> None:
    assert await reader.head_position() == 0


async def test_a_collection_is_read_by_streams_with_all_their_events(
    log: PostgresEventLog, reader: PostgresLogReader
) -> None:
    await log.append(
        [
            *events(1, 2, stream="contracts/b"),
            *events(3, 3, stream="contracts/a"),
            *events(4, 4, stream="contractsx/c"),
            *events(5, 5, stream="wallets/a"),
        ]
    )

    both = await reader.read_collection("contracts", after="", limit=9)
    first = await reader.read_collection("contracts", after="", limit=1)
    rest = await reader.read_collection("contracts", after="contracts/a", limit=9)

    named = [("contracts/a", 1), ("contracts/b", 1), ("contracts/b", 2)]
    assert [(event.stream, event.version) for event in both] == named
    assert [(event.stream, event.version) for event in first] == named[:1]
    assert [(event.stream, event.version) for event in rest] == named[1:]
