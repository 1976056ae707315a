"""Verifies a database: the whole log, and beside that every projection against its rebuild.

The check of the log keeps the state of every stream that it sees. So that memory stays bounded, it goes over the log
several times when there are many wallets, each time for a share of them, by a hash of their names; what was agreed
it sees each time, because charges are priced by it. Findings come in order of position.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import psycopg

from ledger_service.application.auditing.verification import Finding, HistoryCheck, VerificationProgress
from ledger_service.projections.comparison_process import ComparisonProcess
from ledger_service.projections.connections import connect
from ledger_service.projections.log_pages import (
    ALL_STREAMS,
    Share,
    count_streams,
    head_position,
    position_gaps,
    read_page,
)
from ledger_service.projections.rebuild import Comparison

PAGE_EVENTS: Final = 10_000
STREAMS_AT_ONCE_MAX: Final = 100_000
"""Streams whose states are in memory at once: about 2 kB each, so 200 MB."""
NOT_COMPARED: Final = Finding(
    "PROJECTION", "", 0, "not compared: the log holds events that this version of the ledger cannot read"
)


class Checked(msgspec.Struct):
    """What the passes over the log have seen so far."""

    total: int
    events: int = 0
    streams: int = 0
    repriced_charges: int = 0
    unpriced_charges: int = 0
    readable: bool = True

    def note(self, findings: list[Finding]) -> None:
        """Remember whether everything could be read."""
        self.readable = self.readable and all(each.check != "UNREADABLE_EVENT" for each in findings)


def verify(
    url: str, *, schema: str, streams_at_once_max: int = STREAMS_AT_ONCE_MAX
) -> Iterator[VerificationProgress]:
    """Yield progress and findings; the last one is done. Changes nothing. Raises psycopg.Error, RuntimeError."""
    with ComparisonProcess(url, schema=schema) as comparison:
        with connect(url, schema=schema) as connection:
            checked = Checked(head_position(connection))
            shares = -(-count_streams(connection) // streams_at_once_max) or 1
            yield from _check_log(connection, checked, shares)
        comparisons = comparison.result() if checked.readable else []
    yield VerificationProgress(
        checked.events,
        checked.total,
        _differences(comparisons) if checked.readable else (NOT_COMPARED,),
        done=True,
        stream_count=checked.streams,
        projections=tuple(comparison.projection for comparison in comparisons),
        repriced_charges=checked.repriced_charges,
        unpriced_charges=checked.unpriced_charges,
    )


def _check_log(
    connection: psycopg.Connection[Any], checked: Checked, shares: int
) -> Iterator[VerificationProgress]:
    """Yield the progress of all passes. With several, findings come with the last report, in order."""
    gaps = [
        Finding(
            "POSITION_GAP",
            gap.stream,
            gap.position,
            f"position {gap.position} follows {gap.previous_position}",
        )
        for gap in position_gaps(connection, through=checked.total)
    ]
    kept: list[Finding] = gaps if shares > 1 else []
    for number in range(shares):
        check = HistoryCheck(owns_agreements=number == 0)
        share = Share(number, shares) if shares > 1 else ALL_STREAMS
        position = before = 0
        while position < checked.total:
            page = read_page(
                connection, after=position, through=checked.total, events_max=PAGE_EVENTS, share=share
            )
            if not page.events:
                break
            position = page.through
            findings = check.check_page(page.events)
            checked.note(findings)
            checked.events += check.checked_events - before
            before = check.checked_events
            if shares > 1:
                kept += findings
                yield VerificationProgress(checked.events, checked.total)
            else:
                reached = [gap for gap in gaps if gap.position <= position]
                gaps = gaps[len(reached) :]
                yield VerificationProgress(checked.events, checked.total, _in_order([*reached, *findings]))
        checked.streams += check.stream_count
        checked.repriced_charges += check.repriced_charges
        checked.unpriced_charges += check.unpriced_charges
    if shares > 1:
        yield VerificationProgress(checked.events, checked.total, _in_order(kept))


def _in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.position))


def _differences(comparisons: list[Comparison]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            "PROJECTION",
            comparison.projection,
            comparison.position,
            f"{difference.table}: live {difference.live or 'nothing'}, rebuilt {difference.rebuilt or 'nothing'}",
        )
        for comparison in comparisons
        for difference in comparison.differences
    )
