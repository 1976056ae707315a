"""Rules of a wallet: what may be asked for, and updating them.

Each rule is checked when it is given, once; what enforces it stands beside what it limits.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from ledger_service.domain.calendar import add_period, check_period, check_zone
from ledger_service.domain.commands import UpdateWallet
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    AlertRules,
    AutoTopUp,
    Budget,
    FastRise,
    SpendCap,
    WalletRules,
    WalletUpdated,
)
from ledger_service.domain.events.wallets import POLICY_PATHS, changes_policy
from ledger_service.domain.exact import exact
from ledger_service.domain.names import (
    check_feature,
    check_money,
    check_price,
    check_range,
)
from ledger_service.domain.refusals import (
    AmountOutOfRange,
    BudgetsOverlap,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
    NumberOutOfRange,
    PolicyByContract,
    TimeMalformed,
)
from ledger_service.domain.values import UNITS_MAX
from ledger_service.domain.wallet.auto_top_up import price_of
from ledger_service.domain.wallet.settle import begin
from ledger_service.domain.wallet.state import Wallet, own_policy, policy_at
from ledger_service.domain.wallet.top_up_terms import check_ruled

GRACE_SECONDS_MAX: Final = 35 * 86_400
BUDGETS_MAX: Final = 1_000
THRESHOLDS_MAX: Final = 20
WINDOWS_MAX: Final = 100
PER_DAY_MAX: Final = 1_000
PER_MONTH_MAX: Final = 10_000
BACK_OFF_SECONDS_MAX: Final = 30 * 86_400
ENTITLEMENT_PERCENTS_DEFAULT: Final = (50, 80, 100)
PATHS: Final = (
    *POLICY_PATHS,
    "rules",
    "rules.late_usage_grace",
    "rules.spend_cap",
    "rules.budgets",
    "rules.alerts",
    "rules.auto_top_up",
)
RULE_OF: Final = {
    "rules.late_usage_grace": "late_usage_grace_seconds",
    "rules.spend_cap": "spend_cap",
    "rules.budgets": "budgets",
    "rules.alerts": "alerts",
    "rules.auto_top_up": "auto_top_up",
}
_BUDGET_ID: Final = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)


def update_wallet(wallet: Wallet, command: UpdateWallet, now: datetime) -> list[Draft]:
    """Return what fell due and the update. Raises PolicyByContract and what the checks of its fields raise."""
    _check_paths(command.paths)
    check_range(command.overage_limit_units, low=0, high=UNITS_MAX, field="wallet.overage_limit_units")
    tape = begin(command.wallet, wallet, now)
    own = own_policy(tape.wallet)
    contract = policy_at(tape.wallet, now).contract
    if contract and changes_policy(command.paths):
        raise PolicyByContract(f"{contract} decides the shortfall policy now", field="update_mask")
    rules = _updated_rules(tape.wallet.rules, command)
    check_rules(rules, field="wallet.rules")
    event = WalletUpdated(
        paths=command.paths,
        shortfall_mode=command.shortfall_mode if "shortfall_mode" in command.paths else own.shortfall_mode,
        overage_limit_units=command.overage_limit_units
        if "overage_limit_units" in command.paths
        else own.overage_limit_units,
        rules=rules,
    )
    tape.add(event, now, answers=True)
    return tape.drafts


def check_rules(rules: WalletRules, *, field: str) -> None:
    """Refuse rules that no wallet can have."""
    check_range(
        rules.late_usage_grace_seconds, low=0, high=GRACE_SECONDS_MAX, field=f"{field}.late_usage_grace"
    )
    if rules.spend_cap is not None:
        _check_spend_cap(rules.spend_cap, field=f"{field}.spend_cap")
    _check_budgets(rules.budgets, field=f"{field}.budgets")
    _check_alerts(rules.alerts, field=f"{field}.alerts")
    if rules.auto_top_up is not None:
        _check_auto_top_up(rules.auto_top_up, field=f"{field}.auto_top_up")


def _check_paths(paths: tuple[str, ...]) -> None:
    if not paths:
        raise FieldRequired("update_mask is required", field="update_mask")
    if list(paths) != sorted(set(paths)):
        raise FieldMalformed(
            "update_mask must name each field once, in alphabetical order", field="update_mask"
        )
    unknown = next((path for path in paths if path not in PATHS), None)
    if unknown is not None:
        raise FieldMalformed(
            f"update_mask {unknown[:80]!r} is none of {', '.join(PATHS)}", field="update_mask"
        )


def _updated_rules(rules: WalletRules, command: UpdateWallet) -> WalletRules:
    if "rules" in command.paths:
        return command.rules
    names = [RULE_OF[path] for path in command.paths if path in RULE_OF]
    return msgspec.structs.replace(rules, **{name: getattr(command.rules, name) for name in names})


def _check_spend_cap(cap: SpendCap, *, field: str) -> None:
    check_range(cap.amount_units, low=0, high=UNITS_MAX, field=f"{field}.amount_units")
    check_period(cap.period, field=f"{field}.period")
    check_zone(cap.zone, field=f"{field}.zone")
    _check_anchor(cap, field=field)


def _check_budgets(budgets: tuple[Budget, ...], *, field: str) -> None:
    if len(budgets) > BUDGETS_MAX:
        raise FieldTooLong(f"{field} exceeds {BUDGETS_MAX} budgets", field=field)
    names: set[str] = set()
    selectors: set[tuple[str, str, str]] = set()
    for index, budget in enumerate(budgets):
        at = f"{field}[{index}]"
        _check_budget(budget, field=at)
        selector = (budget.api_key, budget.user, budget.feature)
        if budget.budget in names:
            raise BudgetsOverlap(f"{at}: another budget is named {budget.budget}", field=f"{at}.budget_id")
        if selector in selectors:
            raise BudgetsOverlap(f"{at} caps what another budget caps", field=at)
        names.add(budget.budget)
        selectors.add(selector)


def _check_budget(budget: Budget, *, field: str) -> None:
    if _BUDGET_ID.fullmatch(budget.budget) is None:
        raise FieldMalformed(
            f"{field}.budget_id {budget.budget[:80]!r} must be 1 to 64 of a-z, 0-9, _ and -",
            field=f"{field}.budget_id",
        )
    check_range(budget.amount_units, low=0, high=UNITS_MAX, field=f"{field}.amount_units")
    chosen = [text for text in (budget.api_key, budget.user, budget.feature) if text]
    if len(chosen) != 1:
        raise FieldRequired(f"{field} must name one of api_key, user and feature", field=field)
    check_feature(chosen[0], field=field)
    if budget.period:
        check_period(budget.period, field=f"{field}.period")
    check_zone(budget.zone, field=f"{field}.zone")
    if budget.period:
        _check_anchor(budget, field=field)


def _check_anchor(cap: SpendCap | Budget, *, field: str) -> None:
    try:
        add_period(cap.anchor_time, cap.period, cap.zone, times=0)
    except TimeMalformed as error:
        raise TimeMalformed(
            f"{field}.anchor_time has no local time in {cap.zone}", field=f"{field}.anchor_time"
        ) from error


def _check_alerts(alerts: AlertRules, *, field: str) -> None:
    percents, balances = alerts.entitlement_percents, alerts.low_balance_units
    for name, values in (("entitlement_percents", percents), ("low_balance_units", balances)):
        if len(values) > THRESHOLDS_MAX:
            raise FieldTooLong(f"{field}.{name} exceeds {THRESHOLDS_MAX} thresholds", field=f"{field}.{name}")
    for percent in percents:
        check_range(percent, low=1, high=100, field=f"{field}.entitlement_percents")
    for units in balances:
        check_range(units, low=0, high=UNITS_MAX, field=f"{field}.low_balance_units")
    if list(percents) != sorted(set(percents)):
        raise FieldMalformed(
            f"{field}.entitlement_percents must ascend", field=f"{field}.entitlement_percents"
        )
    if list(balances) != sorted(set(balances), reverse=True):
        raise FieldMalformed(f"{field}.low_balance_units must descend", field=f"{field}.low_balance_units")
    if alerts.fast_rise is not None:
        _check_fast_rise(alerts.fast_rise, field=f"{field}.fast_rise")


def _check_fast_rise(rise: FastRise, *, field: str) -> None:
    check_period(rise.window, field=f"{field}.window")
    if rise.window[-1] not in "HD":
        raise FieldMalformed(f"{field}.window must be a period of hours or days", field=f"{field}.window")
    check_range(rise.windows, low=1, high=WINDOWS_MAX, field=f"{field}.windows")
    check_range(rise.minimum_units, low=1, high=UNITS_MAX, field=f"{field}.minimum_units")
    check_price(rise.factor, field=f"{field}.factor")
    if exact(rise.factor) <= Decimal(1):
        raise NumberOutOfRange(f"{field}.factor must lie above 1", field=f"{field}.factor")


def _check_auto_top_up(top_up: AutoTopUp, *, field: str) -> None:
    check_range(top_up.threshold_units, low=0, high=UNITS_MAX, field=f"{field}.threshold_units")
    if bool(top_up.amount_units) == bool(top_up.target_units):
        raise FieldRequired(f"{field} must have one of amount_units and target_units", field=field)
    if top_up.target_units:
        low = top_up.threshold_units + 1
        check_range(top_up.target_units, low=low, high=UNITS_MAX, field=f"{field}.target_units")
    check_range(top_up.amount_units, low=0, high=UNITS_MAX, field=f"{field}.amount_units")
    check_money(top_up.price, field=f"{field}.price")
    check_range(top_up.price_units, low=1, high=UNITS_MAX, field=f"{field}.price_units")
    if price_of(top_up, top_up.amount_units or top_up.target_units).nanos > UNITS_MAX:
        raise AmountOutOfRange(f"one top-up would cost more than {UNITS_MAX} nanos", field=f"{field}.price")
    check_range(top_up.per_day_max, low=1, high=PER_DAY_MAX, field=f"{field}.per_day_max")
    check_range(top_up.per_month_max, low=1, high=PER_MONTH_MAX, field=f"{field}.per_month_max")
    check_range(top_up.back_off_seconds, low=1, high=BACK_OFF_SECONDS_MAX, field=f"{field}.back_off")
    check_range(top_up.back_off_max_seconds, low=1, high=BACK_OFF_SECONDS_MAX, field=f"{field}.back_off_max")
    if top_up.back_off_max_seconds < top_up.back_off_seconds:
        raise FieldNotAllowed(f"{field}.back_off_max lies below back_off", field=f"{field}.back_off_max")
    if top_up.valid_for:
        check_period(top_up.valid_for, field=f"{field}.valid_for")
    check_zone(top_up.zone, field=f"{field}.zone")
    if top_up.finance is not None:
        check_ruled(top_up, top_up.finance, field=f"{field}.finance")
