"""Under which card of a phase a usage falls: the most specific that fits its feature and its own properties."""

from __future__ import annotations

import msgspec
import pytest

from rating_service.domain.agreements.agreement import ContractPhase, PhaseCard, RateCard
from rating_service.domain.agreements.catalogue import EMPTY
from rating_service.domain.agreements.index import put
from rating_service.domain.price_models.running_total import NO_TOTALS
from rating_service.domain.prices.phase_cards import card_for, cards_of
from rating_service.domain.prices.rating import rate_usage
from tests.unit.rating.builders import CREDIT, JANUARY, card_phase, contract, plan_phase, rate, usage

PHASE = msgspec.structs.replace(
    plan_phase(),
    additional_cards=(
        PhaseCard("rateCards/images", ("draw", "paint")),
        PhaseCard("rateCards/flux", ("draw",), {"model": "flux-*"}),
    ),
)


@pytest.mark.parametrize(
    ("feature", "model", "card"),
    [
        ("", "flux-1", "llm"),
        ("paint", "flux-1", "images"),
        ("draw", "x", "images"),
        ("draw", "flux-1", "flux"),
    ],
)
def test_a_usage_falls_under_one_card_and_is_priced_by_it(feature: str, model: str, card: str) -> None:
    cards = EMPTY.rate_cards
    for number, name in enumerate(cards_of(PHASE), start=1):
        phase = msgspec.structs.replace(card_phase(rate("calls", f"{number}")), name=f"{name}/phases/1")
        cards = put(cards, name, RateCard(name, CREDIT, (phase,)))
    signed = contract(ContractPhase(JANUARY, PHASE))
    catalogue = msgspec.structs.replace(
        EMPTY, rate_cards=cards, contracts=put(EMPTY.contracts, signed.name, signed)
    )
    asked = msgspec.structs.replace(usage({"model": model}, calls=2), feature=feature, contract=signed.name)

    rated = rate_usage(catalogue, {}, asked, lambda *_: NO_TOTALS)

    assert card_for(PHASE, asked) == f"rateCards/{card}"
    assert rated.charge.rate_card_phase == f"rateCards/{card}/phases/1"
    units = 2_000_000 * (1 + ["llm", "images", "flux"].index(card))
    assert rated.charge.exact_units == str(units)
