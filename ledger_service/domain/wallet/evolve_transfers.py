"""Evolve: what becomes of lots when credit moves to another wallet, arrives there, or comes back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ledger_service.domain.events import (
    CreditsTransferredIn,
    CreditsTransferredOut,
    Return,
    TransferReturned,
    TransferSlice,
)
from ledger_service.domain.wallet import lots as lots_of
from ledger_service.domain.wallet.burn_down import insert_lot
from ledger_service.domain.wallet.cost_basis import Moved
from ledger_service.domain.wallet.evolve_grants import added
from ledger_service.domain.wallet.state import Transit, Wallet
from ledger_service.domain.wallet.usage import with_grant


def sent(wallet: Wallet, event: CreditsTransferredOut, version: int) -> dict[str, Any]:
    """Return what a transfer changes in the wallet it leaves."""
    lots = wallet.lots
    for each in event.slices:
        lots = lots_of.withdraw(lots, each.grant_version, each.amount_units)
    return {
        "lots": lots,
        "sent_units": wallet.sent_units + event.amount_units,
        "transfers": (*wallet.transfers, Transit(version, event.destination, event.slices)),
        "moved": _moved(wallet, event.slices, sign=1),
        "gone_tax": _gone_tax(wallet, event.slices, sign=1),
    }


def received(
    wallet: Wallet, event: CreditsTransferredIn, effective_time: datetime, version: int
) -> dict[str, Any]:
    """Return what a slice changes in the wallet it reaches."""
    lot = lots_of.from_terms(version, event.amount_units, event.lot)
    return {
        "lots": insert_lot(wallet.lots, lot, order=wallet.burn_down_order),
        "received_units": wallet.received_units + event.amount_units,
        "usage": with_grant(wallet.usage, effective_time),
    }


def settled(wallet: Wallet, transfer_version: int) -> dict[str, Any]:
    """Return what the arrival of a transfer changes in the wallet it left."""
    return {"transfers": _without(wallet, transfer_version)}


def returned(wallet: Wallet, event: TransferReturned) -> dict[str, Any]:
    """Return what a transfer that came back changes."""
    returns = [Return(each.grant_version, each.amount_units, each.lot) for each in event.slices]
    return {
        "lots": _put_back(wallet, returns),
        "sent_units": wallet.sent_units - sum(each.amount_units for each in event.slices),
        "transfers": _without(wallet, event.transfer_version),
        "moved": _moved(wallet, event.slices, sign=-1),
        "gone_tax": _gone_tax(wallet, event.slices, sign=-1),
    }


def _put_back(wallet: Wallet, returns: list[Return]) -> lots_of.Lots:
    """Return the lots with what came back: the wallet is entitled to it again."""
    lots = wallet.lots
    for each in returns:
        lot = lots_of.find(lots, each.grant_version)
        if lot is not None:
            lots = lots_of.replace(lots, lot, entitled_units=lot.entitled_units + each.amount_units)
    return lots_of.put_back(lots, returns, order=wallet.burn_down_order)


def _without(wallet: Wallet, transfer_version: int) -> tuple[Transit, ...]:
    left = tuple(each for each in wallet.transfers if each.transfer_version != transfer_version)
    assert len(left) < len(wallet.transfers), "a transfer ends that is not on its way"
    return left


def _gone_tax(wallet: Wallet, slices: tuple[TransferSlice, ...], *, sign: int) -> dict[int, int]:
    gone = wallet.gone_tax
    for each in slices:
        if each.tax is not None:
            gone = added(gone, each.grant_version, sign * each.tax.nanos)
    return gone


def _moved(wallet: Wallet, slices: tuple[TransferSlice, ...], *, sign: int) -> dict[int, Moved]:
    paid = [(each, each.consideration) for each in slices if each.consideration is not None]
    if not paid:
        return wallet.moved
    moved = dict(wallet.moved)
    for each, consideration in paid:
        before = moved.get(each.grant_version, Moved())
        moved[each.grant_version] = Moved(
            before.amount_units + sign * each.amount_units, before.nanos + sign * consideration.nanos
        )
    return moved
