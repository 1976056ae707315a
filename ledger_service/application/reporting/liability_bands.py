"""Contract liability in bands of time: by expiry, by age, and as remaining performance obligation.

Remaining performance obligation (ASC 606-10-50-13 to 50-15) is the price of what was sold or promised and not delivered
yet, by when it is expected to be revenue: over time on its days, and all else at the latest when it ends. Its parts are
told apart; those of the liability add up to the account. Two practical expedients apply, and what each leaves out is
told beside the rest: contracts of at most a year (50-14(a)), to which credit belongs that expires within a year of its
sale, and usage that is billed as it is used (50-14(b), 55-18), which is estimated, and left out unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from enum import Enum
from typing import Final

import msgspec

from ledger_service.application.reporting.liability_parts import LiabilityRow, PartKind

AGES_DAYS: Final = (30, 60, 90, 180, 365)
"""Upper ends of the bands by age, in days; the last band is open."""
EXPIRY_MONTHS: Final = (1, 2, 3, 6, 12, 24, 36)
OBLIGATION_MONTHS: Final = (12, 24, 36)
YEAR_DAYS: Final = 366
"""A year in days, leap years too."""
NEVER: Final = "no expiry"
UNDATED: Final = "no date"
POOLS: Final = "pools"
SHORT: Final = "contracts of at most a year (50-14(a))"
AS_USED: Final = "usage billed as it is used (50-14(b))"
LEFT_OUT: Final = frozenset({SHORT, AS_USED})
"""Bands of what an expedient leaves out."""


class ObligationPart(Enum):
    """What a remaining obligation is made of: the first two are contract liability, the others are not billed yet."""

    CREDIT = "CREDIT"
    BILLED_AHEAD = "BILLED_AHEAD"
    COMMITMENTS = "COMMITMENTS"
    FEES = "FEES"
    USAGE = "USAGE"


PARTS: Final = {
    PartKind.LOT: ObligationPart.CREDIT,
    PartKind.POOL: ObligationPart.CREDIT,
    PartKind.OVER_TIME: ObligationPart.BILLED_AHEAD,
    PartKind.COMMITMENT: ObligationPart.COMMITMENTS,
    PartKind.FEES: ObligationPart.FEES,
    PartKind.USAGE: ObligationPart.USAGE,
}


class Band(msgspec.Struct, frozen=True):
    """What of the liability lies in a band, in nanos. `order` is that of time."""

    entity: str
    currency_code: str
    order: int
    label: str
    lot_count: int
    nanos: int
    part: ObligationPart | None = None
    """Of a remaining obligation."""

    @property
    def is_left_out(self) -> bool:
        """Return whether an expedient leaves it out of the obligation."""
        return self.label in LEFT_OUT


class ObligationTotal(msgspec.Struct, frozen=True):
    """The remaining obligation of an entity in a currency, in nanos.

    contract_liability + unbilled - left out = obligation; the liability is that of the account.
    """

    entity: str
    currency_code: str
    liability_nanos: int = 0
    unbilled_nanos: int = 0
    left_out_short_nanos: int = 0
    left_out_usage_nanos: int = 0

    @property
    def obligation_nanos(self) -> int:
        """Return what remains."""
        left_out = self.left_out_short_nanos + self.left_out_usage_nanos
        return self.liability_nanos + self.unbilled_nanos - left_out


def by_expiry(rows: Iterable[LiabilityRow], on: date) -> list[Band]:
    """Return the liability of a day by when it expires or is earned."""
    return _sum(rows, lambda row: _until(row, on, EXPIRY_MONTHS))


def by_age(rows: Iterable[LiabilityRow], on: date) -> list[Band]:
    """Return the liability of a day by how long ago it was sold."""
    return _sum(rows, lambda row: _age(row, on))


def obligations(
    rows: Iterable[LiabilityRow], on: date, *, leave_out_short: bool, count_usage: bool = False
) -> list[Band]:
    """Return the remaining performance obligation of a day, each part by itself.

    With `leave_out_short` contracts of at most a year are left out (50-14(a)). Unless `count_usage` is asked for, usage
    that is billed as it is used is (50-14(b)).
    """

    def place(row: LiabilityRow) -> tuple[int, str]:
        if row.kind is PartKind.USAGE and not count_usage:
            return len(OBLIGATION_MONTHS) + 10, AS_USED
        if leave_out_short and is_short(row):
            return len(OBLIGATION_MONTHS) + 9, SHORT
        return _until(row, on, OBLIGATION_MONTHS)

    by_part: dict[ObligationPart, list[LiabilityRow]] = {part: [] for part in ObligationPart}
    for row in rows:
        by_part[PARTS[row.kind]].append(row)
    return [
        msgspec.structs.replace(band, part=part)
        for part, of_part in by_part.items()
        for band in _sum(of_part, place)
    ]


def obligation_totals(bands: Iterable[Band]) -> list[ObligationTotal]:
    """Return what bands add up to, by entity and currency."""
    totals: dict[tuple[str, str], ObligationTotal] = {}
    for band in bands:
        key = band.entity, band.currency_code
        owed = band.part in {ObligationPart.CREDIT, ObligationPart.BILLED_AHEAD}
        total = totals.get(key, ObligationTotal(*key))
        totals[key] = ObligationTotal(
            *key,
            total.liability_nanos + (band.nanos if owed else 0),
            total.unbilled_nanos + (0 if owed else band.nanos),
            total.left_out_short_nanos + (band.nanos if band.label == SHORT else 0),
            total.left_out_usage_nanos + (band.nanos if band.label == AS_USED else 0),
        )
    return [total for _, total in sorted(totals.items())]


def is_short(row: LiabilityRow) -> bool:
    """Return whether a row is of credit that is sold for at most a year, or of a contract of at most a year."""
    return row.short or (
        row.kind is PartKind.LOT
        and row.begin_day is not None
        and row.end_day is not None
        and (row.end_day - row.begin_day).days <= YEAR_DAYS
    )


def add_months(day: date, months: int) -> date:
    """Return the same day of a later month, or its last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first_of_next = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (first_of_next - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))


def _until(row: LiabilityRow, on: date, months: Sequence[int]) -> tuple[int, str]:
    if row.end_day is None:
        return _undated(row, len(months))
    begin = 0
    for order, end in enumerate(months):
        if row.end_day < add_months(on, end):
            return order, f"{begin} to {end} months"
        begin = end
    return len(months), f"over {begin} months"


def _age(row: LiabilityRow, on: date) -> tuple[int, str]:
    if row.begin_day is None:
        return _undated(row, len(AGES_DAYS))
    age = (on - row.begin_day).days
    begin = 0
    for order, end in enumerate(AGES_DAYS):
        if age <= end:
            return order, f"{begin} to {end} days"
        begin = end + 1
    return len(AGES_DAYS), f"over {begin - 1} days"


def _undated(row: LiabilityRow, order: int) -> tuple[int, str]:
    if row.kind is PartKind.POOL:
        return order + 3, POOLS
    if row.kind is PartKind.LOT:
        return order + 1, NEVER
    return order + 2, UNDATED if row.end_day is None else "over time"


def _sum(rows: Iterable[LiabilityRow], place: Callable[[LiabilityRow], tuple[int, str]]) -> list[Band]:
    sums: dict[tuple[str, str, int, str], tuple[int, int]] = {}
    for row in rows:
        order, label = place(row)
        key = (row.entity, row.currency_code, order, label)
        lots, nanos = sums.get(key, (0, 0))
        sums[key] = (lots + row.lot_count, nanos + row.nanos)
    return [Band(*key, lots, nanos) for key, (lots, nanos) in sorted(sums.items())]
