"""The projector on a real database: killed, doubled, disconnected, it applies each event exactly once."""

from __future__ import annotations

import signal
from random import Random
from threading import Thread

import psycopg
import pytest

from ledger_service.adapters.migrate import SCHEMA_DEFAULT
from ledger_service.application.ports import StoredEvent
from ledger_service.domain.topics import UnknownTopicError
from ledger_service.projections.catch_up import RunLimits
from ledger_service.projections.connections import connect
from ledger_service.projections.projector import Projector, ProjectorSettings
from ledger_service.projections.rebuild import compare, rebuild
from ledger_service.projections.tracking import (
    PositionMovedError,
    ensure_positions,
    move_position,
    read_positions,
)
from tests.fakes.projection_log import play, random_steps, stored
from tests.integration.projector_process import (
    NAMES,
    append,
    catch_up,
    positions,
    projector_count,
    start_projector,
    wait_for,
)


def differences(url: str) -> list[str]:
    """Return what a rebuild would change."""
    return [
        f"{each.table}: {each.live} is {each.rebuilt}"
        for comparison in compare(url, schema=SCHEMA_DEFAULT)
        for each in comparison.differences
    ]


def execute(url: str, statement: str) -> None:
    """Run one statement with the shard's schema in reach."""
    with connect(url, schema=SCHEMA_DEFAULT) as connection:
        connection.execute(statement.encode())


def rows(url: str) -> list[list[tuple[object, ...]]]:
    """Return everything in the projections' tables."""
    with connect(url, schema=SCHEMA_DEFAULT) as connection:
        return [
            connection.execute(f"SELECT * FROM {table} AS t ORDER BY t".encode()).fetchall()  # noqa: S608
            for table in (
                "wallet_view_wallets",
                "wallet_view_policies",
                "wallet_view_grants",
                "journal_lots",
                "journal_days",
                "journal_wallets",
            )
        ]


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_the_same_however_the_log_is_cut(database_url: str, seed: int) -> None:
    random = Random(seed)
    append(database_url, stored(play(random_steps(seed, 150))))
    catch_up(database_url, RunLimits(random.randint(1, 9), random.randint(1, 30), random.randint(1, 9)))
    in_pieces = rows(database_url)
    rebuild(database_url, schema=SCHEMA_DEFAULT)

    assert all(in_pieces)
    assert in_pieces == rows(database_url)


def test_killed_at_random_points_a_projector_loses_and_doubles_nothing(database_url: str) -> None:
    random = Random(1)
    log = stored(play(random_steps(1, 2_000)))
    append(database_url, log)
    for threshold in sorted(random.randint(0, len(log) - 500) for _ in range(6)):
        process = start_projector(database_url)
        wait_for(lambda least=threshold: max(positions(database_url).values(), default=0) > least)  # type: ignore[misc]
        process.kill()
        process.wait()
        assert min(positions(database_url).values()) < len(log), "it was killed in the middle"
        assert differences(database_url) == []
    catch_up(database_url)

    assert positions(database_url) == dict.fromkeys(NAMES, len(log))
    assert differences(database_url) == []


def test_two_projectors_at_once_apply_each_event_once(database_url: str) -> None:
    log = stored(play(random_steps(2, 2_000)))
    processes = [start_projector(database_url) for _ in range(2)]
    wait_for(lambda: projector_count(database_url) == 2)
    append(database_url, log)
    wait_for(lambda: positions(database_url) == dict.fromkeys(NAMES, len(log)))
    for process in processes:
        process.send_signal(signal.SIGTERM)

    assert [process.wait(timeout=30) for process in processes] == [0, 0]
    assert differences(database_url) == []


def test_a_projector_that_was_overtaken_changes_nothing(database_url: str) -> None:
    append(database_url, stored(play(random_steps(3, 50))))
    with connect(database_url, schema=SCHEMA_DEFAULT) as slow:
        ensure_positions(slow, NAMES)
        read = read_positions(slow, NAMES)
        catch_up(database_url, RunLimits(10, 10, 10))
        before = rows(database_url)
        with pytest.raises(PositionMovedError), slow.transaction():
            # It read further than the other one stored: only the exact beginning may be moved on from.
            move_position(slow, NAMES[0], after=read[NAMES[0]], through=10_000)

    assert before == rows(database_url)


def test_a_position_never_moves_without_its_effect(database_url: str) -> None:
    log = stored(play(random_steps(4, 50)))
    append(database_url, log)
    execute(database_url, "ALTER TABLE journal_days ADD CHECK (nanos < 0)")
    with pytest.raises(psycopg.errors.CheckViolation):
        catch_up(database_url)

    assert positions(database_url) == dict.fromkeys(NAMES, 0)
    assert rows(database_url) == [[], [], [], [], [], []]


def test_an_event_that_cannot_be_read_stops_the_projector(database_url: str) -> None:
    log = stored(play(random_steps(5, 20)))
    append(database_url, [*log, StoredEvent(len(log) + 1, "wallets/z", 1, "wallet.Unheard.v1", b"{}")])

    with pytest.raises(UnknownTopicError):
        Projector(ProjectorSettings(database_url, SCHEMA_DEFAULT)).run()
    assert positions(database_url) == dict.fromkeys(NAMES, 0)


def test_a_projector_follows_the_log_and_survives_losing_its_connection(database_url: str) -> None:
    log = stored(play(random_steps(6, 60)))
    projector = Projector(ProjectorSettings(database_url, SCHEMA_DEFAULT))
    thread = Thread(target=projector.run)
    thread.start()
    try:
        for begin in range(0, len(log), 10):
            append(database_url, log[begin : begin + 10])
            through = min(begin + 10, len(log))
            wait_for(lambda goal=through: positions(database_url) == dict.fromkeys(NAMES, goal))  # type: ignore[misc]
            execute(
                database_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
    finally:
        projector.stop()
        thread.join()

    assert differences(database_url) == []


def test_a_small_run_is_followed_by_a_pause_and_a_backlog_by_the_next_run(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = stored(play(random_steps(8, 60)))
    append(database_url, log)
    pauses: list[float] = []
    monkeypatch.setattr("ledger_service.projections.projector.BACKLOG_EVENTS", 20)
    limits = RunLimits(20, 20, 1_000)
    settings = ProjectorSettings(database_url, SCHEMA_DEFAULT, limits=limits, run_interval_seconds=60.0)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        projector.stop()

    projector = Projector(settings, sleep=pause)
    projector.run()

    assert positions(database_url) == dict.fromkeys(NAMES, len(log))
    assert len(log) % 20 != 0
    (seconds,) = pauses
    assert 0 < seconds <= 60


def test_a_projector_begins_and_waits_when_nothing_is_there(database_url: str) -> None:
    process = start_projector(database_url)
    wait_for(lambda: positions(database_url) == dict.fromkeys(NAMES, 0))
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=30) == 0


def test_comparing_finds_every_kind_of_tampering_and_changes_nothing(database_url: str) -> None:
    append(database_url, stored(play(random_steps(7, 100))))
    catch_up(database_url)
    execute(
        database_url,
        "UPDATE wallet_view_wallets SET debited_units = debited_units + 1 WHERE wallet = 'wallets/a'",
    )
    execute(database_url, "DELETE FROM wallet_view_policies WHERE wallet = 'wallets/b'")
    execute(
        database_url,
        "INSERT INTO journal_days VALUES"
        " ('2026-01-01', '2026-01-01', '2026-01-01', 'e', 'XXX', 'CASH', 'SALE', '', '', 0)",
    )
    tampered = rows(database_url)
    found = {each.projection: each for each in compare(database_url, schema=SCHEMA_DEFAULT)}

    assert [each.table for each in found["wallet_view"].differences] == [
        "wallet_view_wallets",
        "wallet_view_policies",
    ]
    assert found["wallet_view"].differences[1].live == ""
    assert found["journal"].difference_count == 1
    assert found["journal"].differences[0].rebuilt == ""
    assert tampered == rows(database_url)


def test_rebuilding_repairs_the_rows_and_keeps_the_position(database_url: str) -> None:
    log = stored(play(random_steps(8, 200)))
    append(database_url, log[:-20])
    catch_up(database_url)
    right = rows(database_url)
    execute(database_url, "UPDATE wallet_view_grants SET drawn_units = 0")
    execute(database_url, "DELETE FROM journal_lots")
    append(database_url, log[-20:])
    told: list[tuple[int, int]] = []
    reached = rebuild(database_url, schema=SCHEMA_DEFAULT, progress=lambda *report: told.append(report))

    assert reached == dict.fromkeys(NAMES, len(log) - 20)
    assert right == rows(database_url)
    assert told[-1] == (len(log) - 20, len(log) - 20)
    catch_up(database_url)
    assert differences(database_url) == []


def test_projections_at_different_positions_are_each_compared_at_their_own(database_url: str) -> None:
    log = stored(play(random_steps(9, 100)))
    append(database_url, log)
    catch_up(database_url)
    execute(database_url, "TRUNCATE journal_lots, journal_days, journal_wallets, journal_unbilled")
    execute(
        database_url,
        "UPDATE notification_tracking SET notification_id = 0 WHERE application_name = 'journal'",
    )

    assert {each.projection: each.position for each in compare(database_url, schema=SCHEMA_DEFAULT)} == {
        "wallet_view": len(log),
        "journal": 0,
    }
    assert differences(database_url) == []
    catch_up(database_url)
    assert positions(database_url) == dict.fromkeys(NAMES, len(log))
    assert differences(database_url) == []
