"""Commands on holds."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import Charge


class PlaceHold(Command, frozen=True):
    """Reserve credit for a while: all of it or none.

    `estimate_of` says what the units are an estimate for, in the caller's own words.
    """

    wallet: str
    amount_units: int
    ttl: timedelta | None = None
    feature: str = ""
    api_key: str = ""
    user: str = ""
    estimate_of: str = ""


class OverHold(Enum):
    """What becomes of a capture of more than is held."""

    REJECT = "REJECT"
    EXTRA_IF_AVAILABLE = "EXTRA_IF_AVAILABLE"


class CaptureHold(Command, frozen=True):
    """Turn a hold into a debit: amount_units without a charge, what the charge says with one."""

    wallet: str
    hold_version: int
    amount_units: int = 0
    final: bool = True
    over_hold: OverHold = OverHold.EXTRA_IF_AVAILABLE
    charge: Charge | None = None


class ReleaseHold(Command, frozen=True):
    """Give back what a hold reserves."""

    wallet: str
    hold_version: int
