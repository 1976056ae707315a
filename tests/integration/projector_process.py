"""Starts projectors as processes, slow enough to be killed in the middle, and fills logs for them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import psycopg

from ledger_service.adapters.migrate import SCHEMA_DEFAULT
from ledger_service.application.ports import StoredEvent
from ledger_service.projections.catch_up import RunLimits, catch_up_once
from ledger_service.projections.connections import channel_of, connect
from ledger_service.projections.projection import PROJECTIONS
from ledger_service.projections.tracking import ensure_positions, read_positions

NAMES = [projection.name for projection in PROJECTIONS]
WAIT_SECONDS = 30

_SLOW_PROJECTOR = """
import signal, sys
from ledger_service.projections.catch_up import RunLimits
from ledger_service.projections.projector import Projector, ProjectorSettings
projector = Projector(ProjectorSettings(sys.argv[1], sys.argv[2], limits=RunLimits(7, 20, 20)))
signal.signal(signal.SIGTERM, lambda *_: projector.stop())
projector.run()
"""


def start_projector(url: str) -> subprocess.Popen[bytes]:
    """Start a projector that takes twenty events at a time."""
    return subprocess.Popen(
        [sys.executable, "-c", _SLOW_PROJECTOR, url, SCHEMA_DEFAULT], stdout=subprocess.DEVNULL
    )


def append(url: str, events: Sequence[StoredEvent]) -> None:
    """Append events to the log and notify those who follow it."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {SCHEMA_DEFAULT}.stored_events"  # noqa: S608
            " (notification_id, originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s, %s)",
            [(event.position, event.stream, event.version, event.topic, event.state) for event in events],
        )
        cursor.execute("SELECT pg_notify(%s, '')", (channel_of(SCHEMA_DEFAULT),))


def catch_up(url: str, limits: RunLimits | None = None) -> None:
    """Project to the end of the log, in this process."""
    with connect(url, schema=SCHEMA_DEFAULT) as connection:
        ensure_positions(connection, NAMES)
        while catch_up_once(connection, PROJECTIONS, limits=limits or RunLimits()):
            pass


def positions(url: str) -> dict[str, int]:
    """Return the tracking positions."""
    with connect(url, schema=SCHEMA_DEFAULT) as connection:
        return read_positions(connection, NAMES)


def projector_count(url: str) -> int:
    """Return how many projectors are connected and follow the log."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'ledger-projector' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds. Fails after half a minute."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.005)
