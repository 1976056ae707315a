"""A rate card after its creation: phases are published, withdrawn, or proposed for the past and then decided about.

A phase is in force until the next one begins. Of two that begin at one instant the one that became known later is
in force, so an accepted proposal takes its place among the others and moves nothing outside its own time.
"""

from __future__ import annotations

import msgspec

from rating_service.domain.agreements.agreement import RateCard, RateCardPhase
from rating_service.domain.agreements.agreement_events import (
    RateCardPhaseAccepted,
    RateCardPhaseProposed,
    RateCardPhasePublished,
    RateCardPhaseRejected,
    RateCardPhaseWithdrawn,
)

CardChange = (
    RateCardPhasePublished
    | RateCardPhaseWithdrawn
    | RateCardPhaseProposed
    | RateCardPhaseAccepted
    | RateCardPhaseRejected
)
CARD_CHANGE_TYPES: dict[str, type[CardChange]] = {
    "rate_card.RateCardPhasePublished.v1": RateCardPhasePublished,
    "rate_card.RateCardPhaseWithdrawn.v1": RateCardPhaseWithdrawn,
    "rate_card.RateCardPhaseProposed.v1": RateCardPhaseProposed,
    "rate_card.RateCardPhaseAccepted.v1": RateCardPhaseAccepted,
    "rate_card.RateCardPhaseRejected.v1": RateCardPhaseRejected,
}
"""By topic."""


def changed_card(card: RateCard, change: CardChange) -> RateCard:
    """Return a card after a change."""
    match change:
        case RateCardPhasePublished():
            return with_phase(card, _phase(card.name, change))
        case RateCardPhaseWithdrawn(phase=number):
            withdrawn = f"{card.name}/phases/{number}"
            left = tuple(phase for phase in card.phases if phase.name != withdrawn)
            return msgspec.structs.replace(card, phases=left)
        case RateCardPhaseProposed(proposed=published):
            proposal = msgspec.structs.replace(_phase(card.name, published), retroactive=True)
            return msgspec.structs.replace(card, proposal=proposal)
        case RateCardPhaseAccepted():
            return with_proposal(card)
        case RateCardPhaseRejected():
            return msgspec.structs.replace(card, proposal=None)


def with_proposal(card: RateCard) -> RateCard:
    """Return a card as it is, or would be, once its proposal is accepted."""
    if card.proposal is None:
        return card
    return msgspec.structs.replace(with_phase(card, card.proposal), proposal=None)


def with_phase(card: RateCard, phase: RateCardPhase) -> RateCard:
    """Return a card with one phase more, after those that begin at the same instant."""
    phases = tuple(sorted((*card.phases, phase), key=lambda each: each.from_time))
    return msgspec.structs.replace(card, phases=phases)


def _phase(card: str, event: RateCardPhasePublished) -> RateCardPhase:
    return RateCardPhase(
        name=f"{card}/phases/{event.phase}",
        from_time=event.from_time,
        rates=event.rates,
        phase_hash=event.phase_hash,
        multipliers=event.multipliers,
        brackets=event.brackets,
        counters=event.counters,
        cost_currency=event.cost_currency,
    )
