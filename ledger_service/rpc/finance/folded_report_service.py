"""The part of FinanceService that makes reports by folding the log: each at once, or with word of how far it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

import msgspec
from google.protobuf.message import Message

from credits.ledger.v1 import finance_reports_pb2 as pb
from credits.ledger.v1 import finance_service_pb2_grpc
from ledger_service.application.reporting.liability_bands import (
    by_age,
    by_expiry,
    obligation_totals,
    obligations,
)
from ledger_service.application.reporting.report_ports import (
    FinanceJobs,
    FinanceReports,
    FoldedReport,
    FoldProgress,
    FoldRequest,
)
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.finance.accounts import Chart
from ledger_service.domain.refusals import FieldNotAllowed, FieldRequired, ValueUnspecified
from ledger_service.rpc.calls import Context
from ledger_service.rpc.finance.finance_report_messages import (
    read_report_scope,
    write_band,
    write_cohort,
    write_opening_revenue,
    write_outstanding,
    write_revenue,
    write_suggestion,
)
from ledger_service.rpc.finance.position_messages import (
    write_journal_sum,
    write_obligation_total,
    write_position_total,
)

BASES = {
    pb.LIABILITY_BASIS_EXPIRY: by_expiry,
    pb.LIABILITY_BASIS_AGE: by_age,
}
Answer = TypeVar("Answer", bound=Message)
Answer_co = TypeVar("Answer_co", bound=Message, covariant=True)


class _Prepared(msgspec.Struct, Generic[Answer_co], frozen=True):
    """A report that may be made, and how its figures are told."""

    request: FoldRequest
    write: Callable[[FoldProgress], Answer_co]
    promises: bool = False
    """What was promised may be of an entity or a currency in which nothing was ever posted."""


class FoldedReportServicer(finance_service_pb2_grpc.FinanceServiceServicer):
    """Folds the log for people."""

    _writer: Writer
    _chart: Chart
    _reports: FinanceReports
    _jobs: FinanceJobs

    async def GetLiabilitySchedule(
        self, request: pb.GetLiabilityScheduleRequest, context: Context
    ) -> pb.GetLiabilityScheduleResponse:
        """Divide contract liability by expiry or by age."""
        return await self._made(await self._liability_schedule(request))

    async def GetOpeningRevenue(
        self, request: pb.GetOpeningRevenueRequest, context: Context
    ) -> pb.GetOpeningRevenueResponse:
        """Get the revenue that was in the opening liability."""
        return await self._made(await self._opening_revenue(request))

    async def GetRemainingObligation(
        self, request: pb.GetRemainingObligationRequest, context: Context
    ) -> pb.GetRemainingObligationResponse:
        """Divide the remaining performance obligation by time."""
        return await self._made(await self._remaining_obligation(request))

    async def GetBreakageAnalysis(
        self, request: pb.GetBreakageAnalysisRequest, context: Context
    ) -> pb.GetBreakageAnalysisResponse:
        """Show how past sales were used."""
        return await self._made(await self._breakage_analysis(request))

    async def SummarizeContractPositions(
        self, request: pb.SummarizeContractPositionsRequest, context: Context
    ) -> pb.SummarizeContractPositionsResponse:
        """Add up contract assets and contract liabilities."""
        return await self._made(await self._contract_positions(request))

    async def SummarizeJournal(
        self, request: pb.SummarizeJournalRequest, context: Context
    ) -> pb.SummarizeJournalResponse:
        """Sum the journal up by what it was for."""
        return await self._made(await self._journal(request))

    async def StreamReport(
        self, request: pb.StreamReportRequest, context: Context
    ) -> AsyncIterator[pb.StreamReportResponse]:
        """Make a report, and say meanwhile how far it is."""
        name = request.WhichOneof("report")
        prepared = await self._prepared(request)
        async with aclosing(self._jobs.fold(prepared.request)) as reports:
            async for progress in reports:
                answer = pb.StreamReportResponse(
                    event_count=progress.event_count,
                    events_total=progress.position,
                    wallet_count=progress.wallet_count,
                    wallets_total=progress.wallets_total,
                )
                if progress.done and name is not None:
                    await self._check_promised(prepared, progress)
                    getattr(answer, name).CopyFrom(prepared.write(progress))
                yield answer

    async def _prepared(self, request: pb.StreamReportRequest) -> _Prepared[Message]:
        match request.WhichOneof("report"):
            case "liability_schedule":
                return await self._liability_schedule(request.liability_schedule)
            case "opening_revenue":
                return await self._opening_revenue(request.opening_revenue)
            case "remaining_obligation":
                return await self._remaining_obligation(request.remaining_obligation)
            case "revenue":
                if not request.revenue.by_model:
                    raise FieldRequired("revenue.by_model is required", field="revenue.by_model")
                return await self._revenue(request.revenue)
            case "breakage_analysis":
                return await self._breakage_analysis(request.breakage_analysis)
            case "contract_positions":
                return await self._contract_positions(request.contract_positions)
            case "journal":
                return await self._journal(request.journal)
            case "credits_outstanding":
                return await self._credits_outstanding(request.credits_outstanding)
            case _:
                raise FieldRequired("report is required", field="report")

    async def _liability_schedule(
        self, request: pb.GetLiabilityScheduleRequest
    ) -> _Prepared[pb.GetLiabilityScheduleResponse]:
        divide = BASES.get(request.basis)
        if divide is None:
            raise ValueUnspecified("basis must be EXPIRY or AGE", field="basis")
        scope = await self._scope(request.scope, of_one_day=True)
        return _Prepared(
            FoldRequest(FoldedReport.LIABILITY, scope),
            lambda done: pb.GetLiabilityScheduleResponse(
                bands=map(write_band, divide(done.liability, scope.to_day)), position=done.position
            ),
        )

    async def _opening_revenue(
        self, request: pb.GetOpeningRevenueRequest
    ) -> _Prepared[pb.GetOpeningRevenueResponse]:
        return _Prepared(
            FoldRequest(FoldedReport.OPENING_REVENUE, await self._scope(request.scope)),
            lambda done: pb.GetOpeningRevenueResponse(
                rows=map(write_opening_revenue, done.opening_revenue), position=done.position
            ),
        )

    async def _remaining_obligation(
        self, request: pb.GetRemainingObligationRequest
    ) -> _Prepared[pb.GetRemainingObligationResponse]:
        scope = read_report_scope(request.scope, self._writer.now(), of_one_day=True)

        def write(done: FoldProgress) -> pb.GetRemainingObligationResponse:
            bands = obligations(
                done.liability,
                scope.to_day,
                leave_out_short=request.leave_out_short,
                count_usage=request.count_usage,
            )
            return pb.GetRemainingObligationResponse(
                bands=map(write_band, bands),
                totals=map(write_obligation_total, obligation_totals(bands)),
                position=done.position,
            )

        return _Prepared(FoldRequest(FoldedReport.OBLIGATION, scope), write, promises=True)

    async def _revenue(self, request: pb.GetRevenueRequest) -> _Prepared[pb.GetRevenueResponse]:
        return _Prepared(
            FoldRequest(FoldedReport.REVENUE, await self._scope(request.scope)),
            lambda done: pb.GetRevenueResponse(
                rows=[write_revenue(row, self._chart) for row in done.revenue], position=done.position
            ),
        )

    async def _breakage_analysis(
        self, request: pb.GetBreakageAnalysisRequest
    ) -> _Prepared[pb.GetBreakageAnalysisResponse]:
        return _Prepared(
            FoldRequest(FoldedReport.BREAKAGE, await self._scope(request.scope, of_one_day=True)),
            lambda done: pb.GetBreakageAnalysisResponse(
                cohorts=map(write_cohort, done.cohorts),
                suggestions=map(write_suggestion, done.suggestions),
                position=done.position,
            ),
        )

    async def _contract_positions(
        self, request: pb.SummarizeContractPositionsRequest
    ) -> _Prepared[pb.SummarizeContractPositionsResponse]:
        return _Prepared(
            FoldRequest(FoldedReport.POSITIONS, await self._scope(request.scope, of_one_day=True)),
            lambda done: pb.SummarizeContractPositionsResponse(
                totals=map(write_position_total, done.positions), position=done.position
            ),
        )

    async def _journal(self, request: pb.SummarizeJournalRequest) -> _Prepared[pb.SummarizeJournalResponse]:
        return _Prepared(
            FoldRequest(FoldedReport.JOURNAL, await self._scope(request.scope)),
            lambda done: pb.SummarizeJournalResponse(
                sums=[write_journal_sum(row, self._chart) for row in done.journal], position=done.position
            ),
        )

    async def _credits_outstanding(
        self, request: pb.ListCreditsOutstandingRequest
    ) -> _Prepared[pb.ListCreditsOutstandingResponse]:
        if request.entity:
            raise FieldNotAllowed("the scope names its entity", field="entity")
        return _Prepared(
            FoldRequest(FoldedReport.CREDIT, await self._scope(request.scope, of_one_day=True)),
            lambda done: pb.ListCreditsOutstandingResponse(
                rows=map(write_outstanding, done.credit), position=done.position
            ),
        )

    async def _scope(self, scope: pb.ReportScope, *, of_one_day: bool = False) -> ReportScope:
        asked = read_report_scope(scope, self._writer.now(), of_one_day=of_one_day)
        await self._check_known(asked)
        return asked

    async def _check_known(self, scope: ReportScope) -> None:
        await self._reports.check_known(entity=scope.entity, currency_code=scope.currency_code)

    async def _made(self, prepared: _Prepared[Answer]) -> Answer:
        async with aclosing(self._jobs.fold(prepared.request)) as reports:
            async for progress in reports:
                if progress.done:
                    await self._check_promised(prepared, progress)
                    return prepared.write(progress)
        raise AssertionError("a report ends with its figures")

    async def _check_promised(self, prepared: _Prepared[Answer], done: FoldProgress) -> None:
        if prepared.promises and not done.liability:
            await self._check_known(prepared.request.scope)
