"""Paid lots of one wallet, folded event by event: what the projection of deferred revenue does, in memory.

Implements `LotBook` of application/debit_trace.
"""

from __future__ import annotations

from ledger_service.application.debit_trace import LotRevenue
from ledger_service.application.ports import StoredEvent
from ledger_service.projections.deferred_revenue import Collected, post
from ledger_service.projections.paid_lot_movements import collect
from ledger_service.projections.recognition import Movement, PaidLot, post_movement
from ledger_service.projections.wallet_events import read_wallet_events


class PaidLots:
    """The paid lots of a wallet after some of its events."""

    def __init__(self) -> None:
        """Begin before the first event."""
        self._lots: dict[int, PaidLot] = {}

    def fold(self, event: StoredEvent) -> None:
        """Add the next event."""
        collected = Collected()
        collect(collected, read_wallet_events([event]))
        before = {
            key: self._lots[key.grant_version]
            for key in collected.movements
            if key.grant_version in self._lots
        }
        for key, lot in post(collected, before).lots.items():
            self._lots[key.grant_version] = lot

    def revenue(self, grant_version: int, *, more_units: int = 0) -> LotRevenue | None:
        """Return a paid lot as if so many more units were drawn; None for a lot without consideration."""
        lot = self._lots.get(grant_version)
        if lot is None:
            return None
        drawn = post_movement(lot, Movement(lot.effective_day, more_units)).lot if more_units else lot
        return LotRevenue(
            lot.currency_code,
            lot.consideration_nanos,
            lot.amount_units,
            drawn.drawn_units,
            drawn.recognised_usage_nanos,
        )
