"""Burn-down order: the total order in which lots are used.

Priority ascending, expiry ascending (none last), promotional before included before paid, restricted scope
before open, effective time, and the order in which the grants were recorded. Nothing is left to the
database. The order's name and version are stored on each debit; a changed order is a new version.
"""

from __future__ import annotations

from bisect import insort
from datetime import UTC, datetime
from typing import Final

import msgspec

from ledger_service.domain.values import GrantCategory

DEFAULT_ORDER: Final = "default/1"
NEVER: Final = datetime.max.replace(tzinfo=UTC)

_CATEGORY_RANK: Final = {
    GrantCategory.PROMOTIONAL: 0,
    GrantCategory.INCLUDED: 1,
    GrantCategory.PAID: 2,
}


class Lot(msgspec.Struct, frozen=True):
    """What is left of one grant; the grant is named by its event's version in the stream."""

    grant_version: int
    remaining_units: int
    category: GrantCategory
    priority: int
    effective_time: datetime
    expire_time: datetime | None
    scope: tuple[str, ...] = ()


def default_order(lot: Lot) -> tuple[int, datetime, int, bool, datetime, int]:
    """Return the sort key of the default order."""
    return (
        lot.priority,
        lot.expire_time or NEVER,
        _CATEGORY_RANK[lot.category],
        not lot.scope,
        lot.effective_time,
        lot.grant_version,
    )


def insert_lot(lots: tuple[Lot, ...], lot: Lot) -> tuple[Lot, ...]:
    """Return the lots with one more, still in burn-down order."""
    ordered = list(lots)
    insort(ordered, lot, key=default_order)
    return tuple(ordered)


def is_drawable(lot: Lot, *, effective_time: datetime, feature: str) -> bool:
    """Say whether a debit of this effective time and feature may draw on a lot that is not expired now.

    The lot's span is half-open: [effective_time, expire_time). A debit without a feature draws on open lots only.
    """
    return (
        lot.effective_time <= effective_time
        and (lot.expire_time is None or effective_time < lot.expire_time)
        and (not lot.scope or feature in lot.scope)
    )
