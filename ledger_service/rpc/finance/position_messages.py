"""Positions by contract, totals of obligations, and sums of the journal on the wire."""

from __future__ import annotations

from datetime import datetime

from credits.ledger.v1 import finance_reports_pb2, money_pb2
from ledger_service.application.reporting.contract_positions import ContractPosition, PositionTotal
from ledger_service.application.reporting.journal_summary import SummaryRow
from ledger_service.application.reporting.liability_bands import ObligationTotal
from ledger_service.application.reporting.report_ports import PositionsRequest
from ledger_service.domain.finance.accounts import Chart
from ledger_service.domain.names import check_range
from ledger_service.rpc.finance.finance_report_messages import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    read_report_scope,
)


def read_list_positions(
    request: finance_reports_pb2.ListContractPositionsRequest, now: datetime
) -> PositionsRequest:
    """Return what a page of positions is asked for. Raises Refusal."""
    scope = read_report_scope(request.scope, now, of_one_day=True)
    size = request.page_size or PAGE_SIZE_DEFAULT
    check_range(size, low=1, high=PAGE_SIZE_MAX, field="page_size")
    return PositionsRequest(scope, size, request.page_token)


def write_position(row: ContractPosition) -> finance_reports_pb2.ContractPosition:
    """Return what is owed each way under a contract."""
    currency = row.currency_code
    return finance_reports_pb2.ContractPosition(
        source=row.source,
        wallet=row.wallet,
        entity=row.entity,
        contract_liability=_money(currency, row.liability_nanos),
        unbilled_receivable=_money(currency, row.unbilled_nanos),
        net_asset=_money(currency, max(row.net_nanos, 0)),
        net_liability=_money(currency, max(-row.net_nanos, 0)),
    )


def write_position_total(row: PositionTotal) -> finance_reports_pb2.ContractPositionTotal:
    """Return what positions add up to."""
    currency = row.currency_code
    return finance_reports_pb2.ContractPositionTotal(
        entity=row.entity,
        contract_liability=_money(currency, row.liability_nanos),
        unbilled_receivable=_money(currency, row.unbilled_nanos),
        net_assets=_money(currency, row.net_asset_nanos),
        net_liabilities=_money(currency, row.net_liability_nanos),
        asset_count=row.asset_count,
        liability_count=row.liability_count,
    )


def write_obligation_total(total: ObligationTotal) -> finance_reports_pb2.ObligationTotal:
    """Return what a remaining obligation adds up to."""
    currency = total.currency_code
    return finance_reports_pb2.ObligationTotal(
        entity=total.entity,
        contract_liability=_money(currency, total.liability_nanos),
        unbilled=_money(currency, total.unbilled_nanos),
        left_out_short=_money(currency, total.left_out_short_nanos),
        left_out_usage=_money(currency, total.left_out_usage_nanos),
        obligation=_money(currency, total.obligation_nanos),
    )


def write_journal_sum(row: SummaryRow, chart: Chart) -> finance_reports_pb2.JournalSum:
    """Return what entries of one kind come to."""
    return finance_reports_pb2.JournalSum(
        entity=row.entity,
        account=chart.name(row.account),
        account_code=row.account.value,
        product=row.product,
        feature=row.feature,
        model=row.model,
        debits=_money(row.currency_code, row.debit_nanos),
        credits=_money(row.currency_code, row.credit_nanos),
        entry_count=row.entry_count,
    )


def _money(currency_code: str, nanos: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency_code, nanos=nanos)
