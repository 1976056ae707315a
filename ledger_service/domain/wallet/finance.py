"""What a wallet decides for finance: estimates of its lots, escheat, and refunds that were paid.

None of these changes what the customer may use.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ledger_service.domain.commands import (
    DeclareBreakageRemote,
    RecordEscheat,
    ReviseBreakageEstimate,
    SettleRefund,
)
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    BreakageDeclaredRemote,
    BreakageEstimateRevised,
    ConsiderationEscheated,
    RefundSettled,
)
from ledger_service.domain.finance.estimates import check_estimate, check_fraction
from ledger_service.domain.names import check_range, check_text
from ledger_service.domain.refusals import (
    BreakagePoolMismatch,
    FieldMalformed,
    FieldRequired,
    GrantNotActive,
    NotPaidFor,
    RefundNotFound,
)
from ledger_service.domain.wallet.burn_down import Lot
from ledger_service.domain.wallet.lots import find
from ledger_service.domain.wallet.settle import begin
from ledger_service.domain.wallet.state import Wallet, basis_of

GRANTS_MAX: Final = 1_000
"""Most grants that one revision names."""


def revise_estimate(wallet: Wallet, command: ReviseBreakageEstimate, now: datetime) -> list[Draft]:
    """Return what fell due and the revision. Raises GrantNotActive, NotPaidFor, BreakageEstimateOutOfRange."""
    tape = begin(command.wallet, wallet, now)
    lots = _paid_lots(tape.wallet, command.grant_versions)
    if any(lot.finance is not None and lot.finance.pool for lot in lots):
        raise BreakagePoolMismatch("the lots of a pool are estimated together", field="grants")
    units = sum(_usable_units(tape.wallet, lot) for lot in lots)
    if not command.expected_breakage and not command.expected_redeemed_units:
        raise FieldRequired("expected_breakage is required", field="expected_breakage")
    check_estimate(
        expected_breakage=command.expected_breakage,
        expected_redeemed_units=command.expected_redeemed_units,
        of_units=units,
    )
    event = BreakageEstimateRevised(
        tuple(sorted(command.grant_versions)),
        command.expected_breakage,
        command.expected_redeemed_units,
        units if command.expected_redeemed_units else 0,
    )
    return tape.end(event, now)


def declare_remote(wallet: Wallet, command: DeclareBreakageRemote, now: datetime) -> list[Draft]:
    """Return what fell due and the declaration. Raises GrantNotActive, NotPaidFor."""
    tape = begin(command.wallet, wallet, now)
    _paid_lots(tape.wallet, command.grant_versions)
    return tape.end(BreakageDeclaredRemote(tuple(sorted(command.grant_versions))), now)


def record_escheat(wallet: Wallet, command: RecordEscheat, now: datetime) -> list[Draft]:
    """Return what fell due and the escheat. Raises NotPaidFor, FractionOutOfRange."""
    check_text(command.jurisdiction, field="jurisdiction")
    check_fraction(command.fraction, field="fraction", positive=True)
    if command.recorded.consideration is None:
        raise NotPaidFor(f"grant {command.grant_version} carries no consideration", field="name")
    tape = begin(command.wallet, wallet, now)
    event = ConsiderationEscheated(command.grant_version, command.fraction, command.jurisdiction)
    return tape.end(event, now)


def settle_refund(wallet: Wallet, command: SettleRefund, now: datetime) -> list[Draft]:
    """Return what fell due and the settlement. Raises RefundNotFound."""
    check_text(command.reference, field="reference")
    tape = begin(command.wallet, wallet, now)
    owed = tape.wallet.owed_refunds.get(command.refund_version)
    if owed is None:
        raise RefundNotFound(f"{command.wallet} owes no refund {command.refund_version}", field="name")
    event = RefundSettled(
        command.refund_version,
        owed.grant_version,
        owed.refund,
        command.reference,
        owed.exchange_rate,
        owed.tax,
    )
    return tape.end(event, now)


def _usable_units(wallet: Wallet, lot: Lot) -> int:
    """Return what was granted but for what was paid back or moved on: the liability of that is gone with it."""
    assert lot.consideration is not None, "only what was paid for is estimated"
    basis = basis_of(wallet, lot.grant_version, lot.consideration, lot.granted_units)
    return lot.granted_units - basis.refunded_units - basis.moved.amount_units


def _paid_lots(wallet: Wallet, versions: tuple[int, ...]) -> list[Lot]:
    check_range(len(versions), low=1, high=GRANTS_MAX, field="grants")
    if len(set(versions)) < len(versions):
        raise FieldMalformed("grants names a grant twice", field="grants")
    lots: list[Lot] = []
    for version in versions:
        lot = find(wallet.lots, version)
        if lot is None:
            raise GrantNotActive(f"grant {version} has nothing left", field="grants")
        if lot.consideration is None:
            raise NotPaidFor(f"grant {version} carries no consideration", field="grants")
        lots.append(lot)
    return lots
