"""Contract liability taken apart: lots, what pools have earned beyond their lots, and what is sold over time.

A lot carries its consideration until it is used or ends. All other liability is that of a stream: a contract's invoices
in advance, what a sale bundles with credit, and credit on its way between wallets. The parts of a day add up to the
account of that day, by whatever clock the entries were chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.booked import AheadChange, BookedEntry
from ledger_service.domain.finance.journal import JournalEntry
from ledger_service.domain.finance.lots import PaidLot

_NOTHING: Final = (0, 0, 0)


class PartKind(Enum):
    """What carries the liability; the last three are promised beside it (see remaining_obligation)."""

    LOT = "LOT"
    OVER_TIME = "OVER_TIME"
    POOL = "POOL"
    COMMITMENT = "COMMITMENT"
    FEES = "FEES"
    USAGE = "USAGE"


class PartMove(NamedTuple):
    """What an entry did to one part: `nanos` more are owed, below zero less, of which so much became revenue.

    `name` is the lot, pool or stream; `document` tells apart what a stream carries beside lots.
    """

    name: str
    kind: PartKind
    entity: str
    currency_code: str
    nanos: int
    recognised_nanos: int
    lot: PaidLot | None
    document: str = ""


class LiabilityRow(msgspec.Struct, frozen=True):
    """Liability of one day, by when it ends and began. Lots that never expire have no `end_day`.

    Of what is sold over time the days to come say when it is earned: each has a row, and the rest has no day. `short`
    is what a contract of at most a year carries.
    """

    kind: PartKind
    entity: str
    currency_code: str
    begin_day: date | None
    end_day: date | None
    lot_count: int
    nanos: int
    short: bool = False


class _Key(NamedTuple):
    kind: PartKind
    entity: str
    currency_code: str
    begin_day: date | None
    end_day: date | None
    short: bool = False


class LiabilityParts:
    """Sums of the parts at the beginning of a day. Takes the entries of one wallet after another."""

    def __init__(self, to_day: date) -> None:
        """Count what is posted before a day; what is posted later tells when that is earned."""
        self._to_day = to_day
        self.short_streams: set[str] = set()
        """Streams of contracts of at most a year."""
        self._rows: dict[_Key, tuple[int, int]] = {}
        self._lots: dict[str, tuple[PaidLot, int]] = {}
        self._streams: dict[tuple[str, PartKind, str, str], int] = {}
        self._event: tuple[str, int] = ("", 0)
        """The last one that moved what no lot carries before the day."""

    def take(self, booked: BookedEntry) -> None:
        """Count an entry; those of one event follow each other by day."""
        day = booked.entry.posting_day
        extended = [change.lot for change in booked.lots if change.is_extended]
        for move in part_moves(booked):
            if move.lot is not None:
                if day < self._to_day:
                    lot, nanos = self._lots.get(move.name, (move.lot, 0))
                    # What is told late brings a state along in which a later extension may be.
                    lot = move.lot if move.name in extended else lot
                    self._lots[move.name] = (lot, nanos + move.nanos)
                continue
            key = (move.name, move.kind, move.entity, move.currency_code)
            if day < self._to_day:
                self._event = (booked.entry.stream, booked.entry.version)
                self._streams[key] = self._streams.get(key, 0) + move.nanos
            elif move.kind is PartKind.OVER_TIME and self._was_there(booked.entry):
                self._streams[key] = self._streams.get(key, 0) + move.nanos
                short = move.name in self.short_streams
                self._add(_Key(move.kind, move.entity, move.currency_code, None, day, short), 0, -move.nanos)

    def _was_there(self, entry: JournalEntry) -> bool:
        """Return whether an event had begun to move the liability before the day: of the rest nothing was owed yet."""
        return self._event == (entry.stream, entry.version)

    def end_wallet(self) -> None:
        """Put the wallet's lots to the others, and forget them."""
        for lot, nanos in self._lots.values():
            if nanos:
                expiry = None if lot.expire_time is None else utc(lot.expire_time)
                key = _Key(PartKind.LOT, lot.entity, lot.currency_code, lot.effective_day, expiry)
                self._add(key, 1, nanos)
        self._lots.clear()
        for (stream, kind, entity, currency), nanos in self._streams.items():
            self._add(_Key(kind, entity, currency, None, None, stream in self.short_streams), 0, nanos)
        self._streams.clear()

    def add_promise(self, row: LiabilityRow) -> None:
        """Put what is promised beside the liability to the parts."""
        key = _Key(row.kind, row.entity, row.currency_code, row.begin_day, row.end_day, row.short)
        self._add(key, row.lot_count, row.nanos)

    def rows(self) -> list[LiabilityRow]:
        """Return the sums, in the order of their entities, currencies and days."""
        return [
            LiabilityRow(*key[:5], lot_count, nanos, key.short)
            for key, (lot_count, nanos) in sorted(self._rows.items(), key=_by_days)
            if nanos
        ]

    def _add(self, key: _Key, lot_count: int, nanos: int) -> None:
        lots, before = self._rows.get(key, (0, 0))
        self._rows[key] = (lots + lot_count, before + nanos)


def part_moves(booked: BookedEntry) -> Iterator[PartMove]:
    """Yield what an entry did to the parts of the contract liability."""
    entry = booked.entry
    beside: dict[str, int] = {}
    for line in entry.lines:
        if line.account is Account.CONTRACT_LIABILITY:
            beside[line.currency_code] = beside.get(line.currency_code, 0) - line.nanos
    for change in booked.lots:
        before, after = change.before, change.after
        deferred, usage, breakage = (
            _NOTHING if before is None else (before.deferred_nanos, before.usage_nanos, before.breakage_nanos)
        )
        nanos = after.deferred_nanos - deferred
        recognised = after.usage_nanos + after.breakage_nanos - usage - breakage
        currency = after.currency_code
        beside[currency] = beside.get(currency, 0) - nanos
        yield PartMove(change.lot, PartKind.LOT, after.entity, currency, nanos, recognised, after)
    for each in booked.ahead:
        beside[each.currency_code] = beside.get(each.currency_code, 0) - each.nanos
        yield _ahead(entry, each)
    pool = entry.stream.startswith("breakagePools/")
    kind = PartKind.POOL if pool else PartKind.OVER_TIME
    for currency, nanos in beside.items():
        if nanos:
            # All that a pool posts is revenue. The rest came in, or is on its way between wallets or bills.
            yield PartMove(entry.stream, kind, entry.entity, currency, nanos, -nanos if pool else 0, None)


def _ahead(entry: JournalEntry, change: AheadChange) -> PartMove:
    kind, currency = PartKind.OVER_TIME, change.currency_code
    earned = change.recognised_nanos
    return PartMove(entry.stream, kind, entry.entity, currency, change.nanos, earned, None, change.part)


def utc(time: datetime) -> date:
    """Return the day of an instant, which is in UTC here."""
    return time.date()


def _by_days(item: tuple[_Key, tuple[int, int]]) -> tuple[str, str, str, date, date, bool]:
    key = item[0]
    end, begin = key.end_day or date.max, key.begin_day or date.min
    return key.entity, key.currency_code, key.kind.value, end, begin, key.short
