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


def read_page(
    connection: psycopg.Connection[Any], *, after: int, through: int = POSITION_MAX, events_max: int
) -> Page:
    """Return the next events in (after, through], at most `events_max` of them. Raises psycopg.Error."""
    with connection.cursor(binary=True, row_factory=args_row(StoredEvent)) as cursor:
        cursor.execute(_READ, (after, through, events_max))
        return Page(after, cursor.fetchall())


def head_position(connection: psycopg.Connection[Any]) -> int:
    """Return the position of the newest event, 0 for an empty log. Raises psycopg.Error."""
    row = connection.execute(_HEAD).fetchone()
    return 0 if row is None else int(row[0])
