"""Withdrawing a phase of a rate card that has not begun: the phase before it lasts again."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.commands import WithdrawRateCardPhase
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import RateCardPhaseWithdrawn
from ledger_service.domain.refusals import PhaseInPast, PhaseNotFound


def withdraw_phase(card: RateCard, command: WithdrawRateCardPhase, now: datetime) -> list[Draft]:
    """Return the withdrawal. Raises PhaseNotFound, PhaseInPast."""
    phase = next((each for each in card.phases if each.phase == command.phase), None)
    if phase is None:
        raise PhaseNotFound(f"{command.rate_card} has no phase {command.phase}", field="name")
    if phase.from_time <= now:
        raise PhaseInPast(
            f"phase {phase.phase} began at {phase.from_time.isoformat()}; the server's clock is at {now.isoformat()}",
            field="name",
        )
    return [Draft(command.rate_card, RateCardPhaseWithdrawn(phase.phase), now, answers=True)]
