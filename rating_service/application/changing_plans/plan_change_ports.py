"""What changing plans needs from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol


class Timing(Enum):
    """When a change takes effect."""

    AT_ONCE = "AT_ONCE"
    AT_CYCLE_END = "AT_CYCLE_END"


class PlanChangeOrder(NamedTuple):
    """A change of plan to be asked of the ledger; version 0 is the plan's newest."""

    contract: str
    plan: str
    plan_version: int
    timing: Timing
    from_time: datetime | None
    take_trial: bool
    expected_change_version: int = 0


class PhaseSpan(NamedTuple):
    """A phase of the new plan by its key, over [from_time, to_time)."""

    key: str
    from_time: datetime
    to_time: datetime | None


class ChangedPlan(NamedTuple):
    """What the ledger records, or would. A trial of a change has no position."""

    from_time: datetime
    plan: str
    plan_version: int
    phases: Sequence[PhaseSpan]
    replayed: bool = False
    position: int = 0


class PlanLedger(Protocol):
    """The ledger's part in changing plans. Every method raises LedgerRefused and LedgerUnavailableError."""

    async def change_version(self, contract: str) -> int:
        """Return the version of the last event that changed what is agreed."""

    async def try_change(self, order: PlanChangeOrder) -> ChangedPlan:
        """Return what a change would record; nothing is recorded."""

    async def change(self, order: PlanChangeOrder, *, key: str) -> ChangedPlan:
        """Change the plan of a contract, once for a key."""
