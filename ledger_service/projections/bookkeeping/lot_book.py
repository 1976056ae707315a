"""Paid lots of one wallet, folded event by event: what the journal does, in memory.

Implements `LotBook` of application/debit_trace.
"""

from __future__ import annotations

from ledger_service.application.auditing.debit_trace import LotRevenue
from ledger_service.application.ports import StoredEvent
from ledger_service.domain.finance.lots import moved
from ledger_service.projections.bookkeeping.books import Books, LotKey, flush
from ledger_service.projections.bookkeeping.journal import post
from ledger_service.projections.bookkeeping.pool_tallies import PoolTally, PoolTerms
from ledger_service.projections.events.wallet_events import read_wallet_events


class PaidLots:
    """The paid lots of a wallet after some of its events."""

    def __init__(self) -> None:
        """Begin before the first event."""
        self._books = Books(pools=_AnyPool())
        self._wallet = ""

    def fold(self, event: StoredEvent) -> None:
        """Add the next event."""
        self._wallet = event.stream
        for each in read_wallet_events([event]):
            post(self._books, each)

    def revenue(self, grant_version: int, *, more_units: int = 0) -> LotRevenue | None:
        """Return a paid lot as if so many more units were drawn; None for a lot without consideration."""
        held = self._books.lots.get(LotKey(self._wallet, grant_version))
        if held is None:
            return None
        lot = flush(self._books, held)
        drawn = moved(lot, drawn_units=more_units, expired_units=0) if more_units else lot
        return LotRevenue(
            lot.currency_code,
            lot.consideration_nanos,
            lot.amount_units,
            drawn.drawn_units,
            drawn.usage_nanos,
        )


class _AnyPool(dict[str, PoolTally]):
    """Pools of which nothing is known: usage of their lots does not depend on them."""

    def __missing__(self, name: str) -> PoolTally:
        pool = self[name] = PoolTally(PoolTerms("", "", "", "", "", ""))
        return pool
