"""Revoking, refunding and extending grants."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands import ExtendGrant, RefundGrant, RevokeGrant
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import GrantExpiryExtended, GrantRefunded, GrantRevoked
from ledger_service.domain.names import check_money, check_price, check_range, check_text
from ledger_service.domain.refusals import (
    AmountNotPositive,
    ExtensionNotLater,
    FieldMalformed,
    FieldNotAllowed,
    GrantNotActive,
    GrantNotRefundable,
    RefundExceedsGrant,
    RefundExceedsTax,
)
from ledger_service.domain.values import Money
from ledger_service.domain.wallet.burn_down import Lot
from ledger_service.domain.wallet.lots import find
from ledger_service.domain.wallet.payments import find_pending
from ledger_service.domain.wallet.settle import begin, repay
from ledger_service.domain.wallet.state import Wallet, basis_of, clawback_units
from ledger_service.domain.wallet.tape import Tape
from ledger_service.domain.wallet.tax_right import tax_right


def revoke_grant(wallet: Wallet, command: RevokeGrant, now: datetime) -> list[Draft]:
    """Return what fell due and the revocation. What comes back later is revoked then, unless the grant goes on.

    A grant that waits for a payment is withdrawn before it issued anything. A recurring grant does not
    come again, whichever of its periods is named. Raises GrantNotActive, FieldNotAllowed.
    """
    check_text(command.reason, field="reason")
    if command.goes_on and command.amount_units:
        raise FieldNotAllowed("a grant of which only a part is withdrawn goes on anyway", field="goes_on")
    tape = begin(command.wallet, wallet, now)
    if find_pending(tape.wallet.payments, command.grant_version) is not None:
        return tape.end(GrantRevoked(command.grant_version, 0, command.reason, pending=True), now)
    if command.amount_units:
        return tape.end(_part(tape.wallet, command), now)
    if command.goes_on:
        units = _active(tape.wallet, command.grant_version).remaining_units
        return tape.end(
            GrantRevoked(command.grant_version, units, command.reason, partial=True, rest=True), now
        )
    remaining_units = 0
    # A series is named by its first grant, whose own lot may be used up or long gone.
    if command.grant_version not in {each.series_version for each in tape.wallet.series}:
        remaining_units = _active(tape.wallet, command.grant_version).remaining_units
    elif (lot := find(tape.wallet.lots, command.grant_version)) is not None:
        remaining_units = lot.remaining_units
    return tape.end(GrantRevoked(command.grant_version, remaining_units, command.reason), now)


def _part(wallet: Wallet, command: RevokeGrant) -> GrantRevoked:
    lot = _active(wallet, command.grant_version)
    check_range(command.amount_units, low=1, high=lot.remaining_units, field="amount_units")
    return GrantRevoked(command.grant_version, command.amount_units, command.reason, partial=True)


def refund_grant(wallet: Wallet, command: RefundGrant, now: datetime) -> list[Draft]:
    """Return what fell due, the refund, and the clawback of a bonus that came with the purchase, in proportion.

    Raises GrantNotActive, GrantNotRefundable, AmountNotPositive, RefundExceedsGrant, RefundExceedsTax.
    """
    tape = begin(command.wallet, wallet, now)
    lot = _active(tape.wallet, command.grant_version)
    if lot.consideration is None:
        raise GrantNotRefundable(
            f"grant {lot.grant_version} carries no consideration: promotional and bonus units are never cash",
            field="name",
        )
    units = command.amount_units or lot.remaining_units
    if units < 0:
        raise AmountNotPositive("amount_units must not be negative", field="amount_units")
    if units > lot.remaining_units or lot.remaining_units == 0:
        raise RefundExceedsGrant(
            f"{lot.remaining_units} unheld units are left of the grant",
            field="amount_units",
            remaining_units=lot.remaining_units,
        )
    basis = basis_of(tape.wallet, lot.grant_version, lot.consideration, lot.granted_units)
    refund = Money(lot.consideration.currency_code, basis.refund_nanos(units))
    if command.exchange_rate:
        check_price(command.exchange_rate, field="exchange_rate")
        if lot.finance is None or not lot.finance.exchange_rate:
            raise FieldNotAllowed("the grant was not sold in a foreign currency", field="exchange_rate")
    tax = _tax(tape.wallet, lot, units, command.tax)
    event = GrantRefunded(lot.grant_version, units, refund, command.paid, command.exchange_rate, tax)
    tape.add(event, now, answers=True)
    claw_back_bonuses(tape, lot.grant_version, now)
    return tape.drafts


def _tax(wallet: Wallet, lot: Lot, units: int, stated: Money | None) -> Money | None:
    assert lot.consideration is not None, "only what was paid for is refunded"
    right = tax_right(wallet, lot.grant_version, lot.consideration, lot.granted_units, lot.finance)
    if stated is None:
        return right.due(units)
    check_money(stated, field="tax")
    if stated.currency_code != lot.consideration.currency_code:
        raise FieldMalformed(
            f"the grant was paid in {lot.consideration.currency_code}", field="tax.currency_code"
        )
    if stated.nanos > right.left_nanos:
        raise RefundExceedsTax(
            f"{right.left_nanos} nanos are left of the grant's tax", field="tax", left_nanos=right.left_nanos
        )
    return stated if stated.nanos else None


def claw_back_bonuses(tape: Tape, purchase_version: int, now: datetime) -> None:
    """Withdraw the bonuses that came with a purchase, in proportion to what was withdrawn of it."""
    for bonus in tape.wallet.lots:
        if bonus.purchase_version == purchase_version:
            clawed = clawback_units(tape.wallet, bonus)
            if clawed:
                tape.add(GrantRevoked(bonus.grant_version, clawed, "clawback", clawback=True), now)


def extend_grant(wallet: Wallet, command: ExtendGrant, now: datetime) -> list[Draft]:
    """Return what fell due and the extension. Raises GrantNotActive after expiry, ExtensionNotLater."""
    tape = begin(command.wallet, wallet, now)
    lot = _active(tape.wallet, command.grant_version)
    # A lot that only holds keep alive has expired.
    if lot.recurrence is not None or (lot.expire_time is not None and lot.expire_time <= now):
        raise GrantNotActive(f"grant {lot.grant_version} has expired or ends with its period", field="name")
    if lot.expire_time is None or (
        command.expire_time is not None and command.expire_time <= lot.expire_time
    ):
        raise ExtensionNotLater("expire_time must lie after the grant's present one", field="expire_time")
    tape.add(GrantExpiryExtended(lot.grant_version, command.expire_time), now, answers=True)
    repay(tape, now)
    return tape.drafts


def _active(wallet: Wallet, grant_version: int) -> Lot:
    lot = find(wallet.lots, grant_version)
    if lot is None or grant_version in wallet.revoked_grants:
        raise GrantNotActive(f"grant {grant_version} has nothing left", field="name")
    return lot
