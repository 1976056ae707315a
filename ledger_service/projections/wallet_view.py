"""The wallet view, as a fold: wallets, their policies, their grants and what is left of them.

A `WalletTally` holds what a run of events did to one wallet. What has begun in the run (the wallet, a grant)
carries its whole row; what began before it carries differences only. Differences add up, so folding a log in
any pieces gives the same rows, and nothing has to be read back before it is written. Folded from the first
event of the log, a tally is the whole wallet.

Structs here hold no cycles, so the garbage collector is told not to walk through them: with hundreds of
thousands in memory that is a tenth of the work.

Where the rows are kept is `wallet_view_store`; how they are settled up to now is `views`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, assert_never

import msgspec

from ledger_service.projections.wallet_events import (
    Debited,
    Expired,
    Granted,
    Opened,
    PolicyChanged,
    WalletEvent,
)

NAME: Final = "wallet_view"
"""Name in notification_tracking; the prefix of the projection's tables."""


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
    """A grant that was issued in the run."""

    granted: Granted
    effective_time: datetime


class LotTally(msgspec.Struct, gc=False):
    """What the run did to one lot. Mutable: it is the accumulator of the fold, and the fold owns it."""

    issued: GrantedAt | None = None
    drawn_units: int = 0
    expired_units: int = 0


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


Tallies = dict[str, WalletTally]
"""Wallet name to tally."""


def fold_wallet_view(tallies: Tallies, events: Iterable[WalletEvent]) -> None:
    """Add a run of events, in the order of the log, to the tallies."""
    for event in events:
        tally = tallies.get(event.wallet)
        if tally is None:
            tally = tallies[event.wallet] = WalletTally()
        tally.version = event.version
        _fold_event(tally, event)


def count_rows(tallies: Tallies) -> int:
    """Return how many rows storing the tallies would write, for bounding them."""
    return len(tallies) + sum(len(tally.lots) for tally in tallies.values())


def _fold_event(tally: WalletTally, event: WalletEvent) -> None:
    match event.change:
        case Debited() as debited:
            _fold_debit(tally, debited)
        case Expired() as expired:
            tally.expired_units += expired.amount_units
            _lot(tally, expired.grant_version).expired_units += expired.amount_units
        case Granted() as granted:
            tally.granted_units += granted.amount_units
            _lot(tally, event.version).issued = GrantedAt(granted, event.effective_time)
        case Opened() as opened:
            tally.opened = OpenedAt(opened, event.effective_time)
            policy = PolicyChanged("", "", opened.shortfall_mode, opened.overage_limit_units)
            tally.policies.append(PolicyAt(event.version, event.effective_time, policy))
        case PolicyChanged() as policy:
            tally.policies.append(PolicyAt(event.version, event.effective_time, policy))
        case _ as unreachable:
            assert_never(unreachable)


def _fold_debit(tally: WalletTally, debited: Debited) -> None:
    tally.debited_units += debited.amount_units
    tally.overage_units += debited.overage_units
    for draw in debited.draws:
        _lot(tally, draw.grant_version).drawn_units += draw.amount_units


def _lot(tally: WalletTally, grant_version: int) -> LotTally:
    lot = tally.lots.get(grant_version)
    if lot is None:
        lot = tally.lots[grant_version] = LotTally()
    return lot
