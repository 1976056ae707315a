"""UsageReportService on the wire."""

from __future__ import annotations

from typing import Any

from credits.rating.v1 import usage_report_service_pb2, usage_report_service_pb2_grpc
from rating_service.application.reporting.bills import BillListing
from rating_service.application.reporting.forecasts import Forecasting
from rating_service.application.reporting.remaining_credit import CreditReporting
from rating_service.application.reporting.usage_reports import UsageReporting
from rating_service.rpc.metrics import REPORTED_ROWS
from rating_service.rpc.report_messages import bill, cycle_forecast, read_asked, remaining_credit, usage_page


class ReportServicer(usage_report_service_pb2_grpc.UsageReportServiceServicer):
    """Hands requests to the application and its reports back."""

    def __init__(
        self, *, usage: UsageReporting, credit: CreditReporting, forecasting: Forecasting, bills: BillListing
    ) -> None:
        """Serve an application."""
        self._usage = usage
        self._credit = credit
        self._forecasting = forecasting
        self._bills = bills

    async def GetUsage(
        self, request: usage_report_service_pb2.GetUsageRequest, context: Any = None
    ) -> usage_report_service_pb2.GetUsageResponse:
        """Sum usage over days, in groups."""
        asked = read_asked(request)
        page = await self._usage.usage(
            asked,
            page_size=request.page_size,
            token=request.page_token,
            min_position=request.min_position,
        )
        REPORTED_ROWS.observe(len(page.rows))
        return usage_page(page, asked.groups)

    async def GetRemainingCredit(
        self, request: usage_report_service_pb2.GetRemainingCreditRequest, context: Any = None
    ) -> usage_report_service_pb2.GetRemainingCreditResponse:
        """Say what can still be spent."""
        return remaining_credit(await self._credit.remaining(request.name, min_position=request.min_position))

    async def GetForecast(
        self, request: usage_report_service_pb2.GetForecastRequest, context: Any = None
    ) -> usage_report_service_pb2.GetForecastResponse:
        """Project the present cycle to its end."""
        return cycle_forecast(
            await self._forecasting.forecast(
                request.name, min_position=request.min_position, with_bill=request.include_bill
            )
        )

    async def ListBills(
        self, request: usage_report_service_pb2.ListBillsRequest, context: Any = None
    ) -> usage_report_service_pb2.ListBillsResponse:
        """List issued invoices with what changed."""
        page = await self._bills.list(request.contract, page_size=request.page_size, token=request.page_token)
        return usage_report_service_pb2.ListBillsResponse(
            bills=map(bill, page.bills), next_page_token=page.next_page_token
        )

    async def CheckUsage(
        self, request: usage_report_service_pb2.CheckUsageRequest, context: Any = None
    ) -> usage_report_service_pb2.CheckUsageResponse:
        """Compare the sums with those folded anew."""
        check = await self._usage.check(repair=request.repair)
        return usage_report_service_pb2.CheckUsageResponse(
            position=check.position,
            row_count=check.row_count,
            difference_count=check.difference_count,
            differences=check.differences,
            repaired=request.repair and check.difference_count > 0,
        )
