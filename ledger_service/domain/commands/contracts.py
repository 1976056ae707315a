"""Commands on contracts that are signed, and on phases that are published.

The wallet of a contract never changes; it is named so that its stream is at hand when the command is decided.
"""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import PlanPhase
from ledger_service.domain.values import ChangeTiming


class ScheduleContractPhase(Command, frozen=True):
    """Let a contract run under other terms from an instant on; `paths` names what differs."""

    contract: str
    wallet: str
    paths: tuple[str, ...]
    terms: PlanPhase
    from_time: datetime | None = None
    replace_later: bool = False


class ExtendTrial(Command, frozen=True):
    """Let a phase that is not the last end later."""

    contract: str
    wallet: str
    key: str
    end_time: datetime


class ChangePlan(Command, frozen=True):
    """Let a contract follow another plan version (0: the newest) from an instant or the end of its cycle."""

    contract: str
    wallet: str
    plan: str
    plan_version: int
    timing: ChangeTiming
    from_time: datetime | None = None
    take_trial: bool = False
    expected_change_version: int = 0


class EndContract(Command, frozen=True):
    """End a contract."""

    contract: str
    wallet: str
    end_time: datetime | None = None


class WithdrawRateCardPhase(Command, frozen=True):
    """Withdraw a phase of a rate card that has not begun."""

    rate_card: str
    phase: int


class AcceptRateCardPhase(Command, frozen=True):
    """Let a proposed phase be in force for its time; the rest says by which re-rating that was decided."""

    rate_card: str
    phase: int
    watermark_position: int = 0
    rerating_hash: str = ""


class RejectRateCardPhase(Command, frozen=True):
    """Withdraw the proposal of a phase."""

    rate_card: str
    phase: int
