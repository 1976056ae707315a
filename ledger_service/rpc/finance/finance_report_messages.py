"""Reports, exports and the reconciliation on the wire."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

from credits.ledger.v1 import finance_export_pb2, finance_reports_pb2, money_pb2
from ledger_service.application.exporting.export_ports import ExportFormat, ExportPart, ExportRequest
from ledger_service.application.reporting.breakage_analysis import Cohort, Suggestion
from ledger_service.application.reporting.liability_bands import Band, ObligationPart
from ledger_service.application.reporting.opening_revenue import OpeningRevenueRow
from ledger_service.application.reporting.report_ports import (
    CreditOutstanding,
    EntriesRequest,
    ReconcileProgress,
    TrialBalanceRow,
)
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.application.reporting.revenue_split import RevenueRow
from ledger_service.domain.finance.accounts import KINDS, Account, Chart
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.domain.names import check_currency, check_id, check_name, check_range, check_span
from ledger_service.domain.refusals import (
    FieldMalformed,
    FieldRequired,
    TimesOutOfOrder,
    ValueUnspecified,
)
from ledger_service.rpc.finance.finance_messages import DAYS_MAX, midnight, read_day, write_day
from ledger_service.rpc.values import write_time

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1_000
FORMATS: Final = {
    finance_export_pb2.EXPORT_FORMAT_HLEDGER: ExportFormat.HLEDGER,
    finance_export_pb2.EXPORT_FORMAT_BEANCOUNT: ExportFormat.BEANCOUNT,
    finance_export_pb2.EXPORT_FORMAT_CSV: ExportFormat.CSV,
    finance_export_pb2.EXPORT_FORMAT_JSON_LINES: ExportFormat.JSON,
}


PARTS: Final = {
    ObligationPart.CREDIT: finance_reports_pb2.OBLIGATION_PART_CREDIT,
    ObligationPart.BILLED_AHEAD: finance_reports_pb2.OBLIGATION_PART_BILLED_AHEAD,
    ObligationPart.COMMITMENTS: finance_reports_pb2.OBLIGATION_PART_COMMITMENTS,
    ObligationPart.FEES: finance_reports_pb2.OBLIGATION_PART_FEES,
    ObligationPart.USAGE: finance_reports_pb2.OBLIGATION_PART_USAGE,
}


def read_report_scope(
    scope: finance_reports_pb2.ReportScope, now: datetime, *, of_one_day: bool = False
) -> ReportScope:
    """Return what a report is of. Raises Refusal. Of one day, what lies before is left out."""
    if not scope.HasField("to_time"):
        raise FieldRequired("scope.to_time is required", field="scope.to_time")
    to_day = read_day(scope.to_time, field="scope.to_time")
    if of_one_day:
        from_day = to_day - timedelta(days=1)
    elif scope.HasField("from_time"):
        from_day = read_day(scope.from_time, field="scope.from_time")
    else:
        raise FieldRequired("scope.from_time is required", field="scope.from_time")
    check_span(midnight(from_day), midnight(to_day), field="scope.to_time")
    check_range((to_day - from_day).days, low=1, high=DAYS_MAX, field="scope.to_time")
    if scope.currency_code:
        check_currency(scope.currency_code, field="scope.currency_code")
    if scope.entity:
        check_id(scope.entity, field="scope.entity")
    known = _read_optional_day(scope, "known_time", field="scope.known_time")
    if known is not None and known < from_day:
        what = f"how things stood on {to_day}" if of_one_day else f"a period from {from_day}"
        raise TimesOutOfOrder(f"of {what} nothing was known on {known}", field="scope.known_time")
    return ReportScope(from_day, to_day, now, scope.entity, scope.currency_code, known)


def read_list_journal(request: finance_reports_pb2.ListJournalRequest, now: datetime) -> EntriesRequest:
    """Return what a page of entries is asked for. Raises Refusal."""
    scope = read_report_scope(request.scope, now)
    if request.wallet:
        check_name(request.wallet, collection="wallets", field="wallet")
    account = None
    if request.account:
        if request.account not in Account.__members__:
            raise FieldMalformed(f"account {request.account[:40]!r} is none of the chart", field="account")
        account = Account[request.account]
    size = request.page_size or PAGE_SIZE_DEFAULT
    check_range(size, low=1, high=PAGE_SIZE_MAX, field="page_size")
    return EntriesRequest(
        scope,
        size,
        request.wallet,
        account,
        request.product or None,
        request.feature or None,
        request.model or None,
        _read_optional_day(request, "record_from_time", field="record_from_time"),
        _read_optional_day(request, "record_to_time", field="record_to_time"),
        request.page_token,
    )


def read_export(request: finance_export_pb2.ExportRequest, now: datetime, chart: Chart) -> ExportRequest:
    """Return what an export is asked for. Raises Refusal."""
    language = FORMATS.get(request.format)
    if language is None:
        raise ValueUnspecified("format must be one of those that there are", field="format")
    scope = read_report_scope(request.scope, now)
    return ExportRequest(
        language,
        scope.from_day,
        scope.to_day,
        now,
        scope.entity,
        scope.currency_code,
        scope.known_before,
        chart.names,
        request.page_token,
    )


def write_trial_balance_row(row: TrialBalanceRow, chart: Chart) -> finance_reports_pb2.TrialBalanceRow:
    """Return an account's balance."""
    return finance_reports_pb2.TrialBalanceRow(
        entity=row.entity,
        account=chart.name(row.account),
        account_kind=KINDS[row.account].value,
        opening=_money(row.currency_code, row.opening_nanos),
        debits=_money(row.currency_code, row.debit_nanos),
        credits=_money(row.currency_code, row.credit_nanos),
        closing=_money(row.currency_code, row.closing_nanos),
    )


def write_entry(booked: BookedEntry, chart: Chart) -> finance_reports_pb2.JournalEntry:
    """Return an entry."""
    entry = booked.entry
    return finance_reports_pb2.JournalEntry(
        stream=entry.stream,
        version=entry.version,
        position=entry.position,
        topic=entry.topic,
        effective_time=write_time(entry.effective_time),
        record_time=write_time(entry.record_time),
        posting_time=write_day(entry.posting_day),
        entity=entry.entity,
        lines=[
            finance_reports_pb2.JournalLine(
                account=chart.name(line.account),
                amount=_money(line.currency_code, line.nanos),
                product=line.product,
            )
            for line in entry.lines
        ],
        lots=[
            finance_reports_pb2.JournalLot(
                grant=change.lot,
                asset=money_pb2.Asset(code=change.asset.code, scale=change.asset.scale),
                outstanding_units=change.outstanding_units,
                contract_liability=_money(change.after.currency_code, change.after.deferred_nanos),
            )
            for change in booked.lots
        ],
        feature=booked.feature,
        model=booked.model,
    )


def write_band(band: Band) -> finance_reports_pb2.LiabilityBand:
    """Return a part of the contract liability, or of a remaining obligation."""
    return finance_reports_pb2.LiabilityBand(
        entity=band.entity,
        label=band.label,
        lot_count=band.lot_count,
        amount=_money(band.currency_code, band.nanos),
        part=finance_reports_pb2.OBLIGATION_PART_UNSPECIFIED if band.part is None else PARTS[band.part],
        left_out=band.is_left_out,
    )


def write_opening_revenue(row: OpeningRevenueRow) -> finance_reports_pb2.OpeningRevenueRow:
    """Return revenue that was in the opening liability."""
    return finance_reports_pb2.OpeningRevenueRow(
        entity=row.entity,
        opening=_money(row.currency_code, row.opening_nanos),
        from_opening=_money(row.currency_code, row.from_opening_nanos),
        recognised=_money(row.currency_code, row.recognised_nanos),
    )


def write_revenue(row: RevenueRow, chart: Chart) -> finance_reports_pb2.RevenueRow:
    """Return revenue of one kind."""
    return finance_reports_pb2.RevenueRow(
        entity=row.entity,
        account=chart.name(row.account),
        product=row.product,
        model=row.model,
        amount=_money(row.currency_code, row.nanos),
    )


def write_cohort(cohort: Cohort) -> finance_reports_pb2.BreakageCohort:
    """Return the lots of a month."""
    return finance_reports_pb2.BreakageCohort(
        month_time=write_day(cohort.month),
        entity=cohort.entity,
        product=cohort.product,
        asset=money_pb2.Asset(code=cohort.asset_code, scale=cohort.asset_scale),
        lot_count=cohort.lot_count,
        ended_lot_count=cohort.ended_lot_count,
        granted_units=cohort.granted_units,
        refunded_units=cohort.refunded_units,
        expired_units=cohort.expired_units,
        redeemed_units=cohort.redeemed_units,
    )


def write_suggestion(suggestion: Suggestion) -> finance_reports_pb2.BreakageSuggestion:
    """Return what follows from lots that have ended."""
    return finance_reports_pb2.BreakageSuggestion(
        entity=suggestion.entity,
        product=suggestion.product,
        asset_code=suggestion.asset_code,
        expected_breakage=suggestion.rate,
        lot_count=suggestion.lot_count,
        used_units=suggestion.used_units,
        unused_units=suggestion.unused_units,
    )


def write_outstanding(row: CreditOutstanding) -> finance_reports_pb2.CreditsOutstanding:
    """Return credit beside its liability."""
    currency = row.currency_code
    liability = _money(currency, row.liability_nanos) if currency else None
    future = _money(currency, row.future_liability_nanos) if currency and row.future_count else None
    return finance_reports_pb2.CreditsOutstanding(
        entity=row.entity,
        asset=money_pb2.Asset(code=row.asset_code, scale=row.asset_scale),
        category=row.category,
        grant_count=row.grant_count,
        outstanding_units=row.outstanding_units,
        contract_liability=liability,
        future_grant_count=row.future_count,
        future_units=row.future_units,
        future_contract_liability=future,
    )


def write_part(part: ExportPart) -> finance_export_pb2.ExportResponse:
    """Return a part of an export."""
    return finance_export_pb2.ExportResponse(
        data=part.data,
        next_page_token=part.token,
        wallet_count=part.wallet_count,
        wallets_total=part.wallets_total,
        entry_count=part.entry_count,
        position=part.position,
    )


def write_reconciliation(progress: ReconcileProgress) -> finance_export_pb2.ReconcileResponse:
    """Return how far a reconciliation is."""
    return finance_export_pb2.ReconcileResponse(
        wallet_count=progress.wallet_count,
        wallets_total=progress.wallets_total,
        position=progress.position,
        event_count=progress.event_count,
        events_total=progress.events_total,
        done=progress.done,
        checks=[
            finance_export_pb2.ReconcileCheck(
                name=check.name,
                compared_count=check.compared,
                differing_count=check.differing,
                difference=check.difference,
            )
            for check in progress.checks
        ],
    )


def _read_optional_day(
    message: finance_reports_pb2.ReportScope | finance_reports_pb2.ListJournalRequest,
    name: str,
    *,
    field: str,
) -> date | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    return read_day(getattr(message, name), field=field)


def _money(currency_code: str, nanos: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency_code, nanos=nanos)
