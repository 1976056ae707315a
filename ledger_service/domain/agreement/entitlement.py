"""Entitlement: what a phase lets its customer do, beside what it costs. Here it is checked, once, when it is agreed."""

from __future__ import annotations

from typing import Final

from ledger_service.domain.calendar import check_period
from ledger_service.domain.events import PlanPhase
from ledger_service.domain.names import check_feature, check_range
from ledger_service.domain.refusals import FieldMalformed, FieldNotAllowed, FieldTooLong
from ledger_service.domain.values import UNITS_MAX

FEATURES_MAX: Final = 100
ALERTS_MAX: Final = 20


def check_entitlement(phase: PlanPhase, *, field: str) -> None:
    """Refuse an entitlement that no phase can have."""
    if len(phase.features) > FEATURES_MAX:
        raise FieldTooLong(f"{field}.features exceeds {FEATURES_MAX} features", field=f"{field}.features")
    for feature in phase.features:
        check_feature(feature, field=f"{field}.features")
    if len(set(phase.features)) < len(phase.features):
        raise FieldMalformed(f"{field}.features names a feature twice", field=f"{field}.features")
    for name in ("requests_per_minute", "tokens_per_minute", "spend_cap_units"):
        check_range(getattr(phase, name), low=0, high=UNITS_MAX, field=f"{field}.{name}")
    _check_alerts(phase.alert_percents, field=f"{field}.alert_percents")
    if phase.spend_cap_period:
        check_period(phase.spend_cap_period, field=f"{field}.spend_cap_period")
        if not phase.spend_cap_units:
            raise FieldNotAllowed(
                f"{field}.spend_cap_period is the period of no cap", field=f"{field}.spend_cap_period"
            )


def _check_alerts(percents: tuple[int, ...], *, field: str) -> None:
    if len(percents) > ALERTS_MAX:
        raise FieldTooLong(f"{field} exceeds {ALERTS_MAX} percentages", field=field)
    for percent in percents:
        check_range(percent, low=1, high=100, field=field)
    if list(percents) != sorted(set(percents)):
        raise FieldMalformed(f"{field} must ascend", field=field)
