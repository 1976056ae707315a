"""Holds the journal against the log it was folded from, and its parts against each other.

One pass over all wallets derives every entry and every lot anew. Then each check compares one thing that is stored with
what was derived, or with another stored thing that must be the same; a row that was changed by something else than the
projector is found by at least one of them. All is of one moment, as recorded; only the comparison with a rebuild, which
is the last, takes its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Final

import msgspec
import psycopg

from ledger_service.application.reporting.report_ports import Check, ReconcileProgress
from ledger_service.domain.topics import UnknownTopicError, decode_fact
from ledger_service.projections.log_pages import read_page
from ledger_service.projections.projection import JOURNAL
from ledger_service.projections.rebuild import Comparison, compare
from ledger_service.projections.reconciling.reconcile_checks import Derived, check_accounts
from ledger_service.projections.reconciling.reconcile_lots import LotChecks
from ledger_service.projections.reports.entry_source import READ_ONLY, EntrySource
from ledger_service.projections.reports.folded_reports import PROGRESS_EVENTS

PROGRESS_SECONDS: Final = 0.5
"""Between two reports of how far the rebuild is."""
READABLE: Final = "events can be read"
UNREADABLE: Final = (UnknownTopicError, msgspec.MsgspecError)
PAGE_EVENTS: Final = 5_000
"""Read at once when the first event that cannot be read is looked for."""


def reconcile(connection: psycopg.Connection[Any], url: str, schema: str) -> Iterator[ReconcileProgress]:
    """Yield how far it is, and the checks last. Raises psycopg.Error."""
    try:
        yield from _reconcile(connection, url, schema)
    except UNREADABLE:
        # Nothing can be derived without it, and the rebuild would stop at it, too.
        check = _first_unreadable(connection)
        yield ReconcileProgress(0, 0, check.compared, check.compared, check.compared, True, (check,))


def _reconcile(connection: psycopg.Connection[Any], url: str, schema: str) -> Iterator[ReconcileProgress]:
    with connection.transaction():
        connection.execute(READ_ONLY)
        source = EntrySource(connection, schema)
        total, done = source.wallet_count(), 0
        derived = Derived()
        lots = LotChecks(connection, schema)
        for booked in source.pools():
            derived.take(booked)
        events_total, told = 2 * source.position, 0
        for each in source.wallets():
            for booked in each.entries:
                derived.take(booked)
                lots.take(booked)
                if source.event_count - told >= PROGRESS_EVENTS:
                    told = source.event_count
                    yield ReconcileProgress(done, total, source.position, told, events_total)
            lots.end_wallet(each.wallet)
            done += 1
        checks = [
            Check(READABLE, source.event_count, 0),
            *lots.checks(derived.over_time),
            *check_accounts(connection, schema, derived, source.exchange),
        ]
    so_far = ReconcileProgress(done, total, source.position, source.position, events_total)
    yield so_far
    with ThreadPoolExecutor(1) as thread:
        rebuilt = _Rebuilt()
        comparing = thread.submit(
            compare, url, schema=schema, projections=[JOURNAL], progress=rebuilt.note_position
        )
        while not wait([comparing], PROGRESS_SECONDS).done:
            yield msgspec.structs.replace(so_far, event_count=source.position + rebuilt.position)
    checks.append(_check_rebuild(comparing.result()[0]))
    yield msgspec.structs.replace(so_far, event_count=events_total, done=True, checks=tuple(checks))


def _first_unreadable(connection: psycopg.Connection[Any]) -> Check:
    position = count = 0
    while (page := read_page(connection, after=position, events_max=PAGE_EVENTS)).events:
        for event in page.events:
            count += 1
            try:
                decode_fact(event.topic, event.state)
            except UNREADABLE as error:
                return Check(READABLE, count, 1, f"{event.stream} at position {event.position}: {error}")
        position = page.through
    raise AssertionError("an event that could not be read can be read")


class _Rebuilt:
    """How far the rebuild is; the thread that rebuilds writes it and another one reads it."""

    position = 0

    def note_position(self, position: int, _: int) -> None:
        """Note a position."""
        self.position = position


def _check_rebuild(comparison: Comparison) -> Check:
    first = comparison.differences[0] if comparison.differences else None
    text = (
        ""
        if first is None
        else f"{first.table}: stored {first.live or 'nothing'}, rebuilt {first.rebuilt or 'nothing'}"
    )
    return Check("projection = rebuild", comparison.position, comparison.difference_count, text)
