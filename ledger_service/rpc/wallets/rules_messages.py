"""A wallet's rules on the wire: read into the domain's records, and written back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import wallet_rules_pb2
from ledger_service.domain.calendar import check_zone
from ledger_service.domain.events import AlertRules, AutoTopUp, Budget, FastRise, SpendCap, WalletRules
from ledger_service.domain.refusals import FieldMalformed
from ledger_service.domain.wallet.rules import ENTITLEMENT_PERCENTS_DEFAULT
from ledger_service.rpc.values import read_duration, read_money, read_time, write_money, write_time
from ledger_service.rpc.wallets.sale_messages import read_sale_terms, write_stated_terms

ZONE_DEFAULT: Final = "UTC"
WINDOWS_DEFAULT: Final = 24
PER_DAY_DEFAULT: Final = 1
PER_MONTH_DEFAULT: Final = 10
BACK_OFF_SECONDS_DEFAULT: Final = 3_600
BACK_OFF_MAX_SECONDS_DEFAULT: Final = 86_400
ALERTS_DEFAULT: Final = AlertRules(ENTITLEMENT_PERCENTS_DEFAULT)


def read_rules(
    rules: wallet_rules_pb2.WalletRules, *, field: str, alerts_default: AlertRules = ALERTS_DEFAULT
) -> WalletRules:
    """Return rules; absent alerts are the default ones. Raises Refusal."""
    return WalletRules(
        late_usage_grace_seconds=_seconds(rules.late_usage_grace, 0, field=f"{field}.late_usage_grace"),
        spend_cap=_read_spend_cap(rules.spend_cap, field=f"{field}.spend_cap")
        if rules.HasField("spend_cap")
        else None,
        budgets=tuple(
            _read_budget(budget, field=f"{field}.budgets[{index}]")
            for index, budget in enumerate(rules.budgets)
        ),
        alerts=_read_alerts(rules.alerts) if rules.HasField("alerts") else alerts_default,
        auto_top_up=_read_auto_top_up(rules.auto_top_up, field=f"{field}.auto_top_up")
        if rules.HasField("auto_top_up")
        else None,
    )


def write_rules(rules: WalletRules) -> wallet_rules_pb2.WalletRules:
    """Return rules as a message; `alerts` is always there, so that none is told from the default."""
    alerts = rules.alerts
    message = wallet_rules_pb2.WalletRules(
        budgets=[_write_budget(budget) for budget in rules.budgets],
        alerts=wallet_rules_pb2.AlertRules(
            entitlement_percents=alerts.entitlement_percents, low_balance_units=alerts.low_balance_units
        ),
    )
    if rules.late_usage_grace_seconds:
        message.late_usage_grace.CopyFrom(Duration(seconds=rules.late_usage_grace_seconds))
    if alerts.fast_rise is not None:
        rise = alerts.fast_rise
        message.alerts.fast_rise.CopyFrom(
            wallet_rules_pb2.FastRise(
                window=rise.window,
                windows=rise.windows,
                factor=rise.factor,
                minimum_units=rise.minimum_units,
            )
        )
    if rules.spend_cap is not None:
        cap = rules.spend_cap
        message.spend_cap.CopyFrom(
            wallet_rules_pb2.SpendCap(
                amount_units=cap.amount_units,
                period=cap.period,
                zone=cap.zone,
                anchor_time=write_time(cap.anchor_time),
            )
        )
    if rules.auto_top_up is not None:
        message.auto_top_up.CopyFrom(_write_auto_top_up(rules.auto_top_up))
    return message


def _read_spend_cap(cap: wallet_rules_pb2.SpendCap, *, field: str) -> SpendCap:
    zone = cap.zone or ZONE_DEFAULT
    anchor = cap.anchor_time if cap.HasField("anchor_time") else None
    return SpendCap(cap.amount_units, cap.period, _read_anchor(anchor, zone, field=field), zone)


def _read_budget(budget: wallet_rules_pb2.Budget, *, field: str) -> Budget:
    zone = budget.zone or ZONE_DEFAULT
    anchor = budget.anchor_time if budget.HasField("anchor_time") else None
    return Budget(
        budget=budget.budget_id,
        amount_units=budget.amount_units,
        anchor_time=_read_anchor(anchor, zone, field=field),
        api_key=budget.api_key,
        user=budget.user,
        feature=budget.feature,
        period=budget.period,
        zone=zone,
    )


def _read_anchor(anchor: Timestamp | None, zone: str, *, field: str) -> datetime:
    if anchor is not None:
        return read_time(anchor, field=f"{field}.anchor_time")
    check_zone(zone, field=f"{field}.zone")
    return datetime(1970, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _read_alerts(alerts: wallet_rules_pb2.AlertRules) -> AlertRules:
    rise = alerts.fast_rise
    return AlertRules(
        entitlement_percents=tuple(alerts.entitlement_percents),
        low_balance_units=tuple(alerts.low_balance_units),
        fast_rise=FastRise(rise.window, rise.windows or WINDOWS_DEFAULT, rise.factor, rise.minimum_units or 1)
        if alerts.HasField("fast_rise")
        else None,
    )


def _read_auto_top_up(top_up: wallet_rules_pb2.AutoTopUp, *, field: str) -> AutoTopUp:
    back_off = _seconds(top_up.back_off, BACK_OFF_SECONDS_DEFAULT, field=f"{field}.back_off")
    longest = max(back_off, BACK_OFF_MAX_SECONDS_DEFAULT)
    return AutoTopUp(
        threshold_units=top_up.threshold_units,
        price=read_money(top_up.price),
        price_units=top_up.price_units,
        amount_units=top_up.amount_units,
        target_units=top_up.target_units,
        per_day_max=top_up.per_day_max or PER_DAY_DEFAULT,
        per_month_max=top_up.per_month_max or PER_MONTH_DEFAULT,
        back_off_seconds=back_off,
        back_off_max_seconds=_seconds(top_up.back_off_max, longest, field=f"{field}.back_off_max"),
        valid_for=top_up.valid_for,
        zone=top_up.zone or ZONE_DEFAULT,
        finance=read_sale_terms(top_up.finance, field=f"{field}.finance")
        if top_up.HasField("finance")
        else None,
    )


def _seconds(duration: Duration, default: int, *, field: str) -> int:
    if not duration.seconds and not duration.nanos:
        return default
    read = read_duration(duration, field=field)
    if read.microseconds or duration.nanos:
        raise FieldMalformed(f"{field} must be whole seconds", field=field)
    return read.days * 86_400 + read.seconds


def _write_budget(budget: Budget) -> wallet_rules_pb2.Budget:
    message = wallet_rules_pb2.Budget(
        budget_id=budget.budget,
        amount_units=budget.amount_units,
        period=budget.period,
        zone=budget.zone,
        anchor_time=write_time(budget.anchor_time),
    )
    for name in ("api_key", "user", "feature"):
        if text := getattr(budget, name):
            setattr(message, name, text)
    return message


def _write_auto_top_up(top_up: AutoTopUp) -> wallet_rules_pb2.AutoTopUp:
    message = wallet_rules_pb2.AutoTopUp(
        threshold_units=top_up.threshold_units,
        price=write_money(top_up.price),
        price_units=top_up.price_units,
        per_day_max=top_up.per_day_max,
        per_month_max=top_up.per_month_max,
        back_off=Duration(seconds=top_up.back_off_seconds),
        back_off_max=Duration(seconds=top_up.back_off_max_seconds),
        valid_for=top_up.valid_for,
        zone=top_up.zone,
    )
    if top_up.amount_units:
        message.amount_units = top_up.amount_units
    else:
        message.target_units = top_up.target_units
    if top_up.finance is not None:
        message.finance.CopyFrom(write_stated_terms(top_up.finance))
    return message
