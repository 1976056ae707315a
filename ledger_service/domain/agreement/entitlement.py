"""Entitlement: what a phase lets its customer do, beside what it costs. Here it is checked, once, when it is agreed."""

from __future__ import annotations

from typing import Final

from ledger_service.domain.calendar import check_period
from ledger_service.domain.events import Cycle, PlanPhase, SpendCap
from ledger_service.domain.names import check_feature, check_range, check_text
from ledger_service.domain.refusals import FieldMalformed, FieldNotAllowed, FieldTooLong
from ledger_service.domain.values import UNITS_MAX

FEATURES_MAX: Final = 100
ALERTS_MAX: Final = 20
SLOW_DOWN_DELAY_MS_MAX: Final = 60_000

_LIMITS: Final = (
    "requests_per_minute",
    "tokens_per_minute",
    "key_requests_per_minute",
    "key_tokens_per_minute",
    "spend_cap_units",
)


def check_entitlement(phase: PlanPhase, *, field: str) -> None:
    """Refuse an entitlement that no phase can have."""
    if len(phase.features) > FEATURES_MAX:
        raise FieldTooLong(f"{field}.features exceeds {FEATURES_MAX} features", field=f"{field}.features")
    for feature in phase.features:
        check_feature(feature, field=f"{field}.features")
    if len(set(phase.features)) < len(phase.features):
        raise FieldMalformed(f"{field}.features names a feature twice", field=f"{field}.features")
    for name in _LIMITS:
        check_range(getattr(phase, name), low=0, high=UNITS_MAX, field=f"{field}.{name}")
    _check_alerts(phase.alert_percents, field=f"{field}.alert_percents")
    _check_slow_down(phase, field=field)
    check_text(phase.upgrade_hint, field=f"{field}.upgrade_hint")
    if phase.spend_cap_period:
        check_period(phase.spend_cap_period, field=f"{field}.spend_cap_period")
        if not phase.spend_cap_units:
            raise FieldNotAllowed(
                f"{field}.spend_cap_period is the period of no cap", field=f"{field}.spend_cap_period"
            )


def spend_cap_of(phase: PlanPhase, cycle: Cycle) -> SpendCap | None:
    """Return the cap that a phase brings to the wallet, None without one; its periods are those of the cycle."""
    if not phase.spend_cap_units:
        return None
    period = phase.spend_cap_period or f"P{cycle.count}{cycle.interval.value[0]}"
    return SpendCap(phase.spend_cap_units, period, cycle.anchor_time, cycle.zone)


def _check_slow_down(phase: PlanPhase, *, field: str) -> None:
    check_range(phase.slow_down_from_percent, low=0, high=99, field=f"{field}.slow_down_from_percent")
    check_range(
        phase.slow_down_max_delay_ms,
        low=1 if phase.slow_down_from_percent else 0,
        high=SLOW_DOWN_DELAY_MS_MAX if phase.slow_down_from_percent else 0,
        field=f"{field}.slow_down_max_delay_ms",
    )


def _check_alerts(percents: tuple[int, ...], *, field: str) -> None:
    if len(percents) > ALERTS_MAX:
        raise FieldTooLong(f"{field} exceeds {ALERTS_MAX} percentages", field=field)
    for percent in percents:
        check_range(percent, low=1, high=100, field=field)
    if list(percents) != sorted(set(percents)):
        raise FieldMalformed(f"{field} must ascend", field=field)
