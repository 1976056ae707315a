"""What a projection is: a name, its tables, and a run that folds events and stores what they changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import msgspec
import psycopg

from ledger_service.projections import (
    deferred_revenue,
    deferred_revenue_store,
    wallet_view,
    wallet_view_store,
)
from ledger_service.projections.deferred_revenue_store import DeferredRevenueRun
from ledger_service.projections.tables import Table
from ledger_service.projections.wallet_events import WalletEvent
from ledger_service.projections.wallet_view_store import WalletViewRun


class Run(Protocol):
    """Consecutive events of the log, folded in memory until they are stored."""

    def fold(self, events: Iterable[WalletEvent]) -> None:
        """Add the next events."""

    def row_count(self) -> int:
        """Return about how many rows storing would write, which bounds the memory of the run."""

    def store(self, connection: psycopg.Connection[Any]) -> None:
        """Write what the events changed, in the caller's transaction. Raises psycopg.Error."""


class Projection(msgspec.Struct, frozen=True):
    """One projection. `begin` starts a run."""

    name: str
    tables: tuple[Table, ...]
    begin: Callable[[], Run]


WALLET_VIEW: Final = Projection(wallet_view.NAME, wallet_view_store.TABLES, WalletViewRun)
DEFERRED_REVENUE: Final = Projection(deferred_revenue.NAME, deferred_revenue_store.TABLES, DeferredRevenueRun)
PROJECTIONS: Final = (WALLET_VIEW, DEFERRED_REVENUE)
"""Every projection of the ledger."""
