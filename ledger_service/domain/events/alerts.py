"""What is recorded when a wallet crosses a threshold that its rules name."""

from __future__ import annotations

from ledger_service.domain.record import Record
from ledger_service.domain.values import AlertKind, CrossingDirection


class ThresholdCrossed(Record, frozen=True):
    """The event before this one brought the wallet across a threshold; figures are those after it.

    The threshold is a percentage used of the entitlement (ENTITLEMENT), available units (LOW_BALANCE), or the
    least units in one window that are a fast rise (FAST_RISE, with the units of the window so far).
    """

    kind: AlertKind
    threshold: int
    direction: CrossingDirection
    available_units: int
    entitlement_units: int
    window_units: int = 0
