"""Under which rate card of a contract's phase a usage falls: exactly one.

The most specific of the phase's further cards whose features and properties it fits, or else the phase's own. As
with rates, more conditions are more specific, then fewer wildcards, then more literal characters; a list of
features is one condition. The ledger refuses ties when a phase is agreed; should there be one all the same, the
earlier card prices.
"""

from __future__ import annotations

from collections.abc import Iterator

from rating_service.domain.agreements.agreement import PhaseCard, PlanPhase
from rating_service.domain.prices.matching import WILDCARD, matches
from rating_service.domain.usage import Usage


def card_for(phase: PlanPhase, usage: Usage) -> str:
    """Return the name of the card that prices a usage."""
    if not phase.additional_cards:
        return phase.rate_card
    fitting = [card for card in phase.additional_cards if _fits(card, usage)]
    return max(fitting, key=_specificity).rate_card if fitting else phase.rate_card


def cards_of(phase: PlanPhase) -> Iterator[str]:
    """Yield every card that a phase names."""
    yield phase.rate_card
    for card in phase.additional_cards:
        yield card.rate_card


def _fits(card: PhaseCard, usage: Usage) -> bool:
    if card.features and usage.feature not in card.features:
        return False
    return matches(card.match, usage.properties)


def _specificity(card: PhaseCard) -> tuple[int, int, int]:
    wildcards = sum(pattern.count(WILDCARD) for pattern in card.match.values())
    characters = sum(len(pattern) for pattern in card.match.values())
    return len(card.match) + bool(card.features), -wildcards, characters - wildcards
