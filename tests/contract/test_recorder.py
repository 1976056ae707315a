"""The contract of the library's recorder, held on our tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Thread

import psycopg
import pytest
from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    MapperDeserialisationError,
    Notification,
    OperationalError,
    ProgrammingError,
    StoredEvent,
    Tracking,
)

from ledger_service.adapters.event_log import PostgresEventLog
from ledger_service.adapters.recorder import (
    LedgerDatastore,
    LedgerMapper,
    LedgerRecorder,
    LedgerTrackingRecorder,
    RecordedFact,
)
from ledger_service.application.ports import NewEvent
from ledger_service.domain.events import CreditsExpired, Event, Fact
from ledger_service.domain.topics import GENESIS_HASH


@pytest.fixture
def datastore(database_url: str) -> Iterator[LedgerDatastore]:
    """A pool on a fresh shard."""
    with LedgerDatastore(database_url) as datastore:
        yield datastore


@pytest.fixture
def recorder(datastore: LedgerDatastore) -> LedgerRecorder:
    """A recorder of a fresh shard."""
    return LedgerRecorder(datastore)


def happened(version: int, stream: str = "wallets/a", topic: str = "test.Happened.v1") -> StoredEvent:
    return StoredEvent(stream, version, topic, b"{}")


def test_positions_follow_the_newest_without_gap(recorder: LedgerRecorder) -> None:
    assert recorder.max_notification_id() is None
    assert recorder.insert_events([happened(1), happened(2)]) == [1, 2]
    with pytest.raises(IntegrityError):
        recorder.insert_events([happened(3), happened(2)])

    assert recorder.insert_events([happened(3), happened(1, "wallets/b")]) == [3, 4]
    assert recorder.max_notification_id() == 4


def test_given_positions_are_kept(recorder: LedgerRecorder) -> None:
    assert recorder.insert_events([happened(1), happened(2)], positions=[1, 2]) == [1, 2]

    with pytest.raises(IntegrityError):
        recorder.insert_events([happened(3)], positions=[2])


def test_positions_that_do_not_match_the_events_are_refused(recorder: LedgerRecorder) -> None:
    with pytest.raises(ProgrammingError):
        recorder.insert_events([happened(1), happened(2)], positions=[1])


def test_a_key_is_taken_once(recorder: LedgerRecorder) -> None:
    recorder.insert_events([happened(1), happened(2)], key_hashes=[None, b"k" * 16])

    with pytest.raises(IntegrityError):
        recorder.insert_events([happened(3)], key_hashes=[b"k" * 16])
    assert recorder.max_notification_id() == 2


def test_inserting_nothing_stores_nothing(recorder: LedgerRecorder) -> None:
    assert recorder.insert_events([]) == []
    assert recorder.max_notification_id() is None


def test_a_stream_is_selected_between_versions_in_either_order(recorder: LedgerRecorder) -> None:
    recorder.insert_events([happened(version) for version in range(1, 6)])

    assert recorder.select_events("wallets/a", gt=1, lte=4) == [happened(n) for n in (2, 3, 4)]
    assert recorder.select_events("wallets/a", desc=True, limit=2) == [happened(5), happened(4)]
    assert recorder.select_events("wallets/none") == []


def test_notifications_are_selected_by_position_and_topic(recorder: LedgerRecorder) -> None:
    recorder.insert_events([happened(1), happened(2, topic="test.Other.v1"), happened(3)])

    after = recorder.select_notifications(1, 10, inclusive_of_start=False)
    other = recorder.select_notifications(None, 10, topics=["test.Other.v1"])

    assert [found.id for found in after] == [2, 3]
    assert other == [Notification("wallets/a", 2, "test.Other.v1", b"{}", 2)]


def test_an_insert_whose_connection_breaks_is_not_repeated(
    recorder: LedgerRecorder, datastore: LedgerDatastore, database_url: str
) -> None:
    with psycopg.connect(database_url) as earlier, psycopg.connect(database_url, autocommit=True) as admin:
        earlier.execute("INSERT INTO ledger.stored_events VALUES ('wallets/b', 1, 't', '', 1)")
        errors: list[BaseException] = []

        def insert() -> None:
            try:
                recorder.insert_events([happened(1)])
            except (OperationalError, InterfaceError) as error:
                errors.append(error)

        thread = Thread(target=insert)
        thread.start()
        terminate = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'ledger-recorder' AND wait_event_type = 'Lock'"
        )
        while thread.is_alive() and admin.execute(terminate).fetchone() == (0,):
            thread.join(0.01)
        thread.join()

    assert len(errors) == 1
    assert recorder.select_events("wallets/a") == []


async def test_a_subscription_sees_what_the_log_appends_in_order(
    recorder: LedgerRecorder, database_url: str
) -> None:
    seen: list[int] = []

    def follow() -> None:
        with recorder.subscribe(gt=2) as subscription:
            for notification in subscription:
                seen.append(notification.id)
                if notification.id == 1_202:
                    return

    following = asyncio.create_task(asyncio.to_thread(follow))
    async with PostgresEventLog(database_url) as log:
        assert await log.acquire()
        for first in range(1, 1_203, 3):
            page = range(first, first + 3)
            await log.append([NewEvent(n, "wallets/a", n, "test.Happened.v1", b"{}") for n in page])
    await asyncio.wait_for(following, timeout=30)

    assert seen == list(range(3, 1_203))


def test_a_tracking_position_only_grows(datastore: LedgerDatastore) -> None:
    tracking = LedgerTrackingRecorder(datastore)
    assert tracking.max_tracking_id("wallets") is None

    tracking.insert_tracking(Tracking("wallets", 5))

    assert tracking.has_tracking_id("wallets", 5)
    assert not tracking.has_tracking_id("wallets", 6)
    with pytest.raises(IntegrityError):
        tracking.insert_tracking(Tracking("wallets", 5))


def test_a_recorded_fact_survives_the_mapper_under_its_topic() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    fact: Fact[Event] = Fact(CreditsExpired(grant_version=2, amount_units=7), at, at, GENESIS_HASH)
    recorded = RecordedFact("wallets/a", 3, fact)
    mapper = LedgerMapper()

    stored = mapper.to_stored_event(recorded)

    assert (stored.originator_id, stored.originator_version) == ("wallets/a", 3)
    assert stored.topic == "wallet.CreditsExpired.v1"
    assert mapper.to_domain_event(stored) == recorded


@pytest.mark.parametrize(
    ("topic", "state"),
    [
        ("wallet.Unheard.v1", b"{}"),
        ("wallet.CreditsExpired.v1", b"{}"),
        ("wallet.CreditsExpired.v1", b"\xff"),
    ],
)
def test_bytes_that_no_topic_claims_are_an_error(topic: str, state: bytes) -> None:
    with pytest.raises(MapperDeserialisationError, match="wallets/a version 3"):
        LedgerMapper().to_domain_event(StoredEvent("wallets/a", 3, topic, state))
