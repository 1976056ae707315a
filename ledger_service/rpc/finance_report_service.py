"""The part of FinanceService that reports, exports and reconciles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from credits.ledger.v1 import finance_export_pb2, finance_reports_pb2, finance_service_pb2_grpc
from ledger_service.application.journal_tokens import entries_token, export_token
from ledger_service.application.liability_bands import Band, by_age, by_expiry, obligations
from ledger_service.application.report_ports import (
    FinanceJobs,
    FinanceReports,
    FoldedReport,
    FoldProgress,
    FoldRequest,
    ReconcileRequest,
    ReportScope,
)
from ledger_service.application.writer import Writer
from ledger_service.domain.finance.accounts import Chart
from ledger_service.domain.names import check_id
from ledger_service.domain.refusals import ValueUnspecified
from ledger_service.rpc.calls import Context
from ledger_service.rpc.finance_report_messages import (
    read_export,
    read_list_journal,
    read_report_scope,
    write_band,
    write_cohort,
    write_entry,
    write_opening_revenue,
    write_outstanding,
    write_part,
    write_reconciliation,
    write_revenue,
    write_suggestion,
    write_trial_balance_row,
)


class FinanceReportServicer(finance_service_pb2_grpc.FinanceServiceServicer):
    """Reads the journal for people and other programs."""

    _writer: Writer
    _chart: Chart
    _reports: FinanceReports
    _jobs: FinanceJobs

    async def GetTrialBalance(
        self, request: finance_reports_pb2.GetTrialBalanceRequest, context: Context
    ) -> finance_reports_pb2.GetTrialBalanceResponse:
        """Get the balances of accounts."""
        scope = await self._scope(request.scope)
        rows, position = await self._reports.trial_balance(scope, min_position=request.min_position)
        return finance_reports_pb2.GetTrialBalanceResponse(
            rows=[write_trial_balance_row(row, self._chart) for row in rows], position=position
        )

    async def ListJournal(
        self, request: finance_reports_pb2.ListJournalRequest, context: Context
    ) -> finance_reports_pb2.ListJournalResponse:
        """List the entries of events."""
        asked = read_list_journal(request, self._writer.now())
        entries_token(asked)
        await self._check_known(asked.scope)
        page = await self._jobs.entries(asked)
        return finance_reports_pb2.ListJournalResponse(
            entries=[write_entry(booked, self._chart) for booked in page.entries],
            next_page_token=page.next_token,
            position=page.position,
        )

    async def GetLiabilitySchedule(
        self, request: finance_reports_pb2.GetLiabilityScheduleRequest, context: Context
    ) -> finance_reports_pb2.GetLiabilityScheduleResponse:
        """Divide contract liability by expiry or by age."""
        if request.basis not in (
            finance_reports_pb2.LIABILITY_BASIS_EXPIRY,
            finance_reports_pb2.LIABILITY_BASIS_AGE,
        ):
            raise ValueUnspecified("basis must be EXPIRY or AGE", field="basis")
        scope = await self._scope(request.scope, of_one_day=True)
        done = await self._fold(FoldedReport.LIABILITY, scope)
        divide = by_expiry if request.basis == finance_reports_pb2.LIABILITY_BASIS_EXPIRY else by_age
        return finance_reports_pb2.GetLiabilityScheduleResponse(
            bands=_bands(divide(done.liability, scope.to_day)), position=done.position
        )

    async def GetOpeningRevenue(
        self, request: finance_reports_pb2.GetOpeningRevenueRequest, context: Context
    ) -> finance_reports_pb2.GetOpeningRevenueResponse:
        """Get the revenue that was in the opening liability."""
        done = await self._fold(FoldedReport.OPENING_REVENUE, await self._scope(request.scope))
        return finance_reports_pb2.GetOpeningRevenueResponse(
            rows=[write_opening_revenue(row) for row in done.opening_revenue], position=done.position
        )

    async def GetRemainingObligation(
        self, request: finance_reports_pb2.GetRemainingObligationRequest, context: Context
    ) -> finance_reports_pb2.GetRemainingObligationResponse:
        """Divide the remaining performance obligation by time."""
        scope = await self._scope(request.scope, of_one_day=True)
        done = await self._fold(FoldedReport.LIABILITY, scope)
        bands = obligations(done.liability, scope.to_day, leave_out_short=request.leave_out_short)
        return finance_reports_pb2.GetRemainingObligationResponse(bands=_bands(bands), position=done.position)

    async def GetRevenue(
        self, request: finance_reports_pb2.GetRevenueRequest, context: Context
    ) -> finance_reports_pb2.GetRevenueResponse:
        """Disaggregate revenue."""
        scope = await self._scope(request.scope)
        if request.by_model:
            done = await self._fold(FoldedReport.REVENUE, scope)
            rows, position = done.revenue, done.position
        else:
            rows, position = await self._reports.revenue(scope, min_position=request.min_position)
        return finance_reports_pb2.GetRevenueResponse(
            rows=[write_revenue(row, self._chart) for row in rows], position=position
        )

    async def GetBreakageAnalysis(
        self, request: finance_reports_pb2.GetBreakageAnalysisRequest, context: Context
    ) -> finance_reports_pb2.GetBreakageAnalysisResponse:
        """Show how past sales were used."""
        scope = await self._scope(request.scope, of_one_day=True)
        done = await self._fold(FoldedReport.BREAKAGE, scope)
        return finance_reports_pb2.GetBreakageAnalysisResponse(
            cohorts=[write_cohort(cohort) for cohort in done.cohorts],
            suggestions=[write_suggestion(each) for each in done.suggestions],
            position=done.position,
        )

    async def ListCreditsOutstanding(
        self, request: finance_reports_pb2.ListCreditsOutstandingRequest, context: Context
    ) -> finance_reports_pb2.ListCreditsOutstandingResponse:
        """List credit beside its liability."""
        if request.entity:
            check_id(request.entity, field="entity")
        rows, position = await self._reports.credits_outstanding(
            entity=request.entity, min_position=request.min_position
        )
        return finance_reports_pb2.ListCreditsOutstandingResponse(
            rows=[write_outstanding(row) for row in rows], position=position
        )

    async def Export(
        self, request: finance_export_pb2.ExportRequest, context: Context
    ) -> AsyncIterator[finance_export_pb2.ExportResponse]:
        """Write the journal for another program."""
        asked = read_export(request, self._writer.now(), self._chart)
        export_token(asked)
        await self._reports.check_known(entity=asked.entity, currency_code=asked.currency_code)
        async with aclosing(self._jobs.export(asked)) as parts:
            async for part in parts:
                yield write_part(part)

    async def Reconcile(
        self, request: finance_export_pb2.ReconcileRequest, context: Context
    ) -> AsyncIterator[finance_export_pb2.ReconcileResponse]:
        """Hold the journal against the log."""
        async with aclosing(self._jobs.reconcile(ReconcileRequest())) as reports:
            async for progress in reports:
                yield write_reconciliation(progress)

    async def _scope(
        self, scope: finance_reports_pb2.ReportScope, *, of_one_day: bool = False
    ) -> ReportScope:
        asked = read_report_scope(scope, self._writer.now(), of_one_day=of_one_day)
        await self._check_known(asked)
        return asked

    async def _check_known(self, scope: ReportScope) -> None:
        await self._reports.check_known(entity=scope.entity, currency_code=scope.currency_code)

    async def _fold(self, report: FoldedReport, scope: ReportScope) -> FoldProgress:
        async with aclosing(self._jobs.fold(FoldRequest(report, scope))) as reports:
            async for progress in reports:
                if progress.done:
                    return progress
        raise AssertionError("a report ends with its figures")


def _bands(bands: list[Band]) -> list[finance_reports_pb2.LiabilityBand]:
    return [write_band(band) for band in bands]
