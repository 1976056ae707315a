"""Revenue of a period by what earned it (ASC 606-10-50-5): account, product, model, entity and currency.

An event's revenue is that of the model which its usage names; breakage and what is earned over time name none.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import msgspec

from ledger_service.domain.finance.accounts import KINDS, Account, AccountKind
from ledger_service.domain.finance.booked import BookedEntry


class RevenueRow(msgspec.Struct, frozen=True):
    """Revenue in nanos. `product` is the feature that was used, or what was sold."""

    entity: str
    currency_code: str
    account: Account
    product: str
    model: str
    nanos: int


class _Key(NamedTuple):
    entity: str
    currency_code: str
    account: str
    product: str
    model: str


class RevenueSplit:
    """Sums over a period. Takes entries in any order."""

    def __init__(self, from_day: date, to_day: date) -> None:
        """Count what is posted in [from_day, to_day)."""
        self._from_day, self._to_day = from_day, to_day
        self._sums: dict[_Key, int] = {}

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""
        entry = booked.entry
        if not self._from_day <= entry.posting_day < self._to_day:
            return
        for line in entry.lines:
            if KINDS[line.account] is AccountKind.REVENUE:
                key = _Key(entry.entity, line.currency_code, line.account.value, line.product, booked.model)
                self._sums[key] = self._sums.get(key, 0) - line.nanos

    def end_wallet(self) -> None:
        """Do nothing: revenue is no wallet's."""

    def rows(self) -> list[RevenueRow]:
        """Return the sums in the order of their names."""
        return [
            RevenueRow(key.entity, key.currency_code, Account(key.account), key.product, key.model, nanos)
            for key, nanos in sorted(self._sums.items())
            if nanos
        ]
