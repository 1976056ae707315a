"""Deciding about a phase that was proposed for the past: accepting or rejecting it.

A proposal prices nothing. Accepted, it is in force for its time as known from then on: what is recorded later is
priced by it, and what was recorded before keeps the phase that it names and is put right by adjustments.
"""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.commands import AcceptRateCardPhase, RejectRateCardPhase
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    RateCardPhaseAccepted,
    RateCardPhasePublished,
    RateCardPhaseRejected,
)
from ledger_service.domain.names import check_range, check_text
from ledger_service.domain.refusals import PhaseNotFound, ProposalNotOpen
from ledger_service.domain.values import UNITS_MAX


def accept_phase(card: RateCard, command: AcceptRateCardPhase) -> list[Draft]:
    """Return the acceptance; it takes effect where the phase begins. Raises PhaseNotFound, ProposalNotOpen."""
    check_range(command.watermark_position, low=0, high=UNITS_MAX, field="watermark_position")
    check_text(command.rerating_hash, field="rerating_hash")
    phase = _proposal(card, command.rate_card, command.phase)
    event = RateCardPhaseAccepted(phase.phase, command.watermark_position, command.rerating_hash)
    return [Draft(command.rate_card, event, phase.from_time, answers=True)]


def reject_phase(card: RateCard, command: RejectRateCardPhase, now: datetime) -> list[Draft]:
    """Return the rejection. Raises PhaseNotFound, ProposalNotOpen."""
    phase = _proposal(card, command.rate_card, command.phase)
    return [Draft(command.rate_card, RateCardPhaseRejected(phase.phase), now, answers=True)]


def _proposal(card: RateCard, name: str, number: int) -> RateCardPhasePublished:
    if card.proposal is not None and card.proposal.phase == number:
        return card.proposal
    if number > card.last_phase:
        raise PhaseNotFound(f"{name} has no phase {number}", field="name")
    raise ProposalNotOpen(f"phase {number} of {name} is not proposed", field="name")
