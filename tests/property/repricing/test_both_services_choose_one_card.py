"""Both services find the same rate card for a usage, each by code of its own, and it is the only one that can be."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain.agreement import phase_cards as audit
from ledger_service.domain.events import PhaseCard, PlanPhase
from ledger_service.domain.refusals import CardsAmbiguous
from ledger_service.domain.values import ShortfallMode
from rating_service.domain.agreements import agreement as r
from rating_service.domain.prices.phase_cards import card_for
from rating_service.domain.usage import Usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VALUES = ("", "a", "ab", "abc", "b")
PATTERNS = ("a", "ab", "a*", "*b", "*", "ab*")
CARDS = st.builds(
    PhaseCard,
    st.sampled_from([f"rateCards/{name}" for name in "abcd"]),
    st.lists(st.sampled_from(["chat", "draw"]), max_size=2, unique=True).map(tuple),
    st.dictionaries(st.sampled_from(["model", "region"]), st.sampled_from(PATTERNS), max_size=2),
).filter(lambda card: bool(card.features or card.match))
PHASES = st.lists(CARDS, max_size=4).map(
    lambda cards: PlanPhase("main", "rateCards/own", ShortfallMode.SOFT, additional_cards=tuple(cards))
)


def mirrored(phase: PlanPhase) -> r.PlanPhase:
    """Return a phase as rating reads it."""
    return r.PlanPhase(
        phase.key,
        phase.rate_card,
        r.ShortfallMode.SOFT,
        additional_cards=tuple(
            r.PhaseCard(card.rate_card, card.features, card.match) for card in phase.additional_cards
        ),
    )


@given(
    PHASES,
    st.sampled_from(["", "chat", "draw"]),
    st.dictionaries(st.sampled_from(["model", "region"]), st.sampled_from(VALUES)),
)
def test_both_services_find_the_same_card(phase: PlanPhase, feature: str, properties: dict[str, str]) -> None:
    usage = Usage(NOW, {"tokens": 1}, properties, feature=feature)

    assert card_for(mirrored(phase), usage) == audit.card_for(phase, feature, properties)


@given(
    PHASES,
    st.sampled_from(["", "chat", "draw"]),
    st.dictionaries(st.sampled_from(["model", "region"]), st.sampled_from(VALUES)),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_cards_decides_nothing_in_a_phase_that_is_taken(
    phase: PlanPhase, feature: str, properties: dict[str, str], random: Random
) -> None:
    try:
        audit.check_cards(phase, field="terms")
    except CardsAmbiguous:
        return
    shuffled = list(phase.additional_cards)
    random.shuffle(shuffled)
    other = PlanPhase(phase.key, phase.rate_card, phase.shortfall_mode, additional_cards=tuple(shuffled))

    assert audit.card_for(other, feature, properties) == audit.card_for(phase, feature, properties)


def test_a_tie_that_can_be_reached_is_refused() -> None:
    tied = (PhaseCard("rateCards/a", match={"model": "a*"}), PhaseCard("rateCards/b", match={"model": "*b"}))
    phase = PlanPhase("main", "rateCards/own", ShortfallMode.SOFT, additional_cards=tied)

    with pytest.raises(CardsAmbiguous):
        audit.check_cards(phase, field="terms")
