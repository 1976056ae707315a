"""Evolve: what becomes of lots and receivables when a payment is taken back."""

from __future__ import annotations

from typing import Any

from ledger_service.domain.events import GrantChargedBack, ReceivableLowered
from ledger_service.domain.values import Money
from ledger_service.domain.wallet import lots as lots_of
from ledger_service.domain.wallet.evolve_grants import added
from ledger_service.domain.wallet.state import Wallet


def charged_back(wallet: Wallet, event: GrantChargedBack) -> dict[str, Any]:
    """Return what a chargeback changes. Units withdrawn count as refunded: their cost basis is gone."""
    version = event.grant_version
    changes = _withdrawn(wallet, version, event.revoked_units)
    changes["receivables"] = wallet.receivables | {version: event.receivable}
    changes["purchased_units"] = wallet.purchased_units | {version: event.granted_units}
    if event.tax is not None:
        changes["gone_tax"] = added(wallet.gone_tax, version, event.tax.nanos)
    if event.tax_receivable is not None:
        changes["owed_tax"] = added(wallet.owed_tax, version, event.tax_receivable.nanos)
    if event.whole:
        changes["revoked_grants"] = wallet.revoked_grants | {version}
    return changes


def receivable_lowered(wallet: Wallet, event: ReceivableLowered) -> dict[str, Any]:
    """Return what changes when units come back to a grant that was charged back."""
    version = event.grant_version
    assert version in wallet.receivables, "only what was charged back is owed"
    owed = wallet.receivables[version]
    left = Money(owed.currency_code, owed.nanos - event.reduction.nanos)
    changes = _withdrawn(wallet, version, event.amount_units)
    changes["receivables"] = wallet.receivables | {version: left}
    if event.tax is not None:
        changes["owed_tax"] = added(wallet.owed_tax, version, -event.tax.nanos)
    return changes


def _withdrawn(wallet: Wallet, version: int, units: int) -> dict[str, Any]:
    if not units:
        return {}
    before = wallet.refunded_units.get(version, 0)
    return {
        "lots": lots_of.withdraw(wallet.lots, version, units),
        "revoked_units": wallet.revoked_units + units,
        "refunded_units": wallet.refunded_units | {version: before + units},
    }
