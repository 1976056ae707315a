"""Finance on the wire: roll-forward, lots, pools and periods."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import finance_commands_pb2, finance_service_pb2, money_pb2
from ledger_service.application.reporting.finance_ports import (
    FinanceScope,
    JournalDay,
    LotFigures,
    PeriodView,
    RollForwardRow,
)
from ledger_service.application.writing.calls import Outcome
from ledger_service.domain.commands import CreateBreakagePool
from ledger_service.domain.events import AccountingPeriodClosed, BreakagePoolCreated
from ledger_service.domain.finance.accounts import Chart
from ledger_service.domain.names import (
    check_currency,
    check_id,
    check_idempotency_key,
    check_range,
    check_span,
)
from ledger_service.domain.refusals import FieldMalformed, FieldRequired, ValueUnspecified
from ledger_service.domain.values import BreakageMethod
from ledger_service.rpc.part_names import read_part_name, write_part_name
from ledger_service.rpc.values import read_time, write_time

DAYS_MAX: Final = 3_660
RollForwardOrDays = finance_service_pb2.GetRollForwardRequest | finance_commands_pb2.ListJournalDaysRequest
METHOD: Final = {
    finance_commands_pb2.BREAKAGE_METHOD_NONE: BreakageMethod.NONE,
    finance_commands_pb2.BREAKAGE_METHOD_REMOTE: BreakageMethod.REMOTE,
    finance_commands_pb2.BREAKAGE_METHOD_PROPORTIONAL: BreakageMethod.PROPORTIONAL,
}
METHOD_WIRE: Final = {value: key for key, value in METHOD.items()}


def read_day(timestamp: Timestamp, *, field: str) -> date:
    """Return a day (UTC). Raises FieldMalformed if the instant is not its first one."""
    instant = read_time(timestamp, field=field)
    if instant.timetz() != time(tzinfo=UTC):
        raise FieldMalformed(f"{field} must be 00:00 UTC", field=field)
    return instant.date()


def write_day(day: date) -> Timestamp:
    """Return the first instant of a day (UTC)."""
    return write_time(midnight(day))


def midnight(day: date) -> datetime:
    """Return the first instant of a day (UTC)."""
    return datetime.combine(day, time(), UTC)


def read_span(request: RollForwardOrDays) -> tuple[date, date]:
    """Return the days of a request. Raises FieldRequired, FieldMalformed, TimesOutOfOrder, NumberOutOfRange."""
    for field in ("from_time", "to_time"):
        if not request.HasField(field):
            raise FieldRequired(f"{field} is required", field=field)
    from_day = read_day(request.from_time, field="from_time")
    to_day = read_day(request.to_time, field="to_time")
    check_span(midnight(from_day), midnight(to_day), field="to_time")
    check_range((to_day - from_day).days, low=1, high=DAYS_MAX, field="to_time")
    return from_day, to_day


def read_scope(request: RollForwardOrDays) -> FinanceScope:
    """Return which part of the journal a request asks for. Raises Refusal."""
    check_currency(request.currency_code, field="currency_code")
    if request.entity:
        check_id(request.entity, field="entity")
    known = read_day(request.known_time, field="known_time") if request.HasField("known_time") else None
    return FinanceScope(request.currency_code, request.entity, known)


def read_grants(wallet: str, names: list[str]) -> tuple[int, ...]:
    """Return the versions of grants of a wallet. Raises Refusal."""
    parts = [read_part_name(name, collection="grants", field="grants") for name in names]
    for part in parts:
        if part.wallet != wallet:
            raise FieldMalformed(f"grants names one that is not of {wallet}", field="grants")
    return tuple(part.version for part in parts)


def read_create_pool(request: finance_commands_pb2.CreateBreakagePoolRequest) -> CreateBreakagePool:
    """Return the command. Raises Refusal."""
    check_id(request.pool_id, field="pool_id")
    check_idempotency_key(request.idempotency_key)
    if not request.HasField("pool"):
        raise FieldRequired("pool is required", field="pool")
    pool = request.pool
    method = METHOD.get(pool.method)
    if method is None:
        raise ValueUnspecified("pool.method must be NONE, REMOTE or PROPORTIONAL", field="pool.method")
    return CreateBreakagePool(
        pool=f"breakagePools/{request.pool_id}",
        currency_code=pool.currency_code,
        method=method,
        entity=pool.entity,
        term=pool.term,
        jurisdiction=pool.jurisdiction,
        expected_breakage=pool.expected_breakage,
        escheat_fraction=pool.escheat_fraction,
    )


def write_pool(outcome: Outcome) -> finance_commands_pb2.BreakagePool:
    """Return the pool that a CreateBreakagePool recorded."""
    event = outcome.fact.event
    assert isinstance(event, BreakagePoolCreated)
    return finance_commands_pb2.BreakagePool(
        name=outcome.stream,
        currency_code=event.currency_code,
        method=METHOD_WIRE[event.method],
        entity=event.entity,
        term=event.term,
        jurisdiction=event.jurisdiction,
        expected_breakage=event.expected_breakage,
        escheat_fraction=event.escheat_fraction,
    )


def write_closed(outcome: Outcome) -> finance_commands_pb2.AccountingPeriod:
    """Return the period that a CloseAccountingPeriod recorded."""
    event = outcome.fact.event
    assert isinstance(event, AccountingPeriodClosed)
    return finance_commands_pb2.AccountingPeriod(
        name=outcome.stream,
        from_time=write_day(event.from_day),
        to_time=write_day(event.to_day),
        locked_position=event.locked_position,
        close_time=write_time(outcome.fact.effective_time),
        figures_hash=event.figures_hash,
    )


def write_period(name: str, period: PeriodView) -> finance_commands_pb2.AccountingPeriod:
    """Return a period."""
    return finance_commands_pb2.AccountingPeriod(
        name=name,
        from_time=write_day(period.from_day),
        to_time=write_day(period.to_day),
        locked_position=period.locked_position,
        close_time=write_time(period.close_time) if period.close_time is not None else None,
        figures_hash=period.figures_hash,
    )


def write_row(row: RollForwardRow, currency_code: str) -> finance_service_pb2.RollForwardRow:
    """Return a row of the roll-forward."""

    def money(nanos: int) -> money_pb2.Money:
        return money_pb2.Money(currency_code=currency_code, nanos=nanos)

    return finance_service_pb2.RollForwardRow(
        from_time=write_day(row.from_day),
        to_time=write_day(row.to_day),
        opening=money(row.opening_nanos),
        billings=money(row.billings_nanos),
        recognised_usage=money(row.recognised_usage_nanos),
        recognised_breakage=money(row.recognised_breakage_nanos),
        refunds=money(row.refunds_nanos),
        closing=money(row.closing_nanos),
        escheat=money(row.escheat_nanos),
        recognised_over_time=money(row.recognised_over_time_nanos),
        commitments_drawn=money(row.commitments_drawn_nanos),
        overage_revenue=money(row.overage_revenue_nanos),
        unbilled_receivable=money(row.unbilled_receivable_nanos),
        refund_liability=money(row.refund_liability_nanos),
    )


def write_lot(lot: LotFigures) -> finance_commands_pb2.PaidLot:
    """Return a lot in the books."""

    def money(nanos: int) -> money_pb2.Money:
        return money_pb2.Money(currency_code=lot.currency_code, nanos=nanos)

    return finance_commands_pb2.PaidLot(
        grant=write_part_name(lot.wallet, "grants", lot.grant_version),
        entity=lot.entity,
        product=lot.product,
        pool=lot.pool,
        consideration=money(lot.consideration_nanos),
        amount_units=lot.amount_units,
        left_units=lot.left_units,
        drawn_units=lot.drawn_units,
        expired_units=lot.expired_units,
        refunded_units=lot.refunded_units,
        usage=money(lot.usage_nanos),
        breakage=money(lot.breakage_nanos),
        refunds=money(lot.refunded_nanos),
        escheat=money(lot.escheated_nanos),
        contract_liability=money(lot.deferred_nanos),
        expected_breakage=lot.expected_breakage,
        expire_time=write_time(lot.expire_time) if lot.expire_time is not None else None,
        moved_units=lot.moved_units,
        moved=money(lot.moved_nanos),
    )


def write_journal_day(row: JournalDay, currency_code: str, chart: Chart) -> finance_commands_pb2.JournalDay:
    """Return a row of the journal."""
    return finance_commands_pb2.JournalDay(
        posting_time=write_day(row.posting_day),
        effective_time=write_day(row.effective_day),
        record_time=write_day(row.record_day),
        entity=row.entity,
        account=chart.name(row.account),
        movement=row.movement.value,
        product=row.product,
        source=row.source,
        amount=money_pb2.Money(currency_code=currency_code, nanos=row.nanos),
    )
