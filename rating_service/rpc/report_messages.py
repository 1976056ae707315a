"""Reports as messages, and what they are asked by as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from credits.ledger.v1 import money_pb2, wallet_pb2
from credits.rating.v1 import invoice_service_pb2, usage_report_service_pb2
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.reporting.bill_forecasts import BILL_METHOD, ProjectedBill
from rating_service.application.reporting.bills import Bill
from rating_service.application.reporting.forecasts import CycleForecast
from rating_service.application.reporting.remaining_credit import RemainingCredit
from rating_service.application.reporting.report_ports import UsageRow
from rating_service.application.reporting.usage_reports import UsageAsked, UsagePage
from rating_service.domain.agreements.agreement import Asset
from rating_service.domain.authorizing.authorization import CapStanding
from rating_service.domain.debits import GrantCategory
from rating_service.domain.exact import exact_text
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.reports.forecast import METHOD, Forecast, percent_text
from rating_service.domain.reports.remaining_credit import CreditPart
from rating_service.domain.reports.usage_report import UsageGroup, UsageSums
from rating_service.domain.rounding import round_half_up
from rating_service.rpc.messages import money, timestamp

INT64_MAX: Final = 2**63 - 1
FIELDS: Final = {
    UsageGroup.DAY: "day",
    UsageGroup.FEATURE: "feature",
    UsageGroup.MODEL: "model",
    UsageGroup.API_KEY: "api_key",
    UsageGroup.USER: "user",
    UsageGroup.RATE_CARD_PHASE: "rate_card_phase",
    UsageGroup.DIMENSION: "dimension",
}
"""Field of a row that holds a group's value."""
_GROUPS: Final[dict[int, UsageGroup]] = {
    usage_report_service_pb2.UsageGroup.Value(f"USAGE_GROUP_{group.value}"): group for group in UsageGroup
}
_CATEGORIES: Final = {
    category: wallet_pb2.GrantCategory.Value(f"GRANT_CATEGORY_{category.value}") for category in GrantCategory
}


def read_asked(request: usage_report_service_pb2.GetUsageRequest) -> UsageAsked:
    """Return what a request asks for. Refuses FIELD_MALFORMED for what is no group or zone."""
    if request.zone not in usage_report_service_pb2.DayZone.values():
        raise RequestRefused(RequestReason.FIELD_MALFORMED, f"zone {request.zone} is no zone", field="zone")
    return UsageAsked(
        name=request.name,
        from_day=request.from_day,
        to_day=request.to_day,
        is_local=request.zone == usage_report_service_pb2.DAY_ZONE_CONTRACT,
        groups=[_group(each, field="group_by") for each in request.group_by],
        filters=[(_group(each.group, field="filters.group"), list(each.values)) for each in request.filters],
    )


def usage_page(page: UsagePage, groups: Sequence[UsageGroup]) -> usage_report_service_pb2.GetUsageResponse:
    """Return a page as a message."""
    return usage_report_service_pb2.GetUsageResponse(
        rows=[_row(row, groups) for row in page.rows],
        total=_sums(page.sheet.total),
        next_page_token=page.next_page_token,
        position=page.sheet.position,
        asset=_asset(page.contract.asset) if page.contract else None,
        has_other=page.sheet.has_other,
    )


def remaining_credit(found: RemainingCredit) -> usage_report_service_pb2.GetRemainingCreditResponse:
    """Return remaining credit as a message."""
    balance, included = found.balance, None
    if found.cycle is not None and found.included is not None:
        included = usage_report_service_pb2.IncludedCredit(
            cycle_start_time=timestamp(found.cycle.start_time),
            cycle_end_time=timestamp(found.cycle.end_time),
            granted_units=found.included.granted_units,
            used_units=found.included.used_units,
            left_units=found.included.left_units,
        )
    return usage_report_service_pb2.GetRemainingCreditResponse(
        wallet=balance.wallet,
        asset=_asset(balance.asset),
        as_of_time=timestamp(balance.as_of_time),
        posted_units=balance.posted_units,
        held_units=balance.held_units,
        available_units=balance.available_units,
        pending_units=balance.pending_units,
        overage_units=balance.overage_units,
        debt_units=balance.debt_units,
        parts=map(_part, found.parts),
        included=included,
        caps=map(_cap, balance.caps),
        position=found.position,
    )


def cycle_forecast(found: CycleForecast) -> usage_report_service_pb2.GetForecastResponse:
    """Return a projection as a message."""
    message = usage_report_service_pb2.GetForecastResponse(
        state=usage_report_service_pb2.FORECAST_STATE_TOO_LITTLE_HISTORY,
        method=METHOD,
        from_day=found.cycle.from_day.isoformat(),
        to_day=found.cycle.to_day.isoformat(),
        today=found.today.isoformat(),
        asset=_asset(found.contract.asset),
        used_units=_int64(found.used_units),
        available_units=found.available_units,
        exhaust_day=found.exhaust_day.isoformat() if found.exhaust_day else "",
        overage_units=_int64(found.overage_units),
        projected_overage_units=_int64(found.projected_overage_units),
        projected_overage=money(found.projected_overage) if found.projected_overage else None,
        position=found.position,
    )
    if found.forecast is not None:
        _write_projection(message, found.forecast)
    if found.bill is not None:
        _write_bill(message, found.bill)
    return message


def bill(found: Bill) -> usage_report_service_pb2.Bill:
    """Return a bill as a message."""
    return usage_report_service_pb2.Bill(
        invoice=found.invoice,
        cycle_start_time=timestamp(found.cycle_start_time),
        cycle_end_time=timestamp(found.cycle_end_time),
        issue_time=timestamp(found.issue_time),
        state=usage_report_service_pb2.BILL_STATE_ISSUED,
        total=money(found.total),
        difference=money(found.difference) if found.difference else None,
        kind=invoice_service_pb2.InvoiceKind.Value(f"INVOICE_KIND_{found.kind.value}"),
    )


def _write_projection(message: usage_report_service_pb2.GetForecastResponse, found: Forecast) -> None:
    message.state = usage_report_service_pb2.FORECAST_STATE_PROJECTED
    message.history_days = found.history_days
    message.projected_units = _int64(round_half_up(found.projected_units, step=1))
    if found.interval is not None:
        low, high = found.interval
        message.projected_low_units, message.projected_high_units = _int64(low), _int64(high)
    if found.tested_cycles:
        message.error.cycle_count = found.tested_cycles
        mean = found.mean_error
        message.error.mean_absolute_percent = "" if mean is None else percent_text(mean)


def _write_bill(message: usage_report_service_pb2.GetForecastResponse, found: ProjectedBill) -> None:
    message.bill_method = BILL_METHOD
    message.projected_tax.CopyFrom(money(found.tax))
    message.projected_total.CopyFrom(money(found.total))
    for line in found.lines:
        kind = invoice_service_pb2.LineKind.Value(f"LINE_KIND_{line.kind.value}")
        message.projected_lines.add(kind=kind, amount=money(line.amount))


def _group(number: int, *, field: str) -> UsageGroup:
    group = _GROUPS.get(number)
    if group is None:
        raise RequestRefused(RequestReason.FIELD_MALFORMED, f"{field} {number} is no group", field=field)
    return group


def _row(row: UsageRow, groups: Sequence[UsageGroup]) -> usage_report_service_pb2.UsageRow:
    message = usage_report_service_pb2.UsageRow(sums=_sums(row.sums))
    for group, value in zip(groups, row.values, strict=True):
        setattr(message, FIELDS[group], value)
    return message


def _sums(sums: UsageSums) -> usage_report_service_pb2.UsageSums:
    return usage_report_service_pb2.UsageSums(
        requests=sums.requests,
        quantity=_int64(sums.quantity),
        amount_units=_int64(sums.amount_units),
        overage_units=_int64(sums.overage_units),
        exact_units=exact_text(sums.exact_units),
        provider_costs=[
            usage_report_service_pb2.ProviderCost(currency_code=code, amount=exact_text(amount))
            for code, amount in sorted(sums.provider_costs.items())
        ],
    )


def _part(part: CreditPart) -> usage_report_service_pb2.CreditPart:
    return usage_report_service_pb2.CreditPart(
        category=_CATEGORIES[part.category],
        available_units=part.available_units,
        expire_time=timestamp(part.expire_time),
    )


def _cap(cap: CapStanding) -> usage_report_service_pb2.CapLeft:
    return usage_report_service_pb2.CapLeft(
        budget_id=cap.budget,
        api_key=cap.api_key,
        user=cap.user,
        feature=cap.feature,
        limit_units=cap.limit_units,
        used_units=cap.used_units,
        remaining_units=cap.remaining_units,
        period_end_time=timestamp(cap.period_end_time),
    )


def _asset(asset: Asset) -> money_pb2.Asset:
    return money_pb2.Asset(code=asset.code, scale=asset.scale)


def _int64(number: int) -> int:
    """Return a sum that the wire can hold. Refuses AMOUNT_OUT_OF_RANGE; sums themselves have no bound."""
    if not -INT64_MAX - 1 <= number <= INT64_MAX:
        raise Refusal(Reason.AMOUNT_OUT_OF_RANGE, f"the sum {number} is beyond int64; ask for fewer days")
    return number
