"""Tallies: what a run of events did to one wallet, as the wallet view accumulates it (see wallet_view).

Structs here hold no cycles, so the garbage collector is told not to walk through them: with hundreds of
thousands in memory that is a tenth of the work.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from ledger_service.projections.events.movement_events import Sent
from ledger_service.projections.events.payment_events import Activated
from ledger_service.projections.events.wallet_events import (
    Extended,
    Granted,
    Held,
    Opened,
)
from ledger_service.projections.wallets.wallet_view_policies import PolicyAt, Replacement

ISSUED: Final = ""
PENDING: Final = "PENDING"
LAPSED: Final = "LAPSED"
WITHDRAWN: Final = "WITHDRAWN"
"""States of a grant that was issued, waits for its payment, or waited in vain."""


class OpenedAt(msgspec.Struct, frozen=True, gc=False):
    """A wallet that began in the run."""

    opened: Opened
    open_time: datetime


class GrantedAt(msgspec.Struct, frozen=True, gc=False):
    """A grant that was issued in the run, or that rolled over from another."""

    granted: Granted
    effective_time: datetime
    transfer: str = ""
    """The transfer that brought it: wallets/{wallet}/transfers/{transfer}."""


class LotTally(msgspec.Struct, gc=False):
    """What the run did to one lot. Mutable: it is the accumulator of the fold, and the fold owns it."""

    issued: GrantedAt | None = None
    drawn_units: int = 0
    expired_units: int = 0
    held_units: int = 0
    revoked_units: int = 0
    rolled_over_units: int = 0
    transferred_units: int = 0
    receivable_nanos: int = 0
    activated: Activated | None = None
    payment_state: str | None = None
    """What became, in the run, of a grant that waits for a payment; empty once it was activated."""
    extended: Extended | None = None
    """The last extension: it alone counts."""


class HoldTally(msgspec.Struct, gc=False):
    """What the run did to one hold. Mutable for the same reason."""

    placed: Held | None = None
    captured_units: int = 0
    ended: bool = False


class WalletTally(msgspec.Struct, gc=False):
    """What the run did to one wallet. Mutable for the same reason."""

    opened: OpenedAt | None = None
    policies: list[PolicyAt] = []
    replacements: list[Replacement] = []
    lots: dict[int, LotTally] = {}
    version: int = 0
    granted_units: int = 0
    debited_units: int = 0
    overage_units: int = 0
    expired_units: int = 0
    debt_units: int = 0
    revoked_units: int = 0
    holds: dict[int, HoldTally] = {}
    series: dict[int, datetime | None] = {}
    """By the first grant's version: when the next one is due, None if none is."""
    close_time: datetime | None = None
    revoked_grants: set[int] = set()
    """Grants of before the run whose series, if they are of one, ended in it."""
    timers: dict[str, datetime] = {}
    """When a limit or wait of automatic top-ups ends, by its kind; the last of each kind alone counts."""
    transfers: dict[int, Sent | None] = {}
    """By version: transfers that left in the run and did not end in it; None for those that ended."""


Tallies = dict[str, WalletTally]
"""Wallet name to tally."""


def lot_of(tally: WalletTally, grant_version: int) -> LotTally:
    """Return the tally of a lot; an empty one begins if there is none."""
    lot = tally.lots.get(grant_version)
    if lot is None:
        lot = tally.lots[grant_version] = LotTally()
    return lot


def revoke(tally: WalletTally, grant_version: int, units: int) -> None:
    """Count units that were withdrawn of a grant."""
    tally.revoked_units += units
    lot_of(tally, grant_version).revoked_units += units
