"""What is recorded of credit that is reserved for a while."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.events.debits import Charge, Draw
from ledger_service.domain.record import Record


class CreditsHeld(Record, frozen=True):
    """Slices of lots were reserved; the hold is named by this event's version.

    `estimate_of` says what the units were an estimate for, in the caller's own words.
    """

    amount_units: int
    slices: tuple[Draw, ...]
    expire_time: datetime
    burn_down_order: str
    feature: str = ""
    api_key: str = ""
    user: str = ""
    estimate_of: str = ""


class HoldCaptured(Record, frozen=True):
    """A hold became a debit. `held_draws` come from its slices, `draws` from lots for what exceeds it.

    held_draws, draws, overage and debt add up to amount_units; `returned` slices went back to their lots.
    """

    hold_version: int
    amount_units: int
    held_draws: tuple[Draw, ...]
    burn_down_order: str
    final: bool = True
    returned: tuple[Draw, ...] = ()
    draws: tuple[Draw, ...] = ()
    overage_units: int = 0
    debt_units: int = 0
    feature: str = ""
    charge: Charge | None = None
    api_key: str = ""
    user: str = ""


class HoldReleased(Record, frozen=True):
    """What a hold still reserved went back to its lots, by request or because its time was over."""

    hold_version: int
    returned: tuple[Draw, ...]
    timed_out: bool = False
