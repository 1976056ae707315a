"""Entries of single events, derived anew: what a drill-down or an export shows, and no row is stored of.

A wallet's stream is folded by the very function that the projector uses, and looked at after each event; so the entries
of all wallets and contracts, and what the pools posted, add up to the rows of the journal. Which period was open is
asked by position. A contract is folded together with its wallet, whose overage its invoices bill.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

import msgspec

from ledger_service.application.ports import StoredEvent
from ledger_service.domain.finance.journal import JournalEntry, Posting, lines_of
from ledger_service.projections.book_events import BookEvent, PageEvents, read_page_events
from ledger_service.projections.books import FIRST_DAY, Books, ContractRow, flush
from ledger_service.projections.journal import post
from ledger_service.projections.journal_touched import touched_by
from ledger_service.projections.pool_tallies import PoolTally, PoolTerms
from ledger_service.projections.wallet_events import WalletEvent


class Locks(msgspec.Struct, frozen=True):
    """The positions from which on an entity's periods took nothing, in order, and where each ended."""

    positions: tuple[int, ...] = ()
    to_days: tuple[date, ...] = ()

    def open_day(self, position: int) -> date:
        """Return the first open day for an event at a position."""
        place = bisect_right(self.positions, position)
        return self.to_days[place - 1] if place else FIRST_DAY


class EntryBook:
    """The entries of one wallet and its contracts, event by event. Their pools post nothing here."""

    def __init__(
        self,
        *,
        locks: Mapping[str, Locks],
        pools: Mapping[str, PoolTerms],
        contracts: Mapping[str, ContractRow],
        scales: Mapping[str, int],
    ) -> None:
        """Begin before the first event of a stream."""
        self._locks = locks
        self._books = Books(
            pools={name: PoolTally(terms) for name, terms in pools.items()},
            contracts=dict(contracts),
            scales=dict(scales),
        )

    def entries(self, events: Sequence[StoredEvent]) -> Iterator[JournalEntry]:
        """Yield what the next events posted, an entry for each day on which one did."""
        topics = {event.position: event.topic for event in events}
        for event in read_page_events(list(events)).in_order():
            self._books.open_days = {
                entity: locks.open_day(event.position) for entity, locks in self._locks.items()
            }
            post(self._books, event)
            self._measure(event)
            posted = [Posting(key, nanos) for key, nanos in self._books.sums.items() if nanos]
            self._books.sums.clear()
            yield from _entries(event, topics[event.position], posted)

    def _measure(self, event: WalletEvent | BookEvent) -> None:
        """Measure the lots on which the event moved something: no other event waits."""
        if isinstance(event, WalletEvent):
            for key in touched_by(PageEvents([event])).lots:
                held = self._books.lots.get(key)
                if held is not None:
                    flush(self._books, held)


def _entries(
    event: WalletEvent | BookEvent, topic: str, postings: Iterable[Posting]
) -> Iterator[JournalEntry]:
    by_day: dict[tuple[date, date, str], list[Posting]] = {}
    for posting in postings:
        place = (posting.key.posting_day, posting.key.effective_day, posting.key.entity)
        by_day.setdefault(place, []).append(posting)
    for (posting_day, effective_day, entity), posted in sorted(by_day.items(), key=_by_place):
        yield JournalEntry(
            stream=event.wallet if isinstance(event, WalletEvent) else event.stream,
            version=event.version,
            position=event.position,
            topic=topic,
            effective_time=event.effective_time,
            record_time=event.record_time,
            posting_day=posting_day,
            effective_day=effective_day,
            entity=entity,
            lines=lines_of(posted),
        )


def _by_place(item: tuple[tuple[date, date, str], list[Posting]]) -> tuple[date, date, str]:
    return item[0]
