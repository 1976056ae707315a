"""What is recorded of credit that moves between wallets, in the wallet it leaves and in the one it reaches."""

from __future__ import annotations

from ledger_service.domain.events.grants import LotTerms
from ledger_service.domain.record import Record
from ledger_service.domain.values import Money


class TransferSlice(Record, frozen=True):
    """Units of one lot on their way, with the lot's terms as they left and the exact consideration they carry.

    `tax` is what they may have back beside it; None: no tax.
    """

    grant_version: int
    amount_units: int
    lot: LotTerms
    consideration: Money | None = None
    tax: Money | None = None


class CreditsTransferredOut(Record, frozen=True):
    """Units left their lots for another wallet; the transfer is named by this event's version."""

    destination: str
    amount_units: int
    slices: tuple[TransferSlice, ...]
    burn_down_order: str


class CreditsTransferredIn(Record, frozen=True):
    """One slice of a transfer arrived: a new lot, named by this event's version.

    The terms are those of the lot it left, without links to grants of the other wallet; the consideration is
    what the slice carried. All slices of a transfer arrive in one commit.
    """

    source: str
    transfer_version: int
    slice_number: int
    slice_count: int
    amount_units: int
    lot: LotTerms


class TransferSettled(Record, frozen=True):
    """A transfer has arrived: nothing of it is on its way any more."""

    transfer_version: int


class TransferReturned(Record, frozen=True):
    """The destination refused a transfer for good: its slices went back to their own lots."""

    transfer_version: int
    slices: tuple[TransferSlice, ...]
    reason: str
