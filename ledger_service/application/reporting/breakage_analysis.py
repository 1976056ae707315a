"""How credit of past sales was used: a redemption curve for each month's sales, and the breakage that follows from it.

The suggestion is a figure for whoever decides on the policy, and is applied by nobody: of all lots that have ended in
one way or another, the part of the units that nobody used, refunded units and those that moved on left out. It is
rounded down, for less breakage is the more careful estimate, and says of how many lots it was taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from ledger_service.application.exporting.journal_texts import decimal_text
from ledger_service.domain.finance.booked import BookedEntry, LotChange

RATE_DECIMALS: Final = 4


class Cohort(msgspec.Struct, frozen=True):
    """The lots of one product that became effective in one month, in units of one asset.

    `redeemed_units` holds what was used by the end of each month, from that of the sale on.
    """

    month: date
    entity: str
    product: str
    asset_code: str
    asset_scale: int
    lot_count: int
    ended_lot_count: int
    granted_units: int
    refunded_units: int
    expired_units: int
    redeemed_units: tuple[int, ...]


class Suggestion(msgspec.Struct, frozen=True):
    """Which part of the units of ended lots was never used: decimal text, rounded down. Empty: no lot has ended yet."""

    entity: str
    product: str
    asset_code: str
    rate: str
    lot_count: int
    used_units: int
    unused_units: int


class _Key(NamedTuple):
    month: date
    entity: str
    product: str
    asset_code: str
    asset_scale: int


class _Sums(msgspec.Struct):
    """Mutable: part of the accumulator."""

    lots: int = 0
    ended: int = 0
    granted: int = 0
    refunded: int = 0
    expired: int = 0
    ended_used: int = 0
    ended_unused: int = 0
    drawn: dict[int, int] = {}


class _Lot(msgspec.Struct):
    """What became of a lot before the day. Mutable: part of the accumulator."""

    key: _Key
    granted: int = 0
    drawn: int = 0
    expired: int = 0
    refunded: int = 0
    """Or moved on."""

    @property
    def has_ended(self) -> bool:
        """Return whether no unit of it can be used any more."""
        return self.drawn + self.expired + self.refunded >= self.granted


class BreakageAnalysis:
    """Counts up to a day. Takes the entries of one wallet after another."""

    def __init__(self, to_day: date) -> None:
        """Count what counts before a day."""
        self._to_day = to_day
        self._cohorts: dict[_Key, _Sums] = {}
        self._lots: dict[str, _Lot] = {}

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""
        day = booked.entry.effective_day
        if day >= self._to_day:
            return
        for change in booked.lots:
            _count(self._lots.setdefault(change.lot, _Lot(_key(change))), change)
            if change.drawn_units:
                sums = self._cohorts.setdefault(_key(change), _Sums())
                month = _months(change.after.effective_day, day)
                sums.drawn[month] = sums.drawn.get(month, 0) + change.drawn_units

    def end_wallet(self) -> None:
        """Put the wallet's lots to their cohorts, and forget them."""
        for lot in self._lots.values():
            sums = self._cohorts.setdefault(lot.key, _Sums())
            sums.lots += 1
            sums.granted += lot.granted
            sums.refunded += lot.refunded
            sums.expired += lot.expired
            if lot.has_ended:
                sums.ended += 1
                sums.ended_used += lot.drawn
                sums.ended_unused += lot.expired
        self._lots.clear()

    def cohorts(self) -> list[Cohort]:
        """Return the cohorts by month."""
        return [_cohort(key, sums) for key, sums in sorted(self._cohorts.items())]

    def suggestions(self) -> list[Suggestion]:
        """Return a suggestion for each product and asset."""
        by_product: dict[tuple[str, str, str], list[_Sums]] = {}
        for key, sums in sorted(self._cohorts.items()):
            by_product.setdefault((key.entity, key.product, key.asset_code), []).append(sums)
        return [_suggestion(*product, cohorts) for product, cohorts in by_product.items()]


def _count(lot: _Lot, change: LotChange) -> None:
    # By what each entry changed, and not by how the lot stood after one: that holds what was recorded before it and
    # counts after the day.
    for each, sign in ((change.before, -1), (change.after, 1)):
        if each is not None:
            lot.granted += sign * each.amount_units
            lot.drawn += sign * each.drawn_units
            lot.expired += sign * each.expired_units
            lot.refunded += sign * (each.refunded_units + each.rolled_units)


def _suggestion(entity: str, product: str, asset_code: str, cohorts: Iterable[_Sums]) -> Suggestion:
    lots = used = unused = 0
    for sums in cohorts:
        lots, used, unused = lots + sums.ended, used + sums.ended_used, unused + sums.ended_unused
    rate = ""
    if used + unused:
        whole = int(Fraction(unused, used + unused) * 10**RATE_DECIMALS)
        rate = decimal_text(whole, RATE_DECIMALS)
    return Suggestion(entity, product, asset_code, rate, lots, used, unused)


def _cohort(key: _Key, sums: _Sums) -> Cohort:
    curve: list[int] = []
    redeemed = 0
    for month in range(max(sums.drawn, default=-1) + 1):
        redeemed += sums.drawn.get(month, 0)
        curve.append(redeemed)
    return Cohort(*key, sums.lots, sums.ended, sums.granted, sums.refunded, sums.expired, tuple(curve))


def _key(change: LotChange) -> _Key:
    lot = change.after
    return _Key(
        lot.effective_day.replace(day=1), lot.entity, lot.product, change.asset.code, change.asset.scale
    )


def _months(begin: date, day: date) -> int:
    return (day.year - begin.year) * 12 + day.month - begin.month
