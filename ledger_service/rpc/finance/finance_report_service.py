"""The part of FinanceService that reports, exports and reconciles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from credits.ledger.v1 import finance_export_pb2, finance_reports_pb2
from ledger_service.application.reporting.journal_tokens import entries_token, export_token, positions_token
from ledger_service.application.reporting.report_ports import (
    ReconcileRequest,
)
from ledger_service.domain.names import check_id
from ledger_service.rpc.calls import Context
from ledger_service.rpc.finance.finance_report_messages import (
    read_export,
    read_list_journal,
    write_entry,
    write_outstanding,
    write_part,
    write_reconciliation,
    write_revenue,
    write_trial_balance_row,
)
from ledger_service.rpc.finance.folded_report_service import FoldedReportServicer
from ledger_service.rpc.finance.position_messages import read_list_positions, write_position


class FinanceReportServicer(FoldedReportServicer):
    """Reads the journal for people and other programs."""

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

    async def GetRevenue(
        self, request: finance_reports_pb2.GetRevenueRequest, context: Context
    ) -> finance_reports_pb2.GetRevenueResponse:
        """Disaggregate revenue."""
        if request.by_model:
            return await self._made(await self._revenue(request))
        scope = await self._scope(request.scope)
        rows, position = await self._reports.revenue(scope, min_position=request.min_position)
        return finance_reports_pb2.GetRevenueResponse(
            rows=[write_revenue(row, self._chart) for row in rows], position=position
        )

    async def ListContractPositions(
        self, request: finance_reports_pb2.ListContractPositionsRequest, context: Context
    ) -> finance_reports_pb2.ListContractPositionsResponse:
        """List what is owed each way by contract."""
        asked = read_list_positions(request, self._writer.now())
        positions_token(asked)
        await self._check_known(asked.scope)
        page = await self._jobs.positions(asked)
        return finance_reports_pb2.ListContractPositionsResponse(
            positions=map(write_position, page.positions),
            next_page_token=page.next_token,
            position=page.position,
        )

    async def ListCreditsOutstanding(
        self, request: finance_reports_pb2.ListCreditsOutstandingRequest, context: Context
    ) -> finance_reports_pb2.ListCreditsOutstandingResponse:
        """List credit beside its liability."""
        if request.HasField("scope"):
            return await self._made(await self._credits_outstanding(request))
        if request.entity:
            check_id(request.entity, field="entity")
        rows, position = await self._reports.credits_outstanding(
            self._writer.now(), entity=request.entity, min_position=request.min_position
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
