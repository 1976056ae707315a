"""Reads the notification log in pages, in order.

Positions become visible in their order (the log has one writer), so reading on from the last one seen misses
nothing. Fetching the next page in a second thread meanwhile was tried and gained nothing.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import args_row

from ledger_service.application.ports import StoredEvent

PAGE_EVENTS_MAX: Final = 10_000
"""Events fetched at once: beyond this the rate no longer rises, while memory does (about 1 kB an event)."""

_READ: Final = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM stored_events WHERE notification_id > %s AND notification_id <= %s
ORDER BY notification_id LIMIT %s"""

_READ_SHARE: Final = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM stored_events WHERE notification_id > %s AND notification_id <= %s
AND (originator_id NOT LIKE 'wallets/%%' OR mod(hashtext(originator_id)::bigint + 2147483648, %s) = %s)
ORDER BY notification_id LIMIT %s"""

_STREAMS: Final = "SELECT count(*) FROM stored_events WHERE originator_version = 1"

_GAPS: Final = """
SELECT notification_id, originator_id, previous FROM (
    SELECT notification_id, originator_id,
        coalesce(lag(notification_id) OVER (ORDER BY notification_id), 0) AS previous
    FROM stored_events WHERE notification_id <= %s
) AS placed WHERE notification_id <> previous + 1 ORDER BY notification_id"""

_HEAD: Final = "SELECT coalesce(max(notification_id), 0) FROM stored_events"

POSITION_MAX: Final = 2**63 - 1
"""No position lies beyond this: int64, as in the store."""


class Page(msgspec.Struct, frozen=True):
    """Consecutive events after a position."""

    after: int
    events: list[StoredEvent]

    @property
    def through(self) -> int:
        """Return the position of the last event, or where the page began if it is empty."""
        return self.events[-1].position if self.events else self.after


class Share(msgspec.Struct, frozen=True):
    """The streams of wallets whose hash falls on `number` of `count`, from 0 on, and every other stream."""

    number: int
    count: int


ALL_STREAMS: Final = Share(0, 1)


class PositionGap(msgspec.Struct, frozen=True):
    """An event that does not stand one position after the event before it."""

    position: int
    stream: str
    previous_position: int


def read_page(
    connection: psycopg.Connection[Any],
    *,
    after: int,
    through: int = POSITION_MAX,
    events_max: int,
    share: Share = ALL_STREAMS,
) -> Page:
    """Return the next events in (after, through], at most `events_max` of them. Raises psycopg.Error."""
    with connection.cursor(binary=True, row_factory=args_row(StoredEvent)) as cursor:
        if share.count == 1:
            cursor.execute(_READ, (after, through, events_max))
        else:
            cursor.execute(_READ_SHARE, (after, through, share.count, share.number, events_max))
        return Page(after, cursor.fetchall())


def count_streams(connection: psycopg.Connection[Any]) -> int:
    """Return how many streams have a first event. Raises psycopg.Error."""
    row = connection.execute(_STREAMS).fetchone()
    return 0 if row is None else int(row[0])


def position_gaps(connection: psycopg.Connection[Any], *, through: int) -> list[PositionGap]:
    """Return where positions do not follow each other, in order. Raises psycopg.Error."""
    with connection.cursor(row_factory=args_row(PositionGap)) as cursor:
        return cursor.execute(_GAPS, (through,)).fetchall()


def head_position(connection: psycopg.Connection[Any]) -> int:
    """Return the position of the newest event, 0 for an empty log. Raises psycopg.Error."""
    row = connection.execute(_HEAD).fetchone()
    return 0 if row is None else int(row[0])
