"""Reports that fold the log anew: one pass over all wallets, as of one position, into one of the counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol

import msgspec
import psycopg

from ledger_service.application.reporting.breakage_analysis import BreakageAnalysis
from ledger_service.application.reporting.contract_positions import ContractPositions
from ledger_service.application.reporting.credit_outstanding import CreditCount
from ledger_service.application.reporting.journal_summary import JournalSummary
from ledger_service.application.reporting.liability_parts import LiabilityParts
from ledger_service.application.reporting.opening_revenue import OpeningRevenue
from ledger_service.application.reporting.remaining_obligation import RemainingObligation
from ledger_service.application.reporting.report_ports import FoldedReport, FoldProgress, FoldRequest
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.application.reporting.revenue_split import RevenueSplit
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.projections.reports.credit_fold import CreditFold
from ledger_service.projections.reports.entry_scope import known, narrowed
from ledger_service.projections.reports.entry_source import (
    READ_ONLY,
    EntrySource,
    Wanted,
)

PROGRESS_EVENTS: Final = 10_000
"""Events between two reports of progress: a fraction of a second."""
OF_USAGE: Final = frozenset({FoldedReport.REVENUE, FoldedReport.JOURNAL})
"""Reports that tell models."""
OF_CONTRACTS: Final = frozenset({FoldedReport.OBLIGATION, FoldedReport.POSITIONS})
"""Reports of what was agreed."""


class Count(Protocol):
    """What a report counts."""

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""

    def end_wallet(self) -> None:
        """Note that the entries that follow are another wallet's."""


def fold(connection: psycopg.Connection[Any], schema: str, request: FoldRequest) -> Iterator[FoldProgress]:
    """Yield how far a report is, and its figures last. Raises psycopg.Error."""
    scope, report = request.scope, request.report
    with connection.transaction():
        connection.execute(READ_ONLY)
        now = scope.now if scope.known_before is None else None
        source = EntrySource(connection, schema, now=now)
        count, total = _count(report, scope), source.wallet_count()
        for booked in source.pools():
            _take(count, booked, scope)
        count.end_wallet()
        done = told = 0
        credit = CreditFold(scope.to_day, known_before=scope.known_before, now=scope.now)
        if isinstance(count, CreditCount):
            source.on_event = credit.take
        wanted = Wanted(models=report in OF_USAGE, contracts=report in OF_CONTRACTS)
        for each in source.wallets(wanted=wanted):
            if isinstance(count, RemainingObligation):
                count.begin_wallet(each.contracts)
            elif isinstance(count, ContractPositions):
                count.begin_wallet(each.wallet, each.contracts)
            for booked in each.entries:
                if not known(booked, scope.known_before):
                    break
                _take(count, booked, scope)
                if source.event_count - told >= PROGRESS_EVENTS:
                    told = source.event_count
                    yield FoldProgress(done, total, source.position, told)
            _end_wallet(count, each.wallet, credit)
            done += 1
        yield _figures(count, FoldProgress(done, total, source.position, source.event_count, done=True))


def _end_wallet(count: Count, wallet: str, credit: CreditFold) -> None:
    if isinstance(count, CreditCount):
        for left in credit.left(wallet):
            count.add(left)
    count.end_wallet()


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
        case FoldedReport.OBLIGATION:
            return RemainingObligation(scope)
        case FoldedReport.POSITIONS:
            return ContractPositions(scope.to_day, known_before=scope.known_before)
        case FoldedReport.JOURNAL:
            return JournalSummary(scope.from_day, scope.to_day)
        case FoldedReport.CREDIT:
            return CreditCount(scope.to_day, entity=scope.entity, currency_code=scope.currency_code)


def _figures(count: Count, progress: FoldProgress) -> FoldProgress:
    replace = msgspec.structs.replace
    match count:
        case LiabilityParts() | RemainingObligation():
            return replace(progress, liability=tuple(count.rows()))
        case OpeningRevenue():
            return replace(progress, opening_revenue=tuple(count.rows()))
        case BreakageAnalysis():
            return replace(progress, cohorts=tuple(count.cohorts()), suggestions=tuple(count.suggestions()))
        case RevenueSplit():
            return replace(progress, revenue=tuple(count.rows()))
        case ContractPositions():
            return replace(progress, positions=tuple(count.rows()))
        case JournalSummary():
            return replace(progress, journal=tuple(count.rows()))
        case CreditCount():
            return replace(progress, credit=tuple(count.rows()))
        case _:
            raise AssertionError(f"{type(count).__name__} is no count of a report")
