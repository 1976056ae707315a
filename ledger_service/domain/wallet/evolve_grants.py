"""Evolve: what becomes of lots when credit is granted, withdrawn, extended, or ended by time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ledger_service.domain.events import (
    CreditsExpired,
    CreditsGranted,
    CreditsRolledOver,
    Draw,
    GrantActivated,
    GrantRefunded,
    GrantRevoked,
)
from ledger_service.domain.wallet import late_usage
from ledger_service.domain.wallet import lots as lots_of
from ledger_service.domain.wallet import payments as payments_of
from ledger_service.domain.wallet.burn_down import insert_lot
from ledger_service.domain.wallet.recurrence import series_of
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.usage import with_grant


def granted(
    wallet: Wallet, event: CreditsGranted, effective_time: datetime, version: int, record_time: datetime
) -> dict[str, Any]:
    """Return what a new grant changes."""
    if event.pending:
        return payments_of.waiting(wallet.payments, event, effective_time, version)
    lot = lots_of.from_grant(version, event, effective_time)
    if not event.series_version and event.expire_time is not None and event.expire_time <= record_time:
        # It had expired when it was made: nobody was entitled to it, and its expiry takes nothing away.
        lot = msgspec.structs.replace(lot, entitled_units=0)
    return {
        "lots": insert_lot(wallet.lots, lot, order=wallet.burn_down_order),
        "granted_units": wallet.granted_units + event.amount_units,
        "series": series_of(wallet.series, event, version),
        "usage": with_grant(wallet.usage, effective_time),
    }


def activated(wallet: Wallet, event: GrantActivated, effective_time: datetime) -> dict[str, Any]:
    """Return what an activation changes: from now on the grant is one like any other."""
    lot = lots_of.from_terms(event.grant_version, event.lot.granted_units, event.lot)
    return {
        "lots": insert_lot(wallet.lots, lot, order=wallet.burn_down_order),
        "granted_units": wallet.granted_units + event.lot.granted_units,
        "payments": payments_of.without_pending(wallet.payments, event.grant_version),
        "usage": with_grant(wallet.usage, effective_time),
    }


def expired(wallet: Wallet, event: CreditsExpired, instant: datetime) -> dict[str, Any]:
    """Return what an expiry changes."""
    if event.pending:
        return {"payments": payments_of.without_pending(wallet.payments, event.grant_version)}
    lots = lots_of.draw(wallet.lots, (Draw(event.grant_version, event.amount_units),))
    lot = lots_of.find(lots, event.grant_version)
    if lot is not None:
        # What was used of the lot leaves the entitlement with its end; what is left rolls over, or is held.
        lots = lots_of.replace(
            lots,
            lot,
            lapsed_units=lot.lapsed_units + event.amount_units,
            entitled_units=min(lot.entitled_units, lot.remaining_units),
        )
    return {
        "lots": lots,
        "expired_units": wallet.expired_units + event.amount_units,
        "lapsed_lots": late_usage.after_expiry(wallet, event, instant),
    }


def revoked(wallet: Wallet, event: GrantRevoked) -> dict[str, Any]:
    """Return what a revocation or clawback changes."""
    if event.pending:
        return {"payments": payments_of.without_pending(wallet.payments, event.grant_version)}
    lots = lots_of.withdraw(wallet.lots, event.grant_version, event.amount_units)
    revoked_units = wallet.revoked_units + event.amount_units
    if event.clawback:
        clawed_back = added(wallet.clawed_back_units, event.grant_version, event.amount_units)
        return {"lots": lots, "revoked_units": revoked_units, "clawed_back_units": clawed_back}
    lot = lots_of.find(wallet.lots, event.grant_version)
    if event.partial:
        return {"lots": lots, "revoked_units": revoked_units}
    ended = (event.grant_version, lot.series_version if lot is not None else 0)
    held = lots_of.find(lots, event.grant_version)
    if held is not None:
        lots = lots_of.replace(lots, held, entitled_units=0)
    return {
        "lots": lots,
        "revoked_units": revoked_units,
        "revoked_grants": wallet.revoked_grants | {event.grant_version},
        "lapsed_lots": late_usage.after_revocation(wallet, event.grant_version),
        "series": tuple(each for each in wallet.series if each.series_version not in ended),
    }


def refunded(wallet: Wallet, event: GrantRefunded, version: int) -> dict[str, Any]:
    """Return what a refund changes."""
    purchase = lots_of.find(wallet.lots, event.grant_version)
    assert purchase is not None, "a refund names a lot that holds nothing"
    tax_nanos = event.tax.nanos if event.tax is not None else 0
    return {
        "gone_tax": added(wallet.gone_tax, event.grant_version, tax_nanos) if tax_nanos else wallet.gone_tax,
        "purchased_units": wallet.purchased_units | {event.grant_version: purchase.granted_units},
        "lots": lots_of.withdraw(wallet.lots, event.grant_version, event.amount_units),
        "revoked_units": wallet.revoked_units + event.amount_units,
        "refunded_units": added(wallet.refunded_units, event.grant_version, event.amount_units),
        "owed_refunds": wallet.owed_refunds if event.paid else wallet.owed_refunds | {version: event},
    }


def extended(wallet: Wallet, grant_version: int, expire_time: datetime | None) -> dict[str, Any]:
    """Return what an extension changes."""
    lot = lots_of.find(wallet.lots, grant_version)
    assert lot is not None, "an extension names a lot that holds nothing"
    others = tuple(each for each in wallet.lots if each is not lot)
    longer = msgspec.structs.replace(lot, expire_time=expire_time)
    return {
        "lots": insert_lot(others, longer, order=wallet.burn_down_order),
        "extended_grants": wallet.extended_grants | {grant_version: expire_time},
    }


def rolled_over(wallet: Wallet, event: CreditsRolledOver, version: int) -> dict[str, Any]:
    """Return what a roll-over changes."""
    lots = lots_of.draw(wallet.lots, (Draw(event.grant_version, event.amount_units),))
    lot = lots_of.find(lots, event.grant_version)
    if lot is not None:
        lots = lots_of.replace(lots, lot, rolled_units=lot.rolled_units + event.amount_units)
    terms = msgspec.structs.replace(event.lot, recurrence=event.recurrence)
    carried = lots_of.from_terms(version, event.amount_units, terms)
    return {"lots": insert_lot(lots, carried, order=wallet.burn_down_order)}


def added(counts: dict[int, int], version: int, more: int) -> dict[int, int]:
    """Return counts by version with so much more of one."""
    return counts | {version: counts.get(version, 0) + more}
