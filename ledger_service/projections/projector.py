"""The projector: a process that keeps every projection of a shard up with the log.

It catches up in runs, then waits for the log's notifications, and asks once a second in case one was missed.
Several may run: whoever stores a run first moves the position, and the others change nothing. A database that
goes away is waited for, for as long as it takes; an event that cannot be folded ends the process, because
going on would make the projections wrong for ever. It stops between two runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import psycopg
import structlog
from prometheus_client import Counter, Gauge
from psycopg.sql import SQL, Identifier

from ledger_service.projections.catch_up import LIMITS_DEFAULT, RunLimits, catch_up_once
from ledger_service.projections.connections import channel_of, connect
from ledger_service.projections.log_pages import head_position
from ledger_service.projections.projection import PROJECTIONS, Projection
from ledger_service.projections.tracking import PositionMovedError, ensure_positions, read_positions

POLL_SECONDS: Final = 1.0
"""Longest wait for a notification before the log is asked anyway; also how soon a stop is noticed."""

RUN_INTERVAL_SECONDS: Final = 0.03
"""Least time from one run to the next where the log has no backlog: a run costs milliseconds however few events it
holds, and one for each commit would take a core from the ledger beside it. Longest that a lone event is late by it."""

BACKLOG_EVENTS: Final = 1_000
"""A run of so many events or more is followed by the next one at once."""

GAUGE_SECONDS: Final = 1.0
"""Least time between two readings of the lag."""

REPORT_SECONDS: Final = 30.0
"""Least time between two log lines about the lag."""

BACKOFF_SECONDS_MIN: Final = 0.1
BACKOFF_SECONDS_MAX: Final = 5.0
"""Waits between attempts to reach the database double from the first to the second."""

LAG_EVENTS: Final = Gauge(
    "ledger_projection_lag_events", "Events of the log that the projection has not applied", ["projection"]
)
APPLIED_EVENTS: Final = Counter("ledger_projector_events", "Events applied by this projector")
DATABASE_ERRORS: Final = Counter("ledger_projector_database_errors", "Times the database was lost")

_log = structlog.get_logger("projector")


class ProjectorSettings(msgspec.Struct, frozen=True):
    """Which shard, and how."""

    database_url: str
    schema: str
    projections: Sequence[Projection] = PROJECTIONS
    limits: RunLimits = LIMITS_DEFAULT
    poll_seconds: float = POLL_SECONDS
    run_interval_seconds: float = RUN_INTERVAL_SECONDS


def backoff_seconds(failures: int) -> float:
    """Return how long to wait after so many failures in a row, 1 or more."""
    return min(BACKOFF_SECONDS_MIN * (1 << min(failures - 1, 10)), BACKOFF_SECONDS_MAX)


class Projector:
    """Runs until it is stopped. `stop` may be called from a signal handler or another thread."""

    def __init__(self, settings: ProjectorSettings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._names = [projection.name for projection in settings.projections]
        self._sleep = sleep
        self._stopping = False
        self._failures = 0
        self._measured_at = float("-inf")
        self._reported_at = float("-inf")

    def stop(self) -> None:
        """Ask the projector to return after the run that it is at."""
        self._stopping = True

    def run(self) -> None:
        """Project until stopped.

        Raises UnknownTopicError, msgspec.ValidationError, RowMissingError, psycopg.Error other than a lost
        database: all of them need somebody to look.
        """
        while not self._stopping:
            try:
                with connect(self._settings.database_url, schema=self._settings.schema) as connection:
                    self._follow(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self._wait_for_database(error)

    def _follow(self, connection: psycopg.Connection[Any]) -> None:
        ensure_positions(connection, self._names)
        connection.execute(SQL("LISTEN {}").format(Identifier(channel_of(self._settings.schema))))
        while not self._stopping:
            began = time.monotonic()
            count = self._step(connection)
            self._failures = 0
            self._report_lag(connection)
            if count == 0:
                self._wait_for_events(connection)
            elif count < BACKLOG_EVENTS:
                spent = time.monotonic() - began
                self._sleep(max(0.0, self._settings.run_interval_seconds - spent))

    def _step(self, connection: psycopg.Connection[Any]) -> int:
        """Apply one run and return how many events it covered; 0 if there are none, or another projector was first."""
        try:
            count = catch_up_once(connection, self._settings.projections, limits=self._settings.limits)
        except PositionMovedError:
            _log.info("overtaken_by_another_projector")
            return 0
        APPLIED_EVENTS.inc(count)
        return count

    def _wait_for_events(self, connection: psycopg.Connection[Any]) -> None:
        for _ in connection.notifies(timeout=self._settings.poll_seconds, stop_after=1):
            pass

    def _report_lag(self, connection: psycopg.Connection[Any]) -> None:
        now = time.monotonic()
        if now - self._measured_at < GAUGE_SECONDS:
            return
        self._measured_at = now
        positions = read_positions(connection, self._names)
        head = head_position(connection)
        for name, position in positions.items():
            LAG_EVENTS.labels(name).set(head - position)
        if now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            _log.info("lag", head_position=head, positions=positions)

    def _wait_for_database(self, error: psycopg.Error) -> None:
        self._failures += 1
        DATABASE_ERRORS.inc()
        wait = backoff_seconds(self._failures)
        _log.warning("database_lost", error=type(error).__name__, failures=self._failures, wait_seconds=wait)
        self._sleep(wait)
