"""Prices: what a publication accepts, and each refusal with its field, one step either side of the boundary."""

import msgspec
import pytest

from ledger_service.domain.agreement.price_terms import SUMMANDS_MAX, TIERS_MAX, UNIT_SIZE_MAX
from ledger_service.domain.agreement.rate_card import BRACKETS_MAX, MATCHES_MAX, hash_phase
from ledger_service.domain.commands import PublishRateCardPhase
from ledger_service.domain.events import Bracket, Multiplier, MultiplierTier, PriceModel, Rate
from ledger_service.domain.events.agreements import RateCardPhasePublished
from ledger_service.domain.events.price_models import (
    Band,
    FlatModel,
    GraduatedModel,
    GraduatedPercentageModel,
    MultiplierModel,
    PackageModel,
    PercentageModel,
    PercentageTier,
    PriceTier,
    VolumeModel,
)
from ledger_service.domain.refusals import (
    BoundsOutOfOrder,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
    NumberOutOfRange,
    RatesAmbiguous,
    Refusal,
    TiersIncomplete,
    TiersOutOfOrder,
)
from ledger_service.domain.values import UNITS_MAX, Counters, RateScope
from tests.builders import CREDIT, RATE_CARD, book, create_rate_card, publish_phase

USAGE = RateScope.USAGE
ENDLESS = PriceTier("1")


def priced(model: PriceModel | None, **terms: object) -> Rate:
    """Return a rate of this model; a linear one costs 1."""
    rate = Rate("calls", "" if model else "1", price_model=model)
    return msgspec.structs.replace(rate, **terms)


def steps(*ends: int | None) -> tuple[PriceTier, ...]:
    """Return tiers that end here."""
    return tuple(PriceTier("1", "0", end) for end in ends)


def bracket(*ends: int | None, sum_of: tuple[str, ...] = ("input_tokens",)) -> Bracket:
    """Return a bracket whose bands end here."""
    return Bracket("context", sum_of, tuple(Band(f"band-{end}", end) for end in ends))


def command(*rates: Rate, **changes: object) -> PublishRateCardPhase:
    """Return a publication in US dollars of cost."""
    changed: PublishRateCardPhase = msgspec.structs.replace(
        publish_phase(*rates), **({"cost_currency": "USD"} | changes)
    )
    return changed


def published(asked: PublishRateCardPhase) -> RateCardPhasePublished:
    """Return what publishing on a new card records."""
    event = book(create_rate_card()).answer(asked).event
    assert isinstance(event, RateCardPhasePublished)
    return event


@pytest.mark.parametrize(
    "rate",
    [
        priced(FlatModel("3")),
        priced(FlatModel("0"), scope=USAGE, usage_minimum="1", usage_maximum="1"),
        priced(GraduatedModel(steps(0, 1, UNITS_MAX, None)), free_units=UNITS_MAX, cycle_minimum="5"),
        priced(GraduatedModel(steps(*range(TIERS_MAX - 1), None))),
        priced(VolumeModel((PriceTier("0.000000000000000001", "2"),)), zero_quantity_free=True),
        priced(VolumeModel(steps(5, None)), scope=USAGE, usage_maximum="0"),
        priced(PackageModel("5"), unit_size=3),
        priced(PackageModel("5"), unit_size=UNIT_SIZE_MAX, provider_cost="0.1"),
        priced(PercentageModel("2.99"), usage_minimum="1.75", usage_maximum="12", unit_size=100),
        priced(PercentageModel("0.0000000000000001", "0.1", UNITS_MAX), usage_maximum="9"),
        priced(GraduatedPercentageModel((PercentageTier("1", "200", 10), PercentageTier("2")))),
        priced(None, free_units=1, cycle_minimum="1", cycle_maximum="1"),
        priced(None, charge_if={f"key_{index}": "*" for index in range(MATCHES_MAX)}),
    ],
)
def test_each_model_is_published_as_it_was_asked_for(rate: Rate) -> None:
    assert published(command(rate)).rates == (rate,)


@pytest.mark.parametrize(
    ("rate", "refusal", "field"),
    [
        (priced(FlatModel("")), FieldRequired, "flat.price"),
        (priced(FlatModel("-1")), FieldMalformed, "flat.price"),
        (priced(FlatModel("1e3")), FieldMalformed, "flat.price"),
        (priced(FlatModel("1"), free_units=1), FieldNotAllowed, "free_units"),
        (priced(GraduatedModel(())), FieldRequired, "graduated.tiers"),
        (priced(GraduatedModel(steps(*range(TIERS_MAX), None))), FieldTooLong, "graduated.tiers"),
        (priced(GraduatedModel(steps(5, 5, None))), TiersOutOfOrder, "graduated.tiers[1].up_to"),
        (priced(GraduatedModel(steps(5, 4, None))), TiersOutOfOrder, "graduated.tiers[1].up_to"),
        (priced(GraduatedModel(steps(-1, None))), NumberOutOfRange, "graduated.tiers[0].up_to"),
        (priced(GraduatedModel(steps(UNITS_MAX + 1, None))), NumberOutOfRange, "graduated.tiers[0].up_to"),
        (priced(GraduatedModel(steps(5, 10))), TiersIncomplete, "graduated.tiers[1].up_to"),
        (priced(GraduatedModel(steps(None, None))), TiersIncomplete, "graduated.tiers[0].up_to"),
        (priced(VolumeModel((PriceTier("0.5x"),))), FieldMalformed, "volume.tiers[0].unit_price"),
        (
            priced(VolumeModel((PriceTier("0.0000000000000000001"),))),
            FieldMalformed,
            "volume.tiers[0].unit_price",
        ),
        (priced(VolumeModel((PriceTier("1", "-2"),))), FieldMalformed, "volume.tiers[0].flat_fee"),
        (priced(VolumeModel((ENDLESS,)), unit_size=3), NumberOutOfRange, "unit_size"),
        (priced(VolumeModel((ENDLESS,)), usage_minimum="1"), FieldNotAllowed, "usage_minimum"),
        (priced(VolumeModel((ENDLESS,)), usage_maximum="1"), FieldNotAllowed, "usage_maximum"),
        (priced(PackageModel("x")), FieldMalformed, "package.package_price"),
        (priced(PackageModel("5"), unit_size=0), NumberOutOfRange, "unit_size"),
        (priced(PackageModel("5"), unit_size=UNIT_SIZE_MAX + 1), NumberOutOfRange, "unit_size"),
        (priced(PackageModel("5"), unit_size=3, provider_cost="1"), NumberOutOfRange, "unit_size"),
        (priced(PercentageModel("0.00000000000000001")), FieldMalformed, "percentage.percent"),
        (priced(PercentageModel("1", "-1")), FieldMalformed, "percentage.fixed_fee"),
        (priced(PercentageModel("1", "0", -1)), NumberOutOfRange, "percentage.free_usages"),
        (priced(PercentageModel("1", "0", 1), scope=USAGE), FieldNotAllowed, "percentage.free_usages"),
        (
            priced(GraduatedPercentageModel((PercentageTier("x"),))),
            FieldMalformed,
            "graduated_percentage.tiers[0].percent",
        ),
        (priced(MultiplierModel("1.0000000001"), provider_cost="1"), FieldMalformed, "multiplier.factor"),
        (priced(MultiplierModel("1.5")), FieldRequired, "provider_cost"),
        (priced(None, free_units=-1), NumberOutOfRange, "free_units"),
        (priced(None, free_units=UNITS_MAX + 1), NumberOutOfRange, "free_units"),
        (priced(None, scope=USAGE, cycle_minimum="1"), FieldNotAllowed, "cycle_minimum"),
        (priced(None, scope=USAGE, cycle_maximum="1"), FieldNotAllowed, "cycle_maximum"),
        (priced(None, cycle_minimum="1.0", cycle_maximum="0.99"), BoundsOutOfOrder, "cycle_maximum"),
        (priced(None, cycle_minimum="1", usage_maximum="1"), FieldNotAllowed, "usage_maximum"),
        (priced(PercentageModel("1"), cycle_minimum="1"), FieldNotAllowed, "cycle_minimum"),
        (priced(PercentageModel("1"), cycle_maximum="1"), FieldNotAllowed, "cycle_maximum"),
        (priced(None, usage_minimum="2", usage_maximum="1"), BoundsOutOfOrder, "usage_maximum"),
        (priced(None, usage_minimum="-2"), FieldMalformed, "usage_minimum"),
        (priced(None, provider_cost="-1"), FieldMalformed, "provider_cost"),
        (priced(None, charge_if={"Outcome": "x"}), FieldMalformed, "charge_if"),
        (
            priced(None, charge_if={f"key_{index}": "*" for index in range(MATCHES_MAX + 1)}),
            FieldTooLong,
            "charge_if",
        ),
    ],
)
def test_a_price_that_cannot_stand_is_refused_with_its_field(
    rate: Rate, refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        published(command(rate))

    assert refused.value.field == f"phase.rates[0].{field}"


def test_cost_plus_is_in_the_currency_of_the_card() -> None:
    rate = priced(MultiplierModel("1.2"), provider_cost="0.5")

    with pytest.raises(FieldMalformed) as refused:
        published(command(rate))

    assert refused.value.field == "phase.cost_currency"


@pytest.mark.parametrize(("currency", "refusal"), [("", FieldRequired), ("usd", FieldMalformed)])
def test_a_provider_cost_is_in_a_currency(currency: str, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal) as refused:
        published(command(priced(None, provider_cost="1"), cost_currency=currency))

    assert refused.value.field == "phase.cost_currency"


def test_two_equally_specific_rates_are_refused_whatever_their_models() -> None:
    with pytest.raises(RatesAmbiguous) as refused:
        published(command(priced(None), priced(FlatModel("1"))))

    assert refused.value.field == "phase.rates"


@pytest.mark.parametrize(
    ("brackets", "refusal", "field"),
    [
        ((bracket(None),) * (BRACKETS_MAX + 1), FieldTooLong, ""),
        ((bracket(None),) * 2, FieldNotAllowed, "[1].property"),
        ((Bracket("", ("a",), (Band("x"),)),), FieldRequired, "[0].property"),
        ((bracket(None, sum_of=()),), FieldRequired, "[0].sum_of"),
        ((bracket(None, sum_of=("a", "a")),), FieldNotAllowed, "[0].sum_of[1]"),
        (
            (bracket(None, sum_of=tuple(f"d{index}" for index in range(SUMMANDS_MAX + 1))),),
            FieldTooLong,
            "[0].sum_of",
        ),
        ((bracket(),), FieldRequired, "[0].bands"),
        ((bracket(5, 5, None),), TiersOutOfOrder, "[0].bands[1].up_to"),
        ((bracket(5, 6),), TiersIncomplete, "[0].bands[1].up_to"),
        ((Bracket("context", ("a",), (Band(""),)),), FieldRequired, "[0].bands[0].value"),
        ((Bracket("context", ("a",), (Band("x" * 201),)),), FieldTooLong, "[0].bands[0].value"),
    ],
)
def test_a_bracket_that_cannot_stand_is_refused_with_its_field(
    brackets: tuple[Bracket, ...], refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        published(command(brackets=brackets))

    assert refused.value.field == f"phase.brackets{field}"


def test_brackets_counters_and_sums_are_recorded() -> None:
    asked = command(
        brackets=(bracket(200_000, None),),
        counters=Counters.RESTART,
        multipliers=(Multiplier("prompt", (MultiplierTier(1, "2"),), sum_of=("a", "b")),),
    )

    phase = published(asked)

    assert (phase.brackets, phase.counters, phase.cost_currency, phase.multipliers) == (
        asked.brackets,
        Counters.RESTART,
        "USD",
        asked.multipliers,
    )


def test_a_multiplier_adds_up_no_quantity_twice() -> None:
    multiplier = Multiplier("prompt", (MultiplierTier(1, "2"),), sum_of=("a", "a"))

    with pytest.raises(FieldNotAllowed) as refused:
        published(command(multipliers=(multiplier,)))

    assert refused.value.field == "phase.multipliers[0].sum_of[1]"


@pytest.mark.parametrize("dimensions", [(), ("calls",)])
def test_a_cycle_that_is_bounded_is_not_multiplied(dimensions: tuple[str, ...]) -> None:
    scaled = Multiplier("context_tokens", (MultiplierTier(1, "2"),), dimensions)
    bounded = command(priced(None, cycle_maximum="5"), multipliers=(scaled,))

    with pytest.raises(FieldNotAllowed) as refused:
        published(bounded)

    assert refused.value.field == "phase.rates[0].cycle_maximum"
    other = msgspec.structs.replace(scaled, dimensions=("tokens",))
    assert published(msgspec.structs.replace(bounded, multipliers=(other,))).phase == 1


def test_the_hash_of_a_phase_covers_what_prices_grew_by() -> None:
    phase = published(command())
    grown: list[dict[str, object]] = [
        {"brackets": (bracket(None),)},
        {"counters": Counters.RESTART},
        {"cost_currency": "EUR"},
        {"rates": (priced(None, free_units=1),)},
        {"rates": (priced(None),)},
        {"rates": (priced(FlatModel("1")),)},
        {"rates": (priced(PackageModel("1")),)},
    ]

    hashes = {hash_phase(RATE_CARD, CREDIT, msgspec.structs.replace(phase, **each)) for each in grown}

    assert len(hashes | {phase.phase_hash}) == len(grown) + 1
