"""The wallet view's fold of transfers and chargebacks."""

from __future__ import annotations

from collections.abc import Iterable

from ledger_service.domain.events import TransferSlice
from ledger_service.domain.values import Money
from ledger_service.projections.events.movement_events import (
    AnyMovement,
    ChargedBack,
    Lowered,
    Received,
    Returned,
    Sent,
    Settled,
)
from ledger_service.projections.events.wallet_events import Granted, WalletEvent
from ledger_service.projections.wallets.wallet_tallies import GrantedAt, WalletTally, lot_of, revoke


def fold_movement(tally: WalletTally, event: WalletEvent, movement: AnyMovement) -> None:
    """Add a movement to the tally of its wallet."""
    match movement:
        case Sent(slices=slices):
            tally.transfers[event.version] = movement
            _move(tally, slices, sign=1)
        case Received(lot=terms):
            lot_of(tally, event.version).issued = GrantedAt(
                _granted(movement),
                terms.effective_time,
                f"{movement.source}/transfers/{movement.transfer_version}",
            )
        case Settled(transfer_version=version):
            _end(tally, version)
        case Returned(transfer_version=version, slices=slices):
            _end(tally, version)
            _move(tally, slices, sign=-1)
        case ChargedBack(
            grant_version=version, revoked_units=units, receivable=receivable, tax_receivable=tax
        ):
            revoke(tally, version, units)
            lot_of(tally, version).receivable_nanos += receivable.nanos + _nanos(tax)
        case Lowered(grant_version=version, amount_units=units, reduction=reduction, tax=tax):
            revoke(tally, version, units)
            lot_of(tally, version).receivable_nanos -= reduction.nanos + _nanos(tax)


def _nanos(tax: Money | None) -> int:
    return 0 if tax is None else tax.nanos


def _granted(received: Received) -> Granted:
    """Return the grant that a slice which arrived reads as."""
    terms = received.lot
    return Granted(
        amount_units=received.amount_units,
        category=terms.category,
        priority=terms.priority,
        scope=terms.scope,
        expire_time=terms.expire_time,
        consideration=terms.consideration,
        finance=terms.finance,
    )


def _move(tally: WalletTally, slices: Iterable[TransferSlice], *, sign: int) -> None:
    for each in slices:
        lot_of(tally, each.grant_version).transferred_units += sign * each.amount_units


def _end(tally: WalletTally, transfer_version: int) -> None:
    # One that left in this run was never stored; to delete it then does no harm.
    tally.transfers[transfer_version] = None
