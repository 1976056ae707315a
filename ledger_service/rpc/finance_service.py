"""FinanceService: contract liability rolled forward."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import finance_service_pb2, finance_service_pb2_grpc, money_pb2
from ledger_service.application.view_ports import RollForwardRow, Views
from ledger_service.application.writer import Writer
from ledger_service.domain.names import check_currency, check_range, check_span
from ledger_service.domain.refusals import FieldMalformed, FieldRequired
from ledger_service.rpc.calls import Context
from ledger_service.rpc.values import read_time, write_time

DAYS_MAX: Final = 3_660


class FinanceServicer(finance_service_pb2_grpc.FinanceServiceServicer):
    """Serves the deferred revenue projection."""

    def __init__(self, writer: Writer, views: Views) -> None:
        """Serve from the views, at the writer's time."""
        self._writer = writer
        self._views = views

    async def GetRollForward(
        self, request: finance_service_pb2.GetRollForwardRequest, context: Context
    ) -> finance_service_pb2.GetRollForwardResponse:
        """Roll contract liability forward."""
        check_currency(request.currency_code, field="currency_code")
        for field in ("from_time", "to_time"):
            if not request.HasField(field):
                raise FieldRequired(f"{field} is required", field=field)
        from_day = _day(request.from_time, field="from_time")
        to_day = _day(request.to_time, field="to_time")
        check_span(_midnight(from_day), _midnight(to_day), field="to_time")
        check_range((to_day - from_day).days, low=1, high=DAYS_MAX, field="to_time")
        roll = await self._views.roll_forward(
            from_day=from_day,
            to_day=to_day,
            currency_code=request.currency_code,
            now=self._writer.now(),
            min_position=request.min_position,
        )
        return finance_service_pb2.GetRollForwardResponse(
            total=_write_row(roll.total, request.currency_code),
            days=[_write_row(row, request.currency_code) for row in roll.days],
            position=roll.position,
        )


def _day(timestamp: Timestamp, *, field: str) -> date:
    instant = read_time(timestamp, field=field)
    if instant.timetz() != time(tzinfo=UTC):
        raise FieldMalformed(f"{field} must be 00:00 UTC", field=field)
    return instant.date()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _write_row(row: RollForwardRow, currency_code: str) -> finance_service_pb2.RollForwardRow:
    def money(nanos: int) -> money_pb2.Money:
        return money_pb2.Money(currency_code=currency_code, nanos=nanos)

    return finance_service_pb2.RollForwardRow(
        from_time=write_time(_midnight(row.from_day)),
        to_time=write_time(_midnight(row.to_day)),
        opening=money(row.opening_nanos),
        billings=money(row.billings_nanos),
        recognised_usage=money(row.recognised_usage_nanos),
        recognised_breakage=money(row.recognised_breakage_nanos),
        refunds=money(row.refunds_nanos),
        closing=money(row.closing_nanos),
    )
