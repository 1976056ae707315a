"""The journal of a period summed up by what it was for: account, entity, currency, product, feature and model.

The product is what was sold, the feature what it was used for, and the model the one that the usage names; a reversal
names those of its debit. A line of usage says what it was used for, and the lots of its entry what was sold, so what
each lot recognised is told under its own product, and what the lots do not explain under the line's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

import msgspec

from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.booked import BookedEntry


class SummaryRow(msgspec.Struct, frozen=True):
    """Debits and credits of one kind, in nanos, both not below zero, and of how many entries they are."""

    entity: str
    currency_code: str
    account: Account
    product: str
    feature: str
    model: str
    debit_nanos: int
    credit_nanos: int
    entry_count: int


class _Key(NamedTuple):
    entity: str
    currency_code: str
    account: str
    product: str
    feature: str
    model: str


class _Line(NamedTuple):
    account: Account
    currency_code: str
    product: str
    feature: str


class JournalSummary:
    """Sums over a period. Takes entries in any order."""

    def __init__(self, from_day: date, to_day: date) -> None:
        """Count what is posted in [from_day, to_day)."""
        self._from_day, self._to_day = from_day, to_day
        self._sums: dict[_Key, list[int]] = {}

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""
        entry = booked.entry
        if not self._from_day <= entry.posting_day < self._to_day:
            return
        for line, nanos in split_lines(booked).items():
            if nanos:
                key = _Key(
                    entry.entity,
                    line.currency_code,
                    line.account.value,
                    line.product,
                    line.feature,
                    booked.model,
                )
                sums = self._sums.setdefault(key, [0, 0, 0])
                sums[nanos < 0] += abs(nanos)
                sums[2] += 1

    def end_wallet(self) -> None:
        """Do nothing: a sum is no wallet's."""

    def rows(self) -> list[SummaryRow]:
        """Return the sums in the order of their names."""
        return [
            SummaryRow(key.entity, key.currency_code, Account(key.account), *key[3:], *sums)
            for key, sums in sorted(self._sums.items())
        ]


def split_lines(booked: BookedEntry) -> dict[_Line, int]:
    """Return the lines of an entry by product and feature; of each account and currency they add up to its lines."""
    feature = booked.feature
    found: dict[_Line, int] = {}
    for line in booked.entry.lines:
        is_use = bool(feature) and line.product == feature
        key = _Line(
            line.account, line.currency_code, "" if is_use else line.product, feature if is_use else ""
        )
        found[key] = found.get(key, 0) + line.nanos
    if feature:
        for key, nanos in _recognised(booked, feature):
            found[key] = found.get(key, 0) + nanos
            rest = key._replace(product="")
            found[rest] = found.get(rest, 0) - nanos
    return found


def _recognised(booked: BookedEntry, feature: str) -> Iterator[tuple[_Line, int]]:
    """Yield what usage recognised of each lot, under the lot's own product."""
    for change in booked.lots:
        before, after = change.before, change.after
        usage = after.usage_nanos - (before.usage_nanos if before is not None else 0)
        breakage = after.breakage_nanos - (before.breakage_nanos if before is not None else 0)
        moves = (
            (Account.CONTRACT_LIABILITY, usage + breakage),
            (Account.REVENUE_USAGE, -usage),
            (Account.REVENUE_BREAKAGE, -breakage),
        )
        for account, nanos in moves:
            if nanos:
                yield _Line(account, after.currency_code, after.product, feature), nanos
