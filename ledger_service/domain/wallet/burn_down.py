"""Burn-down orders: total orders in which lots are used; nothing is left to the database.

The default: priority ascending, expiry ascending (none last), promotional before included before paid,
restricted scope before open, effective time, and the order in which the grants were recorded. The presets
order the same keys as other products do. An order's name and version stand on each debit; a changed order is
a new version, and old versions stay.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ledger_service.domain.events import FinanceTerms, Recurrence
from ledger_service.domain.values import GrantCategory, Money

DEFAULT_ORDER: Final = "default/1"
NEVER: Final = datetime.max.replace(tzinfo=UTC)

_CATEGORY_RANK: Final = {
    GrantCategory.PROMOTIONAL: 0,
    GrantCategory.INCLUDED: 1,
    GrantCategory.PAID: 2,
}


class Lot(msgspec.Struct, frozen=True, gc=False):
    """What is left of one grant; the grant is named by its event's version in the stream.

    `remaining_units` may be drawn, `held_units` are reserved. At the end of a period `rolled_units` moved on
    and `lapsed_units` expired: what a hold returns later is divided as if it had been there.
    `entitled_units` are what the lot adds to the entitlement: what it was issued with, less what was withdrawn.
    """

    grant_version: int
    remaining_units: int
    category: GrantCategory
    priority: int
    effective_time: datetime
    expire_time: datetime | None
    scope: tuple[str, ...] = ()
    held_units: int = 0
    granted_units: int = 0
    consideration: Money | None = None
    purchase_version: int = 0
    recurrence: Recurrence | None = None
    rolled_units: int = 0
    lapsed_units: int = 0
    series_version: int = 0
    entitled_units: int = 0
    finance: FinanceTerms | None = None


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


def _openmeter(lot: Lot) -> tuple[int, datetime, int]:
    return (lot.priority, lot.expire_time or NEVER, lot.grant_version)


def _metronome(lot: Lot) -> tuple[int, int, datetime, datetime, int]:
    rank = _CATEGORY_RANK[lot.category]
    return (lot.priority, rank, lot.expire_time or NEVER, lot.effective_time, lot.grant_version)


def _orb(lot: Lot) -> tuple[datetime, int, datetime, int]:
    return (lot.expire_time or NEVER, _CATEGORY_RANK[lot.category], lot.effective_time, lot.grant_version)


def _fifo(lot: Lot) -> tuple[datetime, int]:
    return (lot.effective_time, lot.grant_version)


ORDERS: Final[dict[str, Callable[[Lot], Any]]] = {
    DEFAULT_ORDER: default_order,
    "openmeter/1": _openmeter,
    "metronome/1": _metronome,
    "orb/1": _orb,
    "fifo/1": _fifo,
}


def insert_lot(lots: tuple[Lot, ...], lot: Lot, *, order: str = DEFAULT_ORDER) -> tuple[Lot, ...]:
    """Return the lots with one more, still in burn-down order."""
    ordered = list(lots)
    insort(ordered, lot, key=ORDERS[order])
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
