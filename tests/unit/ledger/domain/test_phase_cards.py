"""Further rate cards of a phase: a usage falls under exactly one, and ties are refused when they are agreed."""

import msgspec
import pytest

from ledger_service.domain.agreement.phase_cards import CARDS_MAX, card_for
from ledger_service.domain.events import ContractPhaseScheduled, PhaseCard, PlanPhase
from ledger_service.domain.refusals import (
    AssetMismatch,
    CardsAmbiguous,
    FieldMalformed,
    FieldRequired,
    FieldTooLong,
    RateCardNotFound,
    Refusal,
)
from ledger_service.domain.values import Asset
from tests.builders import (
    RATE_CARD,
    agreed,
    create_rate_card,
    plan_phase,
    publish_plan,
    schedule_phase,
    sign_contract,
)

IMAGES, AUDIO = "rateCards/images", "rateCards/audio"


def carded(*cards: PhaseCard) -> PlanPhase:
    """Return a phase with further cards."""
    return msgspec.structs.replace(plan_phase(), additional_cards=cards)


def refusal_of(*cards: PhaseCard) -> Refusal:
    """Return why a plan with further cards is refused."""
    ledger = agreed()
    ledger.run(msgspec.structs.replace(create_rate_card(), rate_card=IMAGES))
    with pytest.raises(Refusal) as refused:
        ledger.run(publish_plan(carded(*cards)))
    return refused.value


@pytest.mark.parametrize(
    ("feature", "properties", "card"),
    [
        ("chat", {}, RATE_CARD),
        ("", {"model": "flux"}, RATE_CARD),
        ("draw", {}, IMAGES),
        ("draw", {"model": "flux-1"}, AUDIO),
        ("draw", {"model": "other"}, IMAGES),
        ("paint", {"model": "flux-1"}, "rateCards/flux"),
    ],
)
def test_the_most_specific_card_that_fits_prices_a_usage(
    feature: str, properties: dict[str, str], card: str
) -> None:
    phase = carded(
        PhaseCard(IMAGES, ("draw", "paint")),
        PhaseCard(AUDIO, ("draw",), {"model": "flux-*"}),
        PhaseCard("rateCards/flux", ("paint",), {"model": "flux-1"}),
        PhaseCard("rateCards/any", match={"model": "flux-*"}),
    )

    assert card_for(phase, feature, properties) == card


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PhaseCard(IMAGES, ("draw", "paint")), PhaseCard(IMAGES, ("paint",))),
        (PhaseCard(IMAGES, ("draw",)), PhaseCard(IMAGES, match={"model": ""})),
        (PhaseCard(IMAGES, match={"model": "a*"}), PhaseCard(IMAGES, match={"region": "e*"})),
        (PhaseCard(IMAGES, match={"model": "large"}), PhaseCard(IMAGES, match={"region": "eu"})),
        (PhaseCard(IMAGES, match={"model": "a*"}), PhaseCard(IMAGES, match={"model": "*a"})),
    ],
)
def test_two_cards_that_are_equally_specific_and_may_meet_are_refused(
    one: PhaseCard, other: PhaseCard
) -> None:
    refused = refusal_of(one, other)

    assert isinstance(refused, CardsAmbiguous)
    assert refused.field == "plan.phases[0].additional_cards[1]"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PhaseCard(IMAGES, ("draw",)), PhaseCard(IMAGES, ("paint",))),
        (PhaseCard(IMAGES, match={"model": "a"}), PhaseCard(IMAGES, match={"model": "b"})),
        (PhaseCard(IMAGES, match={"model": "a"}), PhaseCard(IMAGES, match={"model": "*"})),
        (PhaseCard(IMAGES, ("draw",), {"model": "a"}), PhaseCard(IMAGES, ("draw",))),
        (PhaseCard(IMAGES, ("draw",)), PhaseCard(IMAGES, match={"model": "a"})),
    ],
)
def test_cards_that_never_meet_or_differ_in_specificity_are_taken(one: PhaseCard, other: PhaseCard) -> None:
    ledger = agreed()
    ledger.run(msgspec.structs.replace(create_rate_card(), rate_card=IMAGES))

    assert ledger.run(publish_plan(carded(one, other)))


@pytest.mark.parametrize(
    ("card", "refusal", "field"),
    [
        (PhaseCard(IMAGES), FieldRequired, "features"),
        (PhaseCard("images", ("draw",)), FieldMalformed, "rate_card"),
        (PhaseCard("rateCards/none", ("draw",)), RateCardNotFound, "rate_card"),
        (PhaseCard(IMAGES, ("draw", "draw")), FieldMalformed, "features"),
        (PhaseCard(IMAGES, ("a b",)), FieldMalformed, "features"),
        (PhaseCard(IMAGES, tuple(f"f{n}" for n in range(101))), FieldTooLong, "features"),
        (PhaseCard(IMAGES, match={f"p{n}": "" for n in range(17)}), FieldTooLong, "match"),
        (PhaseCard(IMAGES, match={"P": "x"}), FieldMalformed, "match"),
    ],
)
def test_a_card_that_no_phase_can_have_is_refused(
    card: PhaseCard, refusal: type[Refusal], field: str
) -> None:
    refused = refusal_of(card)

    assert isinstance(refused, refusal)
    assert refused.field == f"plan.phases[0].additional_cards[0].{field}"


def test_a_phase_has_at_most_so_many_further_cards() -> None:
    cards = [PhaseCard(IMAGES, (f"f{n}",)) for n in range(CARDS_MAX + 1)]

    refused = refusal_of(*cards)

    assert (type(refused), refused.field) == (FieldTooLong, "plan.phases[0].additional_cards")
    ledger = agreed()
    ledger.run(msgspec.structs.replace(create_rate_card(), rate_card=IMAGES))
    assert ledger.run(publish_plan(carded(*cards[:CARDS_MAX])))


def test_every_card_counts_the_asset_of_the_plan() -> None:
    ledger = agreed()
    tokens = Asset("TOKEN", 0)
    ledger.run(msgspec.structs.replace(create_rate_card(), rate_card=IMAGES, asset=tokens))

    with pytest.raises(AssetMismatch) as refused:
        ledger.run(publish_plan(carded(PhaseCard(IMAGES, ("draw",)))))

    assert refused.value.field == "plan.asset"


def test_a_scheduled_phase_may_bring_further_cards_and_is_checked_alike() -> None:
    ledger = agreed()
    ledger.run(sign_contract())
    ledger.run(msgspec.structs.replace(create_rate_card(), rate_card=IMAGES))
    images = carded(PhaseCard(IMAGES, ("draw",)))

    event = ledger.answer(schedule_phase("additional_cards", terms=images)).event

    assert isinstance(event, ContractPhaseScheduled)
    assert event.phases[0].terms.additional_cards == (PhaseCard(IMAGES, ("draw",)),)
    assert event.phases[0].terms.rate_card == RATE_CARD
    for cards, refusal in (
        ((PhaseCard("rateCards/none", ("draw",)),), RateCardNotFound),
        ((PhaseCard(IMAGES, ("a",)), PhaseCard(IMAGES, ("a", "b"))), CardsAmbiguous),
    ):
        with pytest.raises(refusal):
            ledger.run(schedule_phase("additional_cards", terms=carded(*cards)))
