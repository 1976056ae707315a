"""What a projection is: a name, its tables, and a run that folds events and stores what they changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
import psycopg

from ledger_service.projections.bookkeeping import books, journal_store
from ledger_service.projections.bookkeeping.journal_store import JournalRun
from ledger_service.projections.events.book_events import PageEvents
from ledger_service.projections.tables import Table
from ledger_service.projections.wallets import wallet_view, wallet_view_store
from ledger_service.projections.wallets.wallet_view_store import WalletViewRun


class Run(Protocol):
    """Consecutive events of the log, folded in memory until they are stored."""

    def fold(self, events: PageEvents) -> None:
        """Add the next events. Raises psycopg.Error if it has to know what is stored."""

    def row_count(self) -> int:
        """Return about how many rows storing would write, which bounds the memory of the run."""

    def store(self, connection: psycopg.Connection[Any]) -> None:
        """Write what the events changed, in the caller's transaction. Raises psycopg.Error."""


class Projection(msgspec.Struct, frozen=True):
    """One projection. `begin` starts a run, which may read the tables as they are before it."""

    name: str
    tables: tuple[Table, ...]
    begin: Callable[[psycopg.Connection[Any]], Run]


WALLET_VIEW: Final = Projection(wallet_view.NAME, wallet_view_store.TABLES, lambda _: WalletViewRun())
JOURNAL: Final = Projection(books.NAME, journal_store.TABLES, JournalRun)
PROJECTIONS: Final = (WALLET_VIEW, JOURNAL)
"""Every projection of the ledger."""
