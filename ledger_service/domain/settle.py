"""Settling: recording what time alone has done to a wallet, before the wallet decides anything.

Each expiry that fell due is recorded with the exact instant as its effective time, in time order, so the
answer at any instant is the same whether or when a sweeper ran.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.burn_down import Lot
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import CreditsExpired
from ledger_service.domain.wallet import Wallet


def settle(name: str, wallet: Wallet, now: datetime) -> list[Draft]:
    """Return the expiries that fell due by `now`, oldest first; equal instants in burn-down order."""
    if wallet.next_expire_time is None or now < wallet.next_expire_time:
        return []
    due = sorted(
        (lot for lot in wallet.lots if lot.expire_time is not None and lot.expire_time <= now),
        key=lambda lot: lot.expire_time or now,
    )
    return [_expiry(name, lot) for lot in due]


def settled(wallet: Wallet, now: datetime) -> Wallet:
    """Return the wallet as settling at `now` leaves it, without recording anything."""
    if wallet.next_expire_time is None or now < wallet.next_expire_time:
        return wallet
    due = [lot for lot in wallet.lots if lot.expire_time is not None and lot.expire_time <= now]
    left = tuple(lot for lot in wallet.lots if lot.expire_time is None or lot.expire_time > now)
    return msgspec.structs.replace(
        wallet,
        lots=left,
        next_expire_time=min((lot.expire_time for lot in left if lot.expire_time is not None), default=None),
        expired_units=wallet.expired_units + sum(lot.remaining_units for lot in due),
    )


def _expiry(name: str, lot: Lot) -> Draft:
    assert lot.expire_time is not None
    return Draft(name, CreditsExpired(lot.grant_version, lot.remaining_units), lot.expire_time)
