"""Evolve: what finance's facts change in a wallet. What they mean in money is no part of its state."""

from __future__ import annotations

from typing import Any

import msgspec

from ledger_service.domain.events import (
    BreakageDeclaredRemote,
    BreakageEstimateRevised,
    ConsiderationEscheated,
    FinanceTerms,
    RefundSettled,
)
from ledger_service.domain.wallet.burn_down import Lot
from ledger_service.domain.wallet.state import Wallet

FinanceEvent = BreakageEstimateRevised | BreakageDeclaredRemote | ConsiderationEscheated | RefundSettled


def changes(wallet: Wallet, event: FinanceEvent) -> dict[str, Any]:
    """Return the fields that an event changes."""
    match event:
        case BreakageEstimateRevised():
            return {"lots": tuple(_estimated(lot, event) for lot in wallet.lots)}
        case RefundSettled(refund_version=version):
            return {
                "owed_refunds": {key: owed for key, owed in wallet.owed_refunds.items() if key != version}
            }
        case BreakageDeclaredRemote() | ConsiderationEscheated():
            return {}


def _estimated(lot: Lot, event: BreakageEstimateRevised) -> Lot:
    """Return a lot with the estimate that travels with it."""
    if lot.grant_version not in event.grant_versions:
        return lot
    finance = msgspec.structs.replace(
        lot.finance or FinanceTerms(),
        expected_breakage=event.expected_breakage,
        expected_redeemed_units=event.expected_redeemed_units,
        expected_of_units=event.expected_of_units,
    )
    return msgspec.structs.replace(lot, finance=finance)
