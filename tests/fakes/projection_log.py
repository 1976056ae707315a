"""Logs for projections: what the real decisions record for a list of simple steps, as stored events.

Beside it a store of a projection in memory, small enough to be seen to be right: it holds rows and a position
and applies runs as the tables do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from random import Random

import msgspec

from ledger_service.application.ports import StoredEvent
from ledger_service.domain.commands import AnyCommand, Debit, GrantCredits, OpenWallet, SettleWallet
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.journal import Movement, PostingKey
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.topics import TOPIC_OF, encode_fact
from ledger_service.domain.values import DEFAULT_ENTITY, GrantCategory, Money, ShortfallMode
from ledger_service.projections.bookkeeping.books import Books, LotKey, flush_all
from ledger_service.projections.bookkeeping.journal import post
from ledger_service.projections.bookkeeping.journal_store import post_pools
from ledger_service.projections.bookkeeping.pool_tallies import PoolTally
from ledger_service.projections.events.book_events import read_page_events
from ledger_service.projections.reports.roll_forward import DaySums, sums_of
from tests.builders import CREDIT, NOW, Book

WALLETS = ("wallets/a", "wallets/b", "wallets/c")
CATEGORIES = tuple(GrantCategory)


class Step(msgspec.Struct, frozen=True):
    """One thing that happens to a wallet, some hours after the step before it."""

    kind: str
    wallet: str = WALLETS[0]
    units: int = 1
    hours_later: int = 0
    effective_hours: int = 0
    lasts_hours: int | None = None
    category: GrantCategory = GrantCategory.PAID
    consideration_nanos: int = 0
    currency_code: str = "USD"


def play(steps: Iterable[Step]) -> Book:
    """Return a book in which each wallet was opened at its first step; refused steps leave nothing."""
    ledger = Book()
    now = NOW
    for step in steps:
        now += timedelta(hours=step.hours_later)
        if step.wallet not in ledger.states:
            ledger.run(OpenWallet(step.wallet, "customers/acme", CREDIT, ShortfallMode.SOFT), now)
        try:
            ledger.run(_command(step, now), now)
        except Refusal:
            continue
    return ledger


def stored(ledger: Book) -> list[StoredEvent]:
    """Return the book's log as stored, positions from 1."""
    return [
        StoredEvent(
            position,
            recorded.stream,
            recorded.version,
            TOPIC_OF[type(recorded.fact.event)],
            encode_fact(recorded.fact),
        )
        for position, recorded in enumerate(ledger.log, start=1)
    ]


def random_steps(seed: int, count: int) -> list[Step]:
    """Return steps of all kinds, the same for the same seed."""
    random = Random(seed)
    return [
        Step(
            kind=random.choice(("grant", "debit", "debit", "debit", "settle")),
            wallet=random.choice(WALLETS),
            units=random.randint(1, 1_000),
            hours_later=random.randint(0, 12),
            effective_hours=random.randint(-48, 0),
            lasts_hours=random.choice((None, 24, 96, 500)),
            category=random.choice(CATEGORIES),
            consideration_nanos=random.randint(0, 10**10),
            currency_code=random.choice(("USD", "JPY")),
        )
        for _ in range(count)
    ]


class MemoryJournal:
    """Lots, pools and postings of the journal, with a position that refuses what was applied already."""

    def __init__(self) -> None:
        self.position = 0
        self.lots: dict[LotKey, PaidLot] = {}
        self.sums: dict[PostingKey, int] = {}
        self._books = Books()

    def apply(self, pages: Sequence[Sequence[StoredEvent]]) -> None:
        """Apply consecutive pages as one run; do nothing unless they begin right after the position."""
        events = [event for page in pages for event in page]
        if not events or events[0].position != self.position + 1:
            return
        for event in read_page_events(events).in_order():
            post(self._books, event)
        flush_all(self._books)
        post_pools(self._books)
        for key, nanos in self._books.sums.items():
            self.sums[key] = self.sums.get(key, 0) + nanos
        self._books.sums.clear()
        self.sums = {key: nanos for key, nanos in self.sums.items() if nanos}
        self.lots = {
            key: held.lot
            for key, held in self._books.lots.items()
            if held is not None and key not in self._books.shares
        }
        self.position = events[-1].position

    @property
    def pools(self) -> dict[str, PoolTally]:
        """Return the pools as they stand."""
        return self._books.pools

    @property
    def open_day(self) -> date:
        """Return the first open day of who names no entity."""
        return self._books.open_day(DEFAULT_ENTITY)

    def sums_of(self, currency_code: str) -> dict[date, DaySums]:
        """Return the days of one currency."""
        rows: dict[date, list[tuple[Account, Movement, int]]] = {}
        for key, nanos in self.sums.items():
            if key.currency_code == currency_code:
                day = rows.setdefault(key.posting_day, [])
                day.append((key.flow.debit, key.flow.movement, nanos))
                day.append((key.flow.credit, key.flow.movement, -nanos))
        return {day: sums_of(posted) for day, posted in rows.items()}


def _command(step: Step, now: datetime) -> AnyCommand:
    effective_time = now + timedelta(hours=step.effective_hours)
    if step.kind == "settle":
        return SettleWallet(step.wallet)
    if step.kind == "debit":
        return Debit(step.wallet, step.units, effective_time)
    paid = step.category is GrantCategory.PAID
    lasts = step.lasts_hours
    return GrantCredits(
        wallet=step.wallet,
        amount_units=step.units,
        category=step.category,
        effective_time=effective_time,
        expire_time=None if lasts is None else effective_time + timedelta(hours=lasts),
        consideration=Money(step.currency_code, step.consideration_nanos) if paid else None,
        reference='an "order" \\ with {odd}, text',
    )
