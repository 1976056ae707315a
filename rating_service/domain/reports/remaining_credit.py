"""What a customer can still spend, told apart by where it came from and by when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rating_service.domain.agreements.agreement import Asset, Record
from rating_service.domain.authorizing.authorization import CapStanding
from rating_service.domain.debits import GrantCategory


class LotLeft(Record, frozen=True):
    """What one lot holds; `grant_version` is the version of its grant in the wallet's stream."""

    grant_version: int
    category: GrantCategory
    posted_units: int
    held_units: int
    effective_time: datetime
    expire_time: datetime | None = None


class WalletBalance(Record, frozen=True):
    """A wallet at one instant, as the ledger tells it; lots that become effective later are pending."""

    wallet: str
    asset: Asset
    as_of_time: datetime
    posted_units: int
    held_units: int
    available_units: int
    pending_units: int
    overage_units: int
    debt_units: int
    lots: tuple[LotLeft, ...] = ()
    caps: tuple[CapStanding, ...] = ()


class IncludedGrant(Record, frozen=True):
    """A grant that a cycle includes."""

    grant_version: int
    amount_units: int


class CreditPart(Record, frozen=True):
    """Available credit of one category and one expiry; no `expire_time` means that it never ends."""

    category: GrantCategory
    available_units: int
    expire_time: datetime | None = None


class IncludedCredit(Record, frozen=True):
    """What a cycle includes: granted = used + left; what was revoked or expired counts as used."""

    granted_units: int
    used_units: int
    left_units: int


def credit_parts(balance: WalletBalance) -> list[CreditPart]:
    """Return what may be spent now by expiry, soonest first and never last, then by category.

    The parts add up to `available_units`.
    """
    sums: dict[tuple[datetime | None, GrantCategory], int] = {}
    for lot in balance.lots:
        if lot.effective_time <= balance.as_of_time:
            key = (lot.expire_time, lot.category)
            sums[key] = sums.get(key, 0) + lot.posted_units - lot.held_units
    order = list(GrantCategory)
    keys = sorted(sums, key=lambda key: (key[0] is None, key[0] or balance.as_of_time, order.index(key[1])))
    return [CreditPart(key[1], sums[key], key[0]) for key in keys]


def included_credit(grants: Iterable[IncludedGrant], lots: Sequence[LotLeft]) -> IncludedCredit:
    """Return what is left of the grants of a cycle, held units included."""
    posted = {lot.grant_version: lot.posted_units for lot in lots}
    granted_units = left_units = 0
    for grant in grants:
        granted_units += grant.amount_units
        left_units += posted.get(grant.grant_version, 0)
    return IncludedCredit(granted_units, granted_units - left_units, left_units)
