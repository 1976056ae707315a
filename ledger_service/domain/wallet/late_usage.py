"""Late usage: what lots lost by expiring may still be drawn for usage of before their expiry.

The wallet keeps what expired as lots of their own for as long as the grace of its rule runs. A draw on one
takes that much of the expiry back. No clock is read to forget them: they are forgotten when a later expiry or
an update shows that their grace is over, so how often somebody looked changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from ledger_service.domain.events import CreditsDebited, CreditsExpired, Draw, WalletRules
from ledger_service.domain.wallet import lots as lots_of
from ledger_service.domain.wallet.burn_down import ORDERS, insert_lot, is_drawable
from ledger_service.domain.wallet.lots import Lots
from ledger_service.domain.wallet.state import Wallet


def with_late_drawable(wallet: Wallet, *, effective_time: datetime, feature: str, now: datetime) -> Lots:
    """Return the wallet's lots and the expired ones on which usage of that time may draw, in burn-down order.

    What a lot lost is drawable until `now` reaches its expiry plus the grace.
    """
    late = [
        lot
        for lot in _within(wallet.lapsed_lots, grace_of(wallet.rules), now)
        if is_drawable(lot, effective_time=effective_time, feature=feature)
    ]
    if not late:
        return wallet.lots
    return tuple(sorted((*wallet.lots, *late), key=ORDERS[wallet.burn_down_order]))


def late_grants(wallet: Wallet, draws: tuple[Draw, ...]) -> tuple[int, ...]:
    """Return the grants among draws that have expired; an expired lot has nothing left but what it lost."""
    if not wallet.lapsed_lots:
        return ()
    lapsed = {lot.grant_version for lot in wallet.lapsed_lots}
    return tuple(draw.grant_version for draw in draws if draw.grant_version in lapsed)


def drawn(wallet: Wallet, event: CreditsDebited) -> tuple[Lots, Lots, int]:
    """Return lots, lapsed lots and expired units after a debit that drew on expired lots.

    Where a replay leaves out the expiry, being of an earlier instant, the lot is alive and the draw is its own.
    """
    late = [
        draw for draw in event.draws if draw.grant_version in event.late_grants and _has_lapsed(wallet, draw)
    ]
    lots = lots_of.draw(wallet.lots, [draw for draw in event.draws if draw not in late])
    for draw in late:
        lot = lots_of.find(lots, draw.grant_version)
        # Held units keep the lot: what they return is divided as if the usage had been on time.
        if lot is not None:
            lots = lots_of.replace(lots, lot, lapsed_units=lot.lapsed_units - draw.amount_units)
    expired_units = wallet.expired_units - sum(draw.amount_units for draw in late)
    return lots, lots_of.draw(wallet.lapsed_lots, late), expired_units


def after_expiry(wallet: Wallet, event: CreditsExpired, instant: datetime) -> Lots:
    """Return the lapsed lots after one more expiry, without those whose grace is over by now."""
    grace = grace_of(wallet.rules)
    lot = lots_of.find(wallet.lots, event.grant_version)
    if not grace or lot is None:
        return wallet.lapsed_lots
    known = lots_of.find(wallet.lapsed_lots, event.grant_version)
    units = event.amount_units + (known.remaining_units if known is not None else 0)
    lost = msgspec.structs.replace(lot, remaining_units=units, held_units=0, rolled_units=0, lapsed_units=0)
    others = tuple(each for each in wallet.lapsed_lots if each is not known)
    lapsed = insert_lot(others, lost, order=wallet.burn_down_order)
    # A backdated grant may expire at an instant long gone: the latest expiry known is the surest sign of the time.
    known_time = max(instant, *(each.expire_time for each in lapsed if each.expire_time is not None))
    return _within(lapsed, grace, known_time)


def after_update(wallet: Wallet, rules: WalletRules, instant: datetime) -> Lots:
    """Return the lapsed lots under other rules: what is over under the old grace or the new is over for good."""
    if not wallet.lapsed_lots or not rules.late_usage_grace_seconds:
        return ()
    return _within(wallet.lapsed_lots, min(grace_of(wallet.rules), grace_of(rules)), instant)


def after_revocation(wallet: Wallet, grant_version: int) -> Lots:
    """Return the lapsed lots without a revoked grant's."""
    return tuple(lot for lot in wallet.lapsed_lots if lot.grant_version != grant_version)


def grace_of(rules: WalletRules) -> timedelta:
    """Return how long after an expiry late usage may still draw."""
    return timedelta(seconds=rules.late_usage_grace_seconds)


def _has_lapsed(wallet: Wallet, draw: Draw) -> bool:
    lot = lots_of.find(wallet.lapsed_lots, draw.grant_version)
    return lot is not None and lot.remaining_units >= draw.amount_units


def _within(lapsed: Lots, grace: timedelta, now: datetime) -> Lots:
    return tuple(lot for lot in lapsed if lot.expire_time is not None and now - lot.expire_time < grace)
