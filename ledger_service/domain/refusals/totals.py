"""Refusals of charges whose price depends on running totals."""

from __future__ import annotations

from ledger_service.domain.events.price_models import RunningTotal
from ledger_service.domain.refusals.base import Refusal


class TotalsStale(Refusal):
    """A charge was priced on other running totals than the wallet's; `totals` are the true ones of its meters."""

    reason = "TOTALS_STALE"

    def __init__(self, description: str, *, field: str, totals: tuple[RunningTotal, ...]) -> None:
        """Refuse and tell what the wallet has counted."""
        super().__init__(description, field=field)
        self.totals = totals


class TotalsNotKept(Refusal):
    """The usage belongs to a cycle that ended so long ago that its running totals are no longer kept."""

    reason = "TOTALS_NOT_KEPT"


class TotalsFull(Refusal):
    """The wallet counts as many meters as it can."""

    reason = "TOTALS_FULL"
