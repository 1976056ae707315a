"""Reports that fold the log anew: one pass over all wallets, as of one position, into one of the counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol

import msgspec
import psycopg

from ledger_service.application.breakage_analysis import BreakageAnalysis
from ledger_service.application.liability_parts import LiabilityParts
from ledger_service.application.opening_revenue import OpeningRevenue
from ledger_service.application.report_ports import FoldedReport, FoldProgress, FoldRequest, ReportScope
from ledger_service.application.revenue_split import RevenueSplit
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.projections.entry_source import READ_ONLY, EntrySource, known, narrowed

PROGRESS_WALLETS: Final = 200
"""Wallets between two reports of progress."""


class Count(Protocol):
    """What a report counts."""

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""

    def end_wallet(self) -> None:
        """Note that the entries that follow are another wallet's."""


def fold(connection: psycopg.Connection[Any], schema: str, request: FoldRequest) -> Iterator[FoldProgress]:
    """Yield how far a report is, and its figures last. Raises psycopg.Error."""
    scope = request.scope
    with connection.transaction():
        connection.execute(READ_ONLY)
        now = scope.now if scope.known_before is None else None
        source = EntrySource(connection, schema, now=now)
        count, total = _count(request.report, scope), source.wallet_count()
        for booked in source.pools():
            _take(count, booked, scope)
        count.end_wallet()
        done = 0
        for each in source.wallets(models=request.report is FoldedReport.REVENUE):
            for booked in each.entries:
                if not known(booked, scope.known_before):
                    break
                _take(count, booked, scope)
            count.end_wallet()
            done += 1
            if done % PROGRESS_WALLETS == 0:
                yield FoldProgress(done, total, source.position)
        yield _figures(count, FoldProgress(done, total, source.position, done=True))


def _take(count: Count, booked: BookedEntry, scope: ReportScope) -> None:
    if not known(booked, scope.known_before):
        return
    part = narrowed(booked, entity=scope.entity, currency_code=scope.currency_code)
    if part is not None:
        count.take(part)


def _count(report: FoldedReport, scope: ReportScope) -> Count:
    match report:
        case FoldedReport.LIABILITY:
            return LiabilityParts(scope.to_day)
        case FoldedReport.OPENING_REVENUE:
            return OpeningRevenue(scope.from_day, scope.to_day)
        case FoldedReport.BREAKAGE:
            return BreakageAnalysis(scope.to_day)
        case FoldedReport.REVENUE:
            return RevenueSplit(scope.from_day, scope.to_day)


def _figures(count: Count, progress: FoldProgress) -> FoldProgress:
    replace = msgspec.structs.replace
    match count:
        case LiabilityParts():
            return replace(progress, liability=tuple(count.rows()))
        case OpeningRevenue():
            return replace(progress, opening_revenue=tuple(count.rows()))
        case BreakageAnalysis():
            return replace(progress, cohorts=tuple(count.cohorts()), suggestions=tuple(count.suggestions()))
        case RevenueSplit():
            return replace(progress, revenue=tuple(count.rows()))
        case _:
            raise AssertionError(f"{type(count).__name__} is no count of a report")
