"""Reads the notification log in pages, in order, on a connection of its own.

While one page is folded and stored, the next is fetched in a thread: waiting for the server and working on
its answer then overlap. Positions become visible in their order (the log has one writer), so reading on from
the last one seen misses nothing.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import args_row

from ledger_service.application.ports import StoredEvent

PAGE_EVENTS_MAX: Final = 10_000
"""Events fetched at once: beyond this the rate no longer rises, while memory does (about 1 kB an event)."""

_READ: Final = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM stored_events WHERE notification_id > %s ORDER BY notification_id LIMIT %s"""

_HEAD: Final = "SELECT coalesce(max(notification_id), 0) FROM stored_events"


class Page(msgspec.Struct, frozen=True):
    """Consecutive events after a position; fewer than the maximum when the log ends here."""

    after: int
    events: list[StoredEvent]

    @property
    def through(self) -> int:
        """Return the position of the last event, or where the page began if it is empty."""
        return self.events[-1].position if self.events else self.after


class LogPages:
    """Reads pages of one log, one page ahead. Use it from one thread; close it before its connection."""

    def __init__(self, connection: psycopg.Connection[Any], *, page_events_max: int = PAGE_EVENTS_MAX) -> None:
        self._connection = connection
        self._page_events_max = page_events_max
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log-pages")
        self._ahead: Future[Page] | None = None

    def read(self, *, after: int) -> Page:
        """Return the page after a position, and begin to fetch the one after it. Raises psycopg.Error."""
        page = self._take_ahead(after) or self._fetch(after)
        if self.has_more(page):
            self._ahead = self._executor.submit(self._fetch, page.through)
        return page

    def has_more(self, page: Page) -> bool:
        """Return whether the log may go on after a page that was read."""
        return len(page.events) == self._page_events_max

    def head_position(self) -> int:
        """Return the position of the newest event, 0 for an empty log. Raises psycopg.Error."""
        row = self._connection.execute(_HEAD).fetchone()
        return 0 if row is None else int(row[0])

    def close(self) -> None:
        """Wait for the page being fetched, if any, and end the thread."""
        self._executor.shutdown(wait=True)

    def _take_ahead(self, after: int) -> Page | None:
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        page = ahead.result()
        return page if page.after == after else None

    def _fetch(self, after: int) -> Page:
        with self._connection.cursor(binary=True, row_factory=args_row(StoredEvent)) as cursor:
            cursor.execute(_READ, (after, self._page_events_max))
            return Page(after, cursor.fetchall())
