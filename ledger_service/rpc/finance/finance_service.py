"""FinanceService: contract liability rolled forward, lots in the books, and what finance tells the ledger."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import finance_commands_pb2, finance_service_pb2
from ledger_service.application.ports import LogReader
from ledger_service.application.procedures import accounting
from ledger_service.application.reading.page_tokens import (
    GrantsToken,
    JournalToken,
    decode_token,
    encode_token,
)
from ledger_service.application.reporting.finance_ports import FinanceViews, JournalDay
from ledger_service.application.reporting.report_ports import FinanceJobs, FinanceReports
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import (
    DeclareBreakageRemote,
    ReviseBreakageEstimate,
    RevisePoolEstimate,
    SettleRefund,
)
from ledger_service.domain.events import RefundSettled
from ledger_service.domain.finance.accounts import DEFAULT_CHART, Chart
from ledger_service.domain.names import check_idempotency_key, check_name, check_range
from ledger_service.domain.refusals import FieldNotAllowed, FieldRequired
from ledger_service.domain.refusals.service import PageTokenMalformed
from ledger_service.rpc.calls import Context, actor_of
from ledger_service.rpc.finance.entity_service import EntityMethods
from ledger_service.rpc.finance.finance_messages import (
    read_create_pool,
    read_day,
    read_grants,
    read_scope,
    read_span,
    write_closed,
    write_journal_day,
    write_lot,
    write_period,
    write_pool,
    write_row,
)
from ledger_service.rpc.part_names import read_part_name
from ledger_service.rpc.values import write_money

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1_000


class FinanceServicer(EntityMethods):
    """Serves the journal, and takes what finance says."""

    def __init__(
        self,
        writer: Writer,
        reader: LogReader,
        views: FinanceViews,
        reports: FinanceReports,
        jobs: FinanceJobs,
        *,
        chart: Chart = DEFAULT_CHART,
    ) -> None:
        """Serve from the views, at the writer's time; accounts are called as the chart says."""
        self._chart = chart
        self._writer = writer
        self._reader = reader
        self._views = views
        self._reports = reports
        self._jobs = jobs

    async def GetRollForward(
        self, request: finance_service_pb2.GetRollForwardRequest, context: Context
    ) -> finance_service_pb2.GetRollForwardResponse:
        """Roll contract liability forward."""
        from_day, to_day = read_span(request)
        roll = await self._views.roll_forward(
            from_day=from_day,
            to_day=to_day,
            scope=read_scope(request),
            now=self._writer.now(),
            min_position=request.min_position,
        )
        return finance_service_pb2.GetRollForwardResponse(
            total=write_row(roll.total, request.currency_code),
            days=[write_row(row, request.currency_code) for row in roll.days],
            position=roll.position,
        )

    async def ListPaidLots(
        self, request: finance_commands_pb2.ListPaidLotsRequest, context: Context
    ) -> finance_commands_pb2.ListPaidLotsResponse:
        """List the lots with consideration of a wallet."""
        check_name(request.name, collection="wallets", field="name")
        size = request.page_size or PAGE_SIZE_DEFAULT
        check_range(size, low=1, high=PAGE_SIZE_MAX, field="page_size")
        after = 0
        if request.page_token:
            token = decode_token(request.page_token, GrantsToken)
            if token.wallet != request.name:
                raise PageTokenMalformed("the page token is of another wallet's list", field="page_token")
            after = token.after_version
        lots, position = await self._views.list_lots(
            request.name, after=after, limit=size + 1, min_position=request.min_position
        )
        page = lots[:size]
        more = len(lots) > size
        return finance_commands_pb2.ListPaidLotsResponse(
            lots=[write_lot(lot) for lot in page],
            next_page_token=encode_token(GrantsToken(request.name, page[-1].grant_version)) if more else "",
            position=position,
        )

    async def ListJournalDays(
        self, request: finance_commands_pb2.ListJournalDaysRequest, context: Context
    ) -> finance_commands_pb2.ListJournalDaysResponse:
        """List what was posted by day and account."""
        from_day, to_day = read_span(request)
        size = request.page_size or PAGE_SIZE_DEFAULT
        check_range(size, low=1, high=PAGE_SIZE_MAX, field="page_size")
        rows, position = await self._views.list_days(
            from_day=from_day,
            to_day=to_day,
            scope=read_scope(request),
            moved_only=request.moved_only,
            after=decode_token(request.page_token, JournalToken) if request.page_token else None,
            limit=size + 1,
            min_position=request.min_position,
        )
        page = rows[:size]
        return finance_commands_pb2.ListJournalDaysResponse(
            rows=[write_journal_day(row, request.currency_code, self._chart) for row in page],
            next_page_token=encode_token(_token_of(page[-1])) if len(rows) > size else "",
            position=position,
        )

    async def ReviseBreakageEstimate(
        self, request: finance_commands_pb2.ReviseBreakageEstimateRequest, context: Context
    ) -> finance_commands_pb2.ReviseBreakageEstimateResponse:
        """Expect another part of lots or of a pool never to be used."""
        outcome = await self._submit(_read_revision(request), request.idempotency_key, context)
        return finance_commands_pb2.ReviseBreakageEstimateResponse(
            replayed=outcome.replayed, position=outcome.position
        )

    async def DeclareBreakageRemote(
        self, request: finance_commands_pb2.DeclareBreakageRemoteRequest, context: Context
    ) -> finance_commands_pb2.DeclareBreakageRemoteResponse:
        """Expect what is left of lots never to be used."""
        check_name(request.name, collection="wallets", field="name")
        command = DeclareBreakageRemote(request.name, read_grants(request.name, list(request.grants)))
        outcome = await self._submit(command, request.idempotency_key, context)
        return finance_commands_pb2.DeclareBreakageRemoteResponse(
            replayed=outcome.replayed, position=outcome.position
        )

    async def RecordEscheat(
        self, request: finance_commands_pb2.RecordEscheatRequest, context: Context
    ) -> finance_commands_pb2.RecordEscheatResponse:
        """Note what of a lot belongs to the state."""
        grant = read_part_name(request.name, collection="grants")
        check_idempotency_key(request.idempotency_key)
        outcome = await accounting.escheat(
            self._writer,
            self._reader,
            wallet=grant.wallet,
            grant_version=grant.version,
            fraction=request.fraction,
            jurisdiction=request.jurisdiction,
            key=request.idempotency_key,
            actor=actor_of(context),
        )
        return finance_commands_pb2.RecordEscheatResponse(
            replayed=outcome.replayed, position=outcome.position
        )

    async def SettleRefund(
        self, request: finance_commands_pb2.SettleRefundRequest, context: Context
    ) -> finance_commands_pb2.SettleRefundResponse:
        """Note that a refund was paid."""
        refund = read_part_name(request.name, collection="refunds")
        command = SettleRefund(refund.wallet, refund.version, request.reference)
        outcome = await self._submit(command, request.idempotency_key, context)
        event = outcome.fact.event
        assert isinstance(event, RefundSettled)
        return finance_commands_pb2.SettleRefundResponse(
            refund=write_money(event.refund),
            tax=write_money(event.tax) if event.tax is not None else None,
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def CreateBreakagePool(
        self, request: finance_commands_pb2.CreateBreakagePoolRequest, context: Context
    ) -> finance_commands_pb2.CreateBreakagePoolResponse:
        """Begin a cohort of lots."""
        outcome = await self._submit(read_create_pool(request), request.idempotency_key, context)
        return finance_commands_pb2.CreateBreakagePoolResponse(
            pool=write_pool(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def CloseAccountingPeriod(
        self, request: finance_commands_pb2.CloseAccountingPeriodRequest, context: Context
    ) -> finance_commands_pb2.CloseAccountingPeriodResponse:
        """Close an accounting period."""
        check_name(request.name, collection="accountingPeriods", field="name")
        check_idempotency_key(request.idempotency_key)
        for field in ("from_time", "to_time"):
            if not request.HasField(field):
                raise FieldRequired(f"{field} is required", field=field)
        outcome = await accounting.close_period(
            self._writer,
            self._views,
            period=request.name,
            from_day=read_day(request.from_time, field="from_time"),
            to_day=read_day(request.to_time, field="to_time"),
            key=request.idempotency_key,
            actor=actor_of(context),
        )
        return finance_commands_pb2.CloseAccountingPeriodResponse(
            period=write_closed(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def ListAccountingPeriods(
        self, request: finance_commands_pb2.ListAccountingPeriodsRequest, context: Context
    ) -> finance_commands_pb2.ListAccountingPeriodsResponse:
        """List the periods of an entity that take no entries any more."""
        check_name(request.name, collection="accountingPeriods", field="name")
        entity = request.name.partition("/")[2]
        periods = await self._views.list_periods(entity, min_position=request.min_position)
        return finance_commands_pb2.ListAccountingPeriodsResponse(
            periods=[write_period(request.name, period) for period in periods]
        )


def _token_of(row: JournalDay) -> JournalToken:
    return JournalToken(
        row.posting_day,
        row.record_day,
        row.effective_day,
        row.entity,
        row.account.value,
        row.movement.value,
        row.product,
        row.source,
    )


def _read_revision(
    request: finance_commands_pb2.ReviseBreakageEstimateRequest,
) -> ReviseBreakageEstimate | RevisePoolEstimate:
    if request.name.startswith("breakagePools/"):
        check_name(request.name, collection="breakagePools", field="name")
        if request.grants:
            raise FieldNotAllowed("a pool is estimated as a whole", field="grants")
        return RevisePoolEstimate(request.name, request.expected_breakage, request.expected_redeemed_units)
    check_name(request.name, collection="wallets", field="name")
    return ReviseBreakageEstimate(
        request.name,
        read_grants(request.name, list(request.grants)),
        request.expected_breakage,
        request.expected_redeemed_units,
    )
