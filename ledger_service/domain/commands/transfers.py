"""Commands that move credit between wallets. All but the first are given by the ledger to itself."""

from __future__ import annotations

import msgspec

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import TransferSlice
from ledger_service.domain.values import Asset


class DestinationRecord(msgspec.Struct, frozen=True):
    """What never changes of a wallet, looked up before the decision."""

    customer: str
    asset: Asset


class TransferCredits(Command, frozen=True):
    """Send so many available units to another wallet, in burn-down order."""

    wallet: str
    destination: str
    amount_units: int
    recorded: DestinationRecord


class ReceiveTransfer(Command, frozen=True):
    """Let a transfer arrive; `wallet` is the destination."""

    wallet: str
    source: str
    transfer_version: int
    slices: tuple[TransferSlice, ...]
    customer: str
    asset: Asset


class SettleTransfer(Command, frozen=True):
    """Note in the source that a transfer has arrived."""

    wallet: str
    transfer_version: int


class ReturnTransfer(Command, frozen=True):
    """Put a transfer back that its destination refused for good."""

    wallet: str
    transfer_version: int
    reason: str
