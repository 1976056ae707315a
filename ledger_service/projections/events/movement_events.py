"""Narrow structs of transfers and chargebacks: what the projections fold of them (see wallet_events)."""

from __future__ import annotations

import msgspec

from ledger_service.domain.events import LotTerms, TransferSlice
from ledger_service.domain.values import Money


class Movement(msgspec.Struct, frozen=True, gc=False):
    """Base of the narrow structs of this module."""


class Sent(Movement, frozen=True):
    """What the projections need of CreditsTransferredOut."""

    destination: str
    amount_units: int
    slices: tuple[TransferSlice, ...]


class Received(Movement, frozen=True):
    """What the projections need of CreditsTransferredIn."""

    source: str
    transfer_version: int
    amount_units: int
    lot: LotTerms


class Settled(Movement, frozen=True):
    """What the projections need of TransferSettled."""

    transfer_version: int


class Returned(Movement, frozen=True):
    """What the projections need of TransferReturned."""

    transfer_version: int
    slices: tuple[TransferSlice, ...]


class ChargedBack(Movement, frozen=True):
    """What the projections need of GrantChargedBack."""

    grant_version: int
    amount: Money
    revoked_units: int
    receivable: Money
    tax: Money | None = None
    tax_receivable: Money | None = None


class Lowered(Movement, frozen=True):
    """What the projections need of ReceivableLowered."""

    grant_version: int
    amount_units: int
    reduction: Money
    tax: Money | None = None


AnyMovement = Sent | Received | Settled | Returned | ChargedBack | Lowered

MOVEMENT_TYPES: dict[str, type[AnyMovement]] = {
    "wallet.CreditsTransferredOut.v1": Sent,
    "wallet.CreditsTransferredIn.v1": Received,
    "wallet.TransferSettled.v1": Settled,
    "wallet.TransferReturned.v1": Returned,
    "wallet.GrantChargedBack.v1": ChargedBack,
    "wallet.ReceivableLowered.v1": Lowered,
}
