"""What a run of events did to wallets: the accumulators of the wallet view's fold."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from ledger_service.projections.wallet_events import Activated, Extended, Granted, Held, Opened, PolicyChanged

ISSUED: Final = ""
PENDING: Final = "PENDING"
LAPSED: Final = "LAPSED"
WITHDRAWN: Final = "WITHDRAWN"
"""States of a grant that was issued, waits for its payment, or waited in vain."""


class OpenedAt(msgspec.Struct, frozen=True, gc=False):
    """A wallet that began in the run."""

    opened: Opened
    open_time: datetime


class PolicyAt(msgspec.Struct, frozen=True, gc=False):
    """A policy that was set in the run."""

    policy_version: int
    effective_time: datetime
    policy: PolicyChanged


class GrantedAt(msgspec.Struct, frozen=True, gc=False):
    """A grant that was issued in the run, or that rolled over from another."""

    granted: Granted
    effective_time: datetime


class LotTally(msgspec.Struct, gc=False):
    """What the run did to one lot. Mutable: it is the accumulator of the fold, and the fold owns it."""

    issued: GrantedAt | None = None
    drawn_units: int = 0
    expired_units: int = 0
    held_units: int = 0
    revoked_units: int = 0
    rolled_over_units: int = 0
    extended: Extended | None = None
    """The last extension: it alone counts."""
    activated: Activated | None = None
    payment_state: str | None = None
    """What became, in the run, of a grant that waits for a payment; empty once it was activated."""


class HoldTally(msgspec.Struct, gc=False):
    """What the run did to one hold. Mutable for the same reason."""

    placed: Held | None = None
    captured_units: int = 0
    ended: bool = False


class WalletTally(msgspec.Struct, gc=False):
    """What the run did to one wallet. Mutable for the same reason."""

    opened: OpenedAt | None = None
    policies: list[PolicyAt] = []
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
    revoked_grants: set[int] = set()
    """Grants of before the run whose series, if they are of one, ended in it."""
    timers: dict[str, datetime] = {}
    """When a limit or wait of automatic top-ups ends, by its kind; the last of each kind alone counts."""


Tallies = dict[str, WalletTally]
"""Wallet name to tally."""
