"""The journal, as a fold: from an event, and the lots and pools it touches, to balanced entries and their new state.

`Books` holds the lots, pools and wallets that a run of events touches, as they were before it and then as they become,
and the sums of what was posted. `post` is the one way in which an event changes them; the projector adds up what a
run posts, and a drill-down asks after each event. Movements of one lot on one day are measured once: shares are
cumulative, so that changes nothing but the cost.
"""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

import msgspec

from ledger_service.domain.finance.journal import PostingKey
from ledger_service.domain.finance.lots import PaidLot

NAME: Final = "journal"
"""Name in notification_tracking; the prefix of the projection's tables."""
FIRST_DAY: Final = date(1, 1, 1)
"""First open day of an entity without closed periods."""


class LotKey(NamedTuple):
    """A lot: the wallet, and the version of the grant's event in its stream."""

    wallet: str
    grant_version: int


class Books(msgspec.Struct):
    """What a run touches. Mutable: the accumulator of the fold, and the fold owns it."""

    lots: dict[LotKey, PaidLot] = {}
    open_days: dict[str, date] = {}
    """By entity, the first day of its first open period."""
    sums: dict[PostingKey, int] = {}
    """What was posted."""
