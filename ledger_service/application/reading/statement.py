"""A wallet's statement: one line an event, with the running posted balance, in the order of the stream."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.application.ports import LogReader, StoredEvent
from ledger_service.application.reading.statement_texts import describe
from ledger_service.domain.topics import decode_fact

EVENTS_PER_READ = 1_000


class StatementLine(msgspec.Struct, frozen=True):
    """One line. `posted_units` is the sum of all changes up to it."""

    version: int
    topic: str
    effective_time: datetime
    record_time: datetime
    change_units: int
    posted_units: int
    overage_units: int
    description: str


class StatementPage(msgspec.Struct, frozen=True):
    """Lines, and where the next page begins: after this version, with this balance; None at the end."""

    lines: tuple[StatementLine, ...]
    next_after: tuple[int, int] | None


async def read_statement(
    reader: LogReader,
    wallet: str,
    *,
    after: tuple[int, int],
    limit: int,
    from_time: datetime | None,
    to_time: datetime | None,
) -> StatementPage:
    """Return up to `limit` lines after a version and its posted balance; the span [from_time, to_time) only selects."""
    version, posted_units = next_after = after
    lines: list[StatementLine] = []
    while True:
        events = await reader.read_stream(wallet, after=version, limit=EVENTS_PER_READ)
        for stored in events:
            line = _line(stored, posted_units)
            version, posted_units = line.version, line.posted_units
            if not _within(line.effective_time, from_time, to_time):
                continue
            if len(lines) == limit:
                return StatementPage(tuple(lines), next_after)
            lines.append(line)
            next_after = version, posted_units
        if len(events) < EVENTS_PER_READ:
            return StatementPage(tuple(lines), None)


def _within(instant: datetime, from_time: datetime | None, to_time: datetime | None) -> bool:
    return (from_time is None or from_time <= instant) and (to_time is None or instant < to_time)


def _line(stored: StoredEvent, posted_units: int) -> StatementLine:
    fact = decode_fact(stored.topic, stored.state)
    text = describe(fact.event)
    return StatementLine(
        version=stored.version,
        topic=stored.topic,
        effective_time=fact.effective_time,
        record_time=fact.record_time,
        change_units=text.change_units,
        posted_units=posted_units + text.change_units,
        overage_units=text.overage_units,
        description=text.description,
    )
