"""What one event did to the books, in money and in units: its entry, and the lots that it changed.

The journal keeps sums by day. Who asks for the events behind them folds the log anew, and this is what comes of it.
Entries and lots tell the same: over all events the liability of the lots, of pools and of what is sold over time adds
up to the account.
"""

from __future__ import annotations

import msgspec

from ledger_service.domain.finance.journal import JournalEntry
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.domain.values import Asset, Money


class LotChange(msgspec.Struct, frozen=True, gc=False):
    """A lot before and after an event; `before` is None for one that began.

    Units of bonuses that share the price of a purchase are in the lot of the purchase.
    """

    lot: str
    """wallets/{wallet}/grants/{grant}."""
    asset: Asset
    before: PaidLot | None
    after: PaidLot

    @property
    def outstanding_units(self) -> int:
        """Return how many units more the customer has; below zero, less."""
        return outstanding(self.after) - (0 if self.before is None else outstanding(self.before))

    @property
    def is_extended(self) -> bool:
        """Return whether the lot ends at another time than before."""
        return self.before is not None and self.before.expire_time != self.after.expire_time

    @property
    def drawn_units(self) -> int:
        """Return how many units more were drawn; below zero, they came back."""
        return self.after.drawn_units - (0 if self.before is None else self.before.drawn_units)


class AheadChange(msgspec.Struct, frozen=True, gc=False):
    """What an entry did to contract liability that no lot carries and that is earned, or drawn down, by itself.

    `part` is what it was billed by: a bundle, an invoice with its credit notes, or the commitments of a contract.
    `nanos` more are owed, below zero less; so much of them was earned, below zero taken back.
    """

    part: str
    currency_code: str
    nanos: int
    recognised_nanos: int


class BookedEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry, and the lots whose part of it it is. Without lines it moved units only.

    Position 0 is what no event has recorded: what time has ended since, and what a pool has earned by itself.
    """

    entry: JournalEntry
    lots: tuple[LotChange, ...] = ()
    model: str = ""
    """The model that the usage names, as its charge says; of a reversal, as that of its debit does."""
    feature: str = ""
    """What was used."""
    overage: Money | None = None
    """What overage costs, as a bill will say it; below zero it was taken back."""
    ahead: tuple[AheadChange, ...] = ()


def outstanding(lot: PaidLot) -> int:
    """Return the units of a lot that were neither used nor ended nor moved on; remote ones are still there."""
    gone = lot.drawn_units + lot.expired_units + lot.refunded_units + lot.rolled_units
    return max(lot.amount_units - gone, 0)
