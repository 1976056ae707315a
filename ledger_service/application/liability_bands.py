"""Contract liability in bands of time: by expiry, by age, and as remaining performance obligation.

Remaining performance obligation (ASC 606-10-50-13 to 50-15) is the price of what was sold and not delivered yet, by
when it is expected to be revenue: over time on its days, and credit at the latest when it expires. Two practical
expedients apply. Usage that is billed as it is used (55-18) is never in it: overage is no contract liability. Contracts
of at most a year (50-14(a)) may be left out; credit that expires within a year of its sale is one, and what is left out
is told beside the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Final

import msgspec

from ledger_service.application.liability_parts import LiabilityRow, PartKind

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


class Band(msgspec.Struct, frozen=True):
    """What of the liability lies in a band, in nanos. `order` is that of time."""

    entity: str
    currency_code: str
    order: int
    label: str
    lot_count: int
    nanos: int


def by_expiry(rows: Iterable[LiabilityRow], on: date) -> list[Band]:
    """Return the liability of a day by when it expires or is earned."""
    return _sum(rows, lambda row: _until(row, on, EXPIRY_MONTHS))


def by_age(rows: Iterable[LiabilityRow], on: date) -> list[Band]:
    """Return the liability of a day by how long ago it was sold."""
    return _sum(rows, lambda row: _age(row, on))


def obligations(rows: Iterable[LiabilityRow], on: date, *, leave_out_short: bool) -> list[Band]:
    """Return the remaining performance obligation of a day."""

    def place(row: LiabilityRow) -> tuple[int, str]:
        if leave_out_short and is_short(row):
            return len(OBLIGATION_MONTHS) + 9, SHORT
        return _until(row, on, OBLIGATION_MONTHS)

    return _sum(rows, place)


def is_short(row: LiabilityRow) -> bool:
    """Return whether a row is of credit that is sold for at most a year."""
    return (
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
