"""Verifies a database: the whole log first, then every projection against its rebuild."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger_service.application.verification import Finding, HistoryCheck, VerificationProgress
from ledger_service.projections.connections import connect
from ledger_service.projections.log_pages import head_position, read_page
from ledger_service.projections.rebuild import compare

PAGE_EVENTS: Final = 10_000
NOT_COMPARED: Final = Finding(
    "PROJECTION", "", 0, "not compared: the log holds events that this version of the ledger cannot read"
)


def verify(url: str, *, schema: str) -> Iterator[VerificationProgress]:
    """Yield progress and findings; the last one is done. Changes nothing. Raises psycopg.Error."""
    check = HistoryCheck()
    readable = True
    with connect(url, schema=schema) as connection:
        total = head_position(connection)
        position = 0
        while position < total:
            page = read_page(connection, after=position, through=total, events_max=PAGE_EVENTS)
            findings = check.check_page(page.events)
            if not page.events:
                findings.append(Finding("POSITION_GAP", "", total, f"nothing lies in ({position}, {total}]"))
                yield VerificationProgress(check.checked_events, total, tuple(findings))
                break
            position = page.through
            readable = readable and all(finding.check != "UNREADABLE_EVENT" for finding in findings)
            yield VerificationProgress(check.checked_events, total, tuple(findings))
    comparisons = compare(url, schema=schema) if readable else []
    differences: tuple[Finding, ...] = () if readable else (NOT_COMPARED,)
    differences += tuple(
        Finding(
            "PROJECTION",
            comparison.projection,
            comparison.position,
            f"{difference.table}: live {difference.live or 'nothing'}, rebuilt {difference.rebuilt or 'nothing'}",
        )
        for comparison in comparisons
        for difference in comparison.differences
    )
    yield VerificationProgress(
        check.checked_events,
        total,
        differences,
        done=True,
        stream_count=check.stream_count,
        projections=tuple(comparison.projection for comparison in comparisons),
    )
