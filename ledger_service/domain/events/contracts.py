"""What is recorded of a contract after it was signed.

Each says in `phases` what holds from `from_time` on, up to the contract's end; what lies before stays as it was.
"""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.events.agreements import ContractPhase, PlanPhase
from ledger_service.domain.record import Record
from ledger_service.domain.values import ChangeTiming


class ContractPhaseScheduled(Record, frozen=True):
    """From an instant the contract runs under other terms; `paths` names what was asked to differ."""

    from_time: datetime
    paths: tuple[str, ...]
    phases: tuple[ContractPhase, ...]
    replace_later: bool = False


class TrialExtended(Record, frozen=True):
    """A phase that is not the last ends later; it began at `from_time`, and what follows it moved."""

    key: str
    from_time: datetime
    end_time: datetime
    previous_end_time: datetime
    phases: tuple[ContractPhase, ...]


class PlanChanged(Record, frozen=True):
    """From an instant the contract follows another plan version; what it would have run under is kept beside."""

    from_time: datetime
    plan: str
    plan_version: int
    timing: ChangeTiming
    phases: tuple[ContractPhase, ...]
    previous_plan: str
    previous_plan_version: int
    previous_terms: PlanPhase
    take_trial: bool = False


class ContractEnded(Record, frozen=True):
    """From an instant nothing is agreed any more."""

    end_time: datetime


class RateCardPhaseWithdrawn(Record, frozen=True):
    """A phase of a rate card that had not begun will not begin; the one before it lasts again."""

    phase: int
