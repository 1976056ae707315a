"""Credit that customers have on a day, in units, beside the liability that the books carry for it.

Units count by effective time, liability by its posting day; the two differ in what is learned about closed periods.
What a bonus is worth is in the lot of its purchase, and its units are its own.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import msgspec

from ledger_service.application.reporting.report_ports import CreditOutstanding
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.domain.values import DEFAULT_ENTITY, Asset


class CreditLeft(msgspec.Struct, frozen=True):
    """What is left of a grant, in units; `purchase` names the grant whose price a bonus shares."""

    grant: str
    entity: str
    """Of its wallet; credit that was sold is of who sold it."""
    asset: Asset
    category: str
    units: int
    purchase: str = ""


class _Key(NamedTuple):
    entity: str
    asset_code: str
    asset_scale: int
    category: str
    currency_code: str


class CreditCount:
    """Counts for one day. Takes the entries, and then the credit, of one wallet after another."""

    def __init__(self, to_day: date, *, entity: str = "", currency_code: str = "") -> None:
        """Count what is there at the beginning of a day; empty texts mean all."""
        self._to_day = to_day
        self._entity = entity
        self._currency = currency_code
        self._lots: dict[str, tuple[PaidLot, int]] = {}
        self._rows: dict[_Key, tuple[int, int, int]] = {}

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""
        if booked.entry.posting_day >= self._to_day:
            return
        for change in booked.lots:
            before = 0 if change.before is None else change.before.deferred_nanos
            _, nanos = self._lots.get(change.lot, (change.after, 0))
            self._lots[change.lot] = (change.after, nanos + change.after.deferred_nanos - before)

    def add(self, left: CreditLeft) -> None:
        """Count what is left of a grant; the entries of its wallet have been taken."""
        lot, nanos = self._lots.get(left.purchase or left.grant, (None, 0))
        entity = left.entity or DEFAULT_ENTITY if lot is None else lot.entity
        currency = "" if lot is None else lot.currency_code
        if self._entity not in {"", entity} or self._currency not in {"", currency}:
            return
        key = _Key(entity, left.asset.code, left.asset.scale, left.category, currency)
        grants, units, before = self._rows.get(key, (0, 0, 0))
        worth = 0 if left.purchase else nanos
        self._rows[key] = (grants + 1, units + left.units, before + worth)

    def end_wallet(self) -> None:
        """Forget the wallet's lots."""
        self._lots.clear()

    def rows(self) -> list[CreditOutstanding]:
        """Return the figures."""
        return [CreditOutstanding(*key, *sums) for key, sums in sorted(self._rows.items())]
