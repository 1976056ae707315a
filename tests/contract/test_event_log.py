"""The contract of ports.EventLog, held by the PostgreSQL adapter and by the fake that other tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from hashlib import md5

import pytest

from ledger_service.adapters.event_log import PostgresEventLog
from ledger_service.application.ports import (
    AppendConflictError,
    EventLog,
    NewEvent,
    OutcomeUnknownError,
    Snapshot,
    StoredEvent,
    StoreUnavailableError,
)
from tests.fakes.memory_event_log import AppendFailure, MemoryEventLog, MemoryShard

MakeLog = Callable[[], EventLog]


@pytest.fixture(params=["memory", "postgres"])
def make_log(request: pytest.FixtureRequest) -> MakeLog:
    """Makes logs of one fresh shard."""
    if request.param == "memory":
        shard = MemoryShard()
        return lambda: MemoryEventLog(shard)
    url: str = request.getfixturevalue("database_url")
    return lambda: PostgresEventLog(url)


@pytest.fixture
async def log(make_log: MakeLog) -> AsyncIterator[EventLog]:
    """The writer of a fresh shard."""
    log = make_log()
    assert await log.acquire()
    yield log
    await log.close()


def key(name: str) -> bytes:
    return md5(name.encode(), usedforsecurity=False).digest()


def event(
    position: int, stream: str = "wallets/a", version: int = 1, key_hash: bytes | None = None
) -> NewEvent:
    state = b'{"position":%d}' % position
    return NewEvent(position, stream, version, "wallet.WalletOpened.v1", state, key_hash)


def stored(new: NewEvent) -> StoredEvent:
    return StoredEvent(new.position, new.stream, new.version, new.topic, new.state)


async def events_of(log: EventLog, stream: str = "wallets/a") -> list[int]:
    loaded = await log.load([stream], snapshot_format=1)
    return [found.version for found in loaded[stream].events]


async def test_an_empty_log_has_no_head(log: EventLog) -> None:
    assert await log.head() is None


async def test_the_head_is_the_event_at_the_highest_position(log: EventLog) -> None:
    first, second = event(1), event(2, "wallets/b")

    await log.append([first])
    await log.append([second])

    assert stored(second) == await log.head()


async def test_what_is_appended_is_loaded_in_order_of_version(log: EventLog) -> None:
    first, other, second = event(1), event(2, "wallets/b"), event(3, version=2)
    await log.append([first, other, second])

    loaded = await log.load(["wallets/a", "wallets/b"], snapshot_format=1)

    assert (stored(first), stored(second)) == loaded["wallets/a"].events
    assert (stored(other),) == loaded["wallets/b"].events


async def test_a_stream_without_events_has_an_empty_entry(log: EventLog) -> None:
    loaded = await log.load(["wallets/none"], snapshot_format=1)

    assert loaded["wallets/none"].snapshot is None
    assert loaded["wallets/none"].events == ()


async def test_loading_no_stream_gives_nothing(log: EventLog) -> None:
    assert await log.load([], snapshot_format=1) == {}


async def test_any_bytes_and_any_text_survive_the_store(log: EventLog) -> None:
    strange = NewEvent(1, 'wallets/ü €,{}"\\', 1, "a.B.v1", bytes(range(256)) * 20, key("k"))
    empty = NewEvent(2, "wallets/empty", 1, "a.B.v1", b"", None)

    await log.append([strange, empty])

    loaded = await log.load([strange.stream, empty.stream], snapshot_format=1)
    assert loaded[strange.stream].events == (stored(strange),)
    assert loaded[empty.stream].events == (stored(empty),)


async def test_five_thousand_events_go_in_one_append(log: EventLog) -> None:
    await log.append([event(n, version=n, key_hash=key(str(n))) for n in range(1, 5_001)])

    assert await events_of(log) == list(range(1, 5_001))


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(event(2, "wallets/b", key_hash=key("first")), id="key"),
        pytest.param(event(1, "wallets/b"), id="position"),
        pytest.param(event(2, "wallets/a", version=1), id="version"),
    ],
)
async def test_a_taken_key_position_or_version_conflicts_and_stores_nothing(
    log: EventLog, late: NewEvent
) -> None:
    await log.append([event(1, key_hash=key("first"))])
    innocent = event(3, "wallets/c", key_hash=key("innocent"))

    with pytest.raises(AppendConflictError):
        await log.append([innocent, late], [Snapshot("wallets/c", 1, 1, b"{}")])

    loaded = await log.load(["wallets/b", "wallets/c"], snapshot_format=1)
    assert [(found.snapshot, found.events) for found in loaded.values()] == [(None, ()), (None, ())]
    assert await log.find_keys([key("innocent")]) == {}
    assert await events_of(log) == [1]


async def test_one_key_twice_in_an_append_conflicts(log: EventLog) -> None:
    with pytest.raises(AppendConflictError):
        await log.append([event(1, key_hash=key("k")), event(2, version=2, key_hash=key("k"))])

    assert await log.head() is None


async def test_after_a_conflict_the_log_goes_on(log: EventLog) -> None:
    await log.append([event(1)])
    with pytest.raises(AppendConflictError):
        await log.append([event(1, "wallets/b")])

    await log.append([event(2, version=2)])

    assert await events_of(log) == [1, 2]


async def test_a_key_finds_the_event_that_answers_it(log: EventLog) -> None:
    keyed, plain = event(1, key_hash=key("k")), event(2, version=2)
    await log.append([keyed, plain])

    assert await log.find_keys([key("k"), key("unknown")]) == {key("k"): stored(keyed)}
    assert await log.find_keys([]) == {}


async def test_a_snapshot_load_is_the_snapshot_and_the_events_after_it(log: EventLog) -> None:
    events = [event(n, version=n) for n in range(1, 6)]
    await log.append(events[:3], [Snapshot("wallets/a", 3, 1, b"three")])
    await log.append(events[3:])

    with_snapshot = (await log.load(["wallets/a"], snapshot_format=1))["wallets/a"]
    without = (await log.load(["wallets/a"], snapshot_format=2))["wallets/a"]

    assert with_snapshot.snapshot == Snapshot("wallets/a", 3, 1, b"three")
    assert with_snapshot.events == without.events[3:]
    assert without.snapshot is None
    assert without.events == tuple(map(stored, events))


async def test_a_snapshot_at_the_last_event_leaves_no_event_to_load(log: EventLog) -> None:
    await log.append([event(1)], [Snapshot("wallets/a", 1, 1, b"one")])

    loaded = (await log.load(["wallets/a"], snapshot_format=1))["wallets/a"]

    assert loaded.snapshot == Snapshot("wallets/a", 1, 1, b"one")
    assert loaded.events == ()


async def test_an_older_snapshot_never_replaces_a_newer_one(log: EventLog) -> None:
    await log.append([event(1), event(2, version=2)], [Snapshot("wallets/a", 2, 1, b"two")])

    await log.append([event(3, version=3)], [Snapshot("wallets/a", 1, 1, b"one")])

    loaded = (await log.load(["wallets/a"], snapshot_format=1))["wallets/a"]
    assert loaded.snapshot == Snapshot("wallets/a", 2, 1, b"two")
    assert [found.version for found in loaded.events] == [3]


async def test_a_second_instance_waits_until_the_writer_closes(log: EventLog, make_log: MakeLog) -> None:
    standby = make_log()

    assert not await standby.acquire()
    with pytest.raises(StoreUnavailableError):
        await standby.append([event(1)])
    await log.close()

    assert await standby.acquire()
    await standby.append([event(1)])
    await standby.close()


async def test_acquiring_twice_keeps_the_shard(log: EventLog) -> None:
    assert await log.acquire()


async def test_a_closed_log_is_unavailable_for_everything(log: EventLog) -> None:
    await log.close()

    for attempt in (
        log.append([event(1)]),
        log.head(),
        log.load(["wallets/a"], snapshot_format=1),
        log.find_keys([key("k")]),
    ):
        with pytest.raises(StoreUnavailableError):
            await attempt


@pytest.mark.parametrize(
    ("failure", "error", "versions"),
    [
        (AppendFailure.UNAVAILABLE, StoreUnavailableError, []),
        (AppendFailure.UNKNOWN_STORED, OutcomeUnknownError, [1]),
        (AppendFailure.UNKNOWN_NOT_STORED, OutcomeUnknownError, []),
    ],
)
async def test_the_fake_closes_when_it_fails_and_stores_what_it_says(
    failure: AppendFailure, error: type[Exception], versions: list[int]
) -> None:
    shard = MemoryShard()
    log = MemoryEventLog(shard)
    await log.acquire()
    shard.fail_next.append(failure)

    with pytest.raises(error):
        await log.append([event(1)])
    with pytest.raises(StoreUnavailableError):
        await log.head()

    assert await log.acquire()
    assert await events_of(log) == versions


async def test_the_fake_conflicts_on_demand_and_stays_open() -> None:
    log = MemoryEventLog()
    await log.acquire()
    log.shard.fail_next.append(AppendFailure.CONFLICT)

    with pytest.raises(AppendConflictError):
        await log.append([event(1)])

    assert await log.head() is None
