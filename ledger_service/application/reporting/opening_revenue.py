"""Revenue of a period that was in the contract liability at its beginning (ASC 606-10-50-8(b)).

Of each part of the liability, that is what the part recognised in the period, at most what it carried at its beginning.
The lots of a breakage pool are one part, for they are estimated together. What is earned over time is a part by the
invoice or bundle that it was billed by, and so are the commitments of a contract.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import msgspec

from ledger_service.application.reporting.liability_parts import PartKind, PartMove, part_moves
from ledger_service.domain.finance.booked import BookedEntry


class OpeningRevenueRow(msgspec.Struct, frozen=True):
    """Of an entity and a currency, in nanos. `recognised_nanos` is all that the period recognised out of it."""

    entity: str
    currency_code: str
    opening_nanos: int
    from_opening_nanos: int
    recognised_nanos: int


class _Part(NamedTuple):
    name: str
    entity: str
    currency_code: str


class _Sums(msgspec.Struct):
    """Mutable: part of the accumulator."""

    opening_nanos: int = 0
    recognised_nanos: int = 0
    from_later_nanos: int = 0
    """Recognised by lots of a pool that began in the period."""


class OpeningRevenue:
    """Counts over a period. Takes the entries of one wallet after another."""

    def __init__(self, from_day: date, to_day: date) -> None:
        """Count what is posted in [from_day, to_day)."""
        self._from_day, self._to_day = from_day, to_day
        self._parts: dict[_Part, _Sums] = {}
        self._pools: dict[_Part, _Sums] = {}
        self._rows: dict[tuple[str, str], list[int]] = {}

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""
        day = booked.entry.posting_day
        if day >= self._to_day:
            return
        for move in part_moves(booked):
            sums = self._sums(move)
            if day < self._from_day:
                sums.opening_nanos += move.nanos
            else:
                sums.recognised_nanos += move.recognised_nanos
                if move.lot is not None and move.lot.pool and move.lot.effective_day >= self._from_day:
                    sums.from_later_nanos += move.recognised_nanos

    def end_wallet(self) -> None:
        """Put the wallet's parts to the others, and forget them."""
        for part, sums in self._parts.items():
            self._count(part, sums)
        self._parts.clear()

    def rows(self) -> list[OpeningRevenueRow]:
        """Return the figures. The count is over with it."""
        for part, sums in self._pools.items():
            self._count(part, sums)
        self._pools.clear()
        return [OpeningRevenueRow(*key, *figures) for key, figures in sorted(self._rows.items())]

    def _sums(self, move: PartMove) -> _Sums:
        pool = move.name if move.kind is PartKind.POOL else move.lot.pool if move.lot is not None else ""
        parts = self._pools if pool else self._parts
        return parts.setdefault(
            _Part(pool or move.document or move.name, move.entity, move.currency_code), _Sums()
        )

    def _count(self, part: _Part, sums: _Sums) -> None:
        if not sums.opening_nanos and not sums.recognised_nanos:
            return
        row = self._rows.setdefault((part.entity, part.currency_code), [0, 0, 0])
        old = max(sums.recognised_nanos - sums.from_later_nanos, 0)
        row[0] += sums.opening_nanos
        row[1] += min(old, max(sums.opening_nanos, 0))
        row[2] += sums.recognised_nanos
