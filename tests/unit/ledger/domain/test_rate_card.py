"""Rate cards: what may be published, and when."""

import msgspec
import pytest

from ledger_service.domain.agreement.price_terms import TIERS_MAX, UNIT_SIZE_MAX
from ledger_service.domain.agreement.rate_card import (
    MATCHES_MAX,
    MULTIPLIERS_MAX,
    RATES_MAX,
    hash_phase,
)
from ledger_service.domain.commands import PublishRateCardPhase
from ledger_service.domain.events import Multiplier, MultiplierTier, Rate, RateCardPhasePublished
from ledger_service.domain.refusals import (
    FieldMalformed,
    FieldRequired,
    FieldTooLong,
    NumberOutOfRange,
    PhaseInPast,
    PhaseOverlaps,
    RateCardExists,
    RateCardNotFound,
    RatesAmbiguous,
    Refusal,
    TiersOutOfOrder,
)
from ledger_service.domain.values import UNITS_MAX, Asset
from tests.builders import CREDIT, RATE_CARD, Book, after, book, create_rate_card, publish_phase


def rate(dimension: str = "input_tokens", price: str = "1", **match: str) -> Rate:
    """Return a rate for what matches."""
    return Rate(dimension, price, 1, match)


def context(*tiers: MultiplierTier) -> Multiplier:
    """Return a multiplier by context length."""
    return Multiplier("context_tokens", tiers)


def published(command: PublishRateCardPhase) -> RateCardPhasePublished:
    """Return what publishing on a new card records."""
    event = book(create_rate_card()).answer(command).event
    assert isinstance(event, RateCardPhasePublished)
    return event


def test_a_phase_takes_effect_at_its_own_beginning() -> None:
    recorded = book(create_rate_card()).answer(publish_phase(from_time=after(days=3)))

    assert recorded.effective_time == after(days=3)
    assert recorded.record_time == after()


def test_phases_are_numbered_in_order() -> None:
    ledger = book(create_rate_card(), publish_phase())

    event = ledger.answer(publish_phase(from_time=after(days=1))).event

    assert isinstance(event, RateCardPhasePublished)
    assert event.phase == 2


def test_a_phase_may_begin_now_but_not_a_microsecond_earlier() -> None:
    assert published(publish_phase(from_time=after())).from_time == after()

    with pytest.raises(PhaseInPast) as refused:
        published(publish_phase(from_time=after(microseconds=-1)))
    assert refused.value.field == "phase.from_time"


def test_a_cards_first_phase_may_begin_in_the_past_and_must_say_so() -> None:
    ledger = book(create_rate_card(), publish_phase(from_time=after(days=-2), retroactive=True))

    with pytest.raises(PhaseOverlaps):
        ledger.run(publish_phase(from_time=after(days=-3)))
    with pytest.raises(PhaseInPast):
        ledger.run(publish_phase(from_time=after(days=-1)))


@pytest.mark.parametrize("microseconds", [-1, 0])
def test_a_phase_must_begin_after_the_one_before_it(microseconds: int) -> None:
    ledger = book(create_rate_card(), publish_phase(from_time=after(days=1)))

    with pytest.raises(PhaseOverlaps) as refused:
        ledger.run(publish_phase(from_time=after(days=1, microseconds=microseconds)))

    assert refused.value.field == "phase.from_time"


def test_a_phase_may_begin_one_microsecond_after_the_one_before_it() -> None:
    ledger = book(create_rate_card(), publish_phase(from_time=after(days=1)))

    assert ledger.run(publish_phase(from_time=after(days=1, microseconds=1))) != []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({"model": "large"}, {"model": "large"}),
        ({"model": "large"}, {"region": "euro1"}),
        ({"model": "a*"}, {"model": "*b"}),
        ({"model": "gpt-*-8k"}, {"model": "gpt-4*8k"}),
        ({"model": "*ab"}, {"model": "ba*"}),
        ({"model": "*"}, {"region": "*"}),
        ({"model": "a*", "region": "eu"}, {"model": "ab", "region": "e*"}),
        ({"model": "large"}, {"region": "eu"}),
        ({"model": "large", "region": "*"}, {"model": "*", "region": "eu"}),
    ],
)
def test_equally_specific_rates_that_may_price_the_same_usage_are_refused(
    one: dict[str, str], other: dict[str, str]
) -> None:
    with pytest.raises(RatesAmbiguous) as refused:
        published(publish_phase(rate(**one), rate(**other)))

    assert refused.value.field == "phase.rates"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({}, {"model": "large"}, id="more properties"),
        pytest.param({"model": "*"}, {"model": "large"}, id="fewer wildcards"),
        pytest.param({"model": "gpt-*"}, {"model": "gpt-4*"}, id="more literal characters"),
        pytest.param({"model": "a*c"}, {"model": "b*c"}, id="patterns apart"),
        pytest.param({"model": "large"}, {"model": "small"}, id="values apart"),
        pytest.param({"model": "x", "region": "eu"}, {"model": "x", "region": "us"}, id="one key apart"),
    ],
)
def test_rates_of_which_one_is_more_specific_or_that_cannot_meet_are_published(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert len(published(publish_phase(rate(**one), rate(**other))).rates) == 2


def test_the_same_match_may_price_different_dimensions() -> None:
    assert published(publish_phase(rate("input_tokens"), rate("output_tokens"))).phase == 1


@pytest.mark.parametrize("unit_size", [1, 2, 5, 10, 1_000, 1_000_000, 2**39, UNIT_SIZE_MAX])
def test_a_unit_size_of_twos_and_fives_keeps_prices_exact(unit_size: int) -> None:
    assert published(publish_phase(Rate("input_tokens", "1", unit_size))).rates[0].unit_size == unit_size


@pytest.mark.parametrize("unit_size", [0, -1, 3, 6, 7, 30, 1_500, UNIT_SIZE_MAX + 1, 2**40])
def test_any_other_unit_size_is_refused(unit_size: int) -> None:
    with pytest.raises(NumberOutOfRange) as refused:
        published(publish_phase(Rate("input_tokens", "1", unit_size)))

    assert refused.value.field == "phase.rates[0].unit_size"


def tiers(*bounds: int) -> tuple[MultiplierTier, ...]:
    """Return tiers up to these bounds."""
    return tuple(MultiplierTier(bound, "1.5") for bound in bounds)


@pytest.mark.parametrize("bounds", [(0,), (0, 1), (8192, 32768, UNITS_MAX), tuple(range(TIERS_MAX))])
def test_tiers_that_ascend_are_published(bounds: tuple[int, ...]) -> None:
    command = msgspec.structs.replace(publish_phase(), multipliers=(context(*tiers(*bounds)),))

    assert published(command).multipliers[0].tiers == tiers(*bounds)


@pytest.mark.parametrize("bounds", [(8192, 8192), (8192, 8191), (0, 0), (1, 3, 2)])
def test_tiers_that_do_not_ascend_are_refused(bounds: tuple[int, ...]) -> None:
    command = msgspec.structs.replace(publish_phase(), multipliers=(context(*tiers(*bounds)),))

    with pytest.raises(TiersOutOfOrder) as refused:
        published(command)
    assert refused.value.field == "phase.multipliers[0].tiers"


def many_rates(count: int) -> tuple[Rate, ...]:
    """Return so many rates that never meet."""
    return tuple(rate(model=f"model-{index}") for index in range(count))


def many_matches(count: int) -> dict[str, str]:
    """Return a match of so many properties."""
    return {f"key_{index}": "x" for index in range(count)}


ONE_TIER = tiers(1)


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"rates": ()}, FieldRequired, "phase.rates"),
        ({"rates": many_rates(RATES_MAX + 1)}, FieldTooLong, "phase.rates"),
        ({"rates": (rate(), Rate("Input", "1"))}, FieldMalformed, "phase.rates[1].dimension"),
        ({"rates": (rate(price="-1"),)}, FieldMalformed, "phase.rates[0].unit.unit_price"),
        ({"rates": (rate(price=""),)}, FieldRequired, "phase.rates[0].unit.unit_price"),
        ({"rates": (rate(**many_matches(MATCHES_MAX + 1)),)}, FieldTooLong, "phase.rates[0].match"),
        ({"rates": (rate(Model="x"),)}, FieldMalformed, "phase.rates[0].match"),
        ({"rates": (rate(model="x" * 201),)}, FieldTooLong, "phase.rates[0].match.model"),
        ({"multipliers": (context(*ONE_TIER),) * (MULTIPLIERS_MAX + 1)}, FieldTooLong, "phase.multipliers"),
        ({"multipliers": (Multiplier("", ONE_TIER),)}, FieldRequired, "phase.multipliers[0].property"),
        (
            {"multipliers": (Multiplier("x", ONE_TIER, ("Y",)),)},
            FieldMalformed,
            "phase.multipliers[0].dimensions",
        ),
        ({"multipliers": (context(),)}, FieldRequired, "phase.multipliers[0].tiers"),
        (
            {"multipliers": (context(*tiers(*range(TIERS_MAX + 1))),)},
            FieldTooLong,
            "phase.multipliers[0].tiers",
        ),
        (
            {"multipliers": (context(MultiplierTier(1, "x")),)},
            FieldMalformed,
            "phase.multipliers[0].tiers.factor",
        ),
        ({"multipliers": (context(*tiers(-1)),)}, NumberOutOfRange, "phase.multipliers[0].tiers.up_to"),
        (
            {"multipliers": (context(*tiers(UNITS_MAX + 1)),)},
            NumberOutOfRange,
            "phase.multipliers[0].tiers.up_to",
        ),
    ],
)
def test_a_phases_field_beyond_its_boundary_is_refused_by_name(
    changes: dict[str, object], refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        published(msgspec.structs.replace(publish_phase(), **changes))

    assert refused.value.field == field


@pytest.mark.parametrize(
    "changes",
    [
        {"rates": many_rates(RATES_MAX)},
        {"rates": (rate(**many_matches(MATCHES_MAX)),)},
        {"rates": (rate(model="x" * 200),)},
        {"multipliers": (context(*ONE_TIER),) * MULTIPLIERS_MAX},
    ],
)
def test_a_phases_field_may_reach_its_boundary(changes: dict[str, object]) -> None:
    assert published(msgspec.structs.replace(publish_phase(), **changes)).phase == 1


def test_the_hash_of_a_phase_covers_card_asset_and_every_member() -> None:
    phase = published(publish_phase())
    hashes = {
        hash_phase(RATE_CARD, CREDIT, phase),
        hash_phase("rateCards/other", CREDIT, phase),
        hash_phase(RATE_CARD, Asset("TOKEN", 0), phase),
        hash_phase(RATE_CARD, CREDIT, msgspec.structs.replace(phase, phase=2)),
        hash_phase(RATE_CARD, CREDIT, msgspec.structs.replace(phase, from_time=after(days=1))),
        hash_phase(RATE_CARD, CREDIT, msgspec.structs.replace(phase, rates=(rate(price="2"),))),
        hash_phase(RATE_CARD, CREDIT, msgspec.structs.replace(phase, multipliers=(context(*ONE_TIER),))),
    }

    assert len(hashes) == 7
    assert phase.phase_hash == hash_phase(RATE_CARD, CREDIT, phase)


def test_a_rate_card_is_created_once() -> None:
    with pytest.raises(RateCardExists) as refused:
        book(create_rate_card(), create_rate_card())

    assert refused.value.field == "rate_card_id"


def test_a_phase_of_no_rate_card_is_refused() -> None:
    with pytest.raises(RateCardNotFound) as refused:
        Book().run(publish_phase())

    assert refused.value.field == "name"


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"asset": Asset("", 0)}, FieldRequired, "rate_card.asset.code"),
        ({"display_name": "x" * 201}, FieldTooLong, "rate_card.display_name"),
        ({"unit_definitions": {"Tokens": "x"}}, FieldMalformed, "rate_card.unit_definitions"),
        ({"unit_definitions": {"tokens": "x" * 201}}, FieldTooLong, "rate_card.unit_definitions"),
    ],
)
def test_a_rate_cards_field_beyond_its_boundary_is_refused_by_name(
    changes: dict[str, object], refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        book(msgspec.structs.replace(create_rate_card(), **changes))

    assert refused.value.field == field
