"""Alerts, written for the wire."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import wallet_alerts_pb2
from ledger_service.application.reading.alerts import Alert
from ledger_service.domain.values import AlertKind, CrossingDirection
from ledger_service.rpc.values import write_time

KIND_WIRE: Final = {
    AlertKind.ENTITLEMENT: wallet_alerts_pb2.ALERT_KIND_ENTITLEMENT,
    AlertKind.LOW_BALANCE: wallet_alerts_pb2.ALERT_KIND_LOW_BALANCE,
    AlertKind.FAST_RISE: wallet_alerts_pb2.ALERT_KIND_FAST_RISE,
}
DIRECTION_WIRE: Final = {
    CrossingDirection.RISING: wallet_alerts_pb2.CROSSING_DIRECTION_RISING,
    CrossingDirection.FALLING: wallet_alerts_pb2.CROSSING_DIRECTION_FALLING,
}


def write_alert(alert: Alert) -> wallet_alerts_pb2.Alert:
    """Return an alert."""
    crossed = alert.crossed
    return wallet_alerts_pb2.Alert(
        version=alert.version,
        kind=KIND_WIRE[crossed.kind],
        threshold=crossed.threshold,
        direction=DIRECTION_WIRE[crossed.direction],
        available_units=crossed.available_units,
        entitlement_units=crossed.entitlement_units,
        window_units=crossed.window_units,
        effective_time=write_time(alert.effective_time),
    )
