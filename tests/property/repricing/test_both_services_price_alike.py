"""Rating prices usage; the ledger's audit prices the recorded charge again. Written apart, they must agree."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger_service.domain.agreement.repricing import prepare, reprice
from ledger_service.domain.agreement.repricing_match import fits as fits_again
from ledger_service.domain.agreement.repricing_terms import NOTHING, owed, terms_of
from ledger_service.domain.events import Charge as RecordedCharge
from ledger_service.domain.events import Rate as RecordedRate
from ledger_service.domain.events import RateCardPhasePublished as RecordedPhase
from ledger_service.domain.events import RunningTotal as RecordedTotal
from rating_service.domain.agreements.agreement import (
    BeyondLastTier,
    Multiplier,
    MultiplierTier,
    Rate,
    RateCardPhase,
)
from rating_service.domain.agreements.agreement_events import RateCardPhasePublished
from rating_service.domain.agreements.price_terms import (
    Band,
    Bracket,
    FlatModel,
    GraduatedModel,
    GraduatedPercentageModel,
    MultiplierModel,
    PackageModel,
    PercentageModel,
    PercentageTier,
    PriceTier,
    RateScope,
    VolumeModel,
)
from rating_service.domain.price_models.running_total import RunningTotal, ToldTotals
from rating_service.domain.prices.matching import fits
from rating_service.domain.prices.pricing import compile_phase, price
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Charge, Usage
from tests.unit.rating.builders import JANUARY

DIMENSIONS = ("calls", "seconds", "tokens")
PRICES = st.builds(lambda digits, places: f"{digits}.{'0' * places}5", st.integers(0, 50), st.integers(0, 6))
FEES = st.one_of(st.just("0"), PRICES)
SIZES = st.sampled_from([1, 2, 10, 1000])
SCALE = 6


@st.composite
def tiers(
    draw: st.DrawFn, kind: type[PriceTier] | type[PercentageTier]
) -> tuple[PriceTier | PercentageTier, ...]:
    """Draw tiers with fees up to the end."""
    ends = sorted(draw(st.sets(st.integers(0, 60), max_size=3)))
    return tuple(kind(draw(PRICES), draw(FEES), end) for end in [*ends, None])


MODELS = st.one_of(
    st.none(),
    st.builds(FlatModel, PRICES),
    st.builds(GraduatedModel, tiers(PriceTier)),
    st.builds(VolumeModel, tiers(PriceTier)),
    st.builds(PackageModel, PRICES),
    st.builds(PercentageModel, PRICES, FEES, st.integers(0, 3)),
    st.builds(GraduatedPercentageModel, tiers(PercentageTier)),
    st.builds(MultiplierModel, PRICES),
)


@st.composite
def rates(draw: st.DrawFn, dimension: str, match: dict[str, str]) -> Rate:
    """Draw a rate that a card may hold."""
    model = draw(MODELS)
    scope = draw(st.sampled_from(RateScope))
    span = draw(st.sampled_from(["", "usage", "cycle"]))
    low, high = sorted(draw(st.tuples(st.integers(0, 900), st.integers(0, 900))))
    ends = {
        "minimum": str(low) if draw(st.booleans()) else "",
        "maximum": str(high) if draw(st.booleans()) else "",
    }
    if isinstance(model, PercentageModel) or scope is RateScope.USAGE:
        span = "usage" if span else ""
    if isinstance(model, PercentageModel) and scope is RateScope.USAGE:
        model = msgspec.structs.replace(model, free_usages=0)
    return Rate(
        dimension,
        "" if model else draw(PRICES),
        draw(SIZES),
        match,
        price_model=model,
        scope=scope,
        free_units=0 if isinstance(model, FlatModel) else draw(st.integers(0, 30)),
        zero_quantity_free=draw(st.booleans()),
        provider_cost=draw(PRICES) if isinstance(model, MultiplierModel) or draw(st.booleans()) else "",
        charge_if=draw(st.sampled_from([{}, {}, {"status": "2*"}])),
        **{f"{span}_{name}": text for name, text in ends.items() if span},
    )


@st.composite
def phases(draw: st.DrawFn) -> RateCardPhase:
    """Draw a phase with one general and perhaps one special rate a dimension, multipliers and brackets."""
    drawn: list[Rate] = []
    for dimension in draw(st.lists(st.sampled_from(DIMENSIONS), min_size=1, unique=True)):
        matches = draw(st.lists(st.sampled_from(MATCHES), min_size=1, unique=True))
        drawn += [draw(rates(dimension, {"model": match} if match else {})) for match in matches]
    multipliers = draw(
        st.lists(st.sampled_from(MULTIPLIERS), max_size=2, unique_by=lambda each: each.property)
    )
    if any(rate.cycle_minimum or rate.cycle_maximum for rate in drawn):
        multipliers = []
    brackets = draw(st.sampled_from([(), (BRACKET,)]))
    if brackets:
        drawn.append(draw(rates("calls", {"size": "big", "model": "*"})))
    return RateCardPhase(
        "rateCards/llm/phases/1",
        JANUARY,
        tuple(drawn),
        "ab",
        tuple(multipliers),
        brackets,
        cost_currency="USD",
    )


MATCHES = ("", "*", "large-*", "large-1")
STEPS = (MultiplierTier(8, "1.0"), MultiplierTier(32, "1.8"), MultiplierTier(64, "3.25"))
MULTIPLIERS = (
    Multiplier("context", STEPS, beyond_last_tier=BeyondLastTier.LAST_APPLIES),
    Multiplier("together", STEPS, ("calls",), BeyondLastTier.LAST_APPLIES, ("calls", "tokens", "images")),
)
BRACKET = Bracket("size", ("calls", "seconds"), (Band("small", 20), Band("big")))
QUANTITIES = st.dictionaries(st.sampled_from(DIMENSIONS), st.integers(0, 90), min_size=1)
COUNTED = st.tuples(st.integers(0, 90), st.integers(1, 4)).map(lambda both: RunningTotal(*both))
TOTALS = st.dictionaries(st.sampled_from(DIMENSIONS), st.one_of(st.just(RunningTotal()), COUNTED))
PROPERTIES = st.fixed_dictionaries(
    {
        "context": st.integers(0, 80).map(str),
        "status": st.sampled_from(["200", "404"]),
        "model": st.sampled_from(["large-1", "large-2", "small"]),
    }
)


def recorded(phase: RateCardPhase) -> RecordedPhase:
    """Return the phase as the ledger stores it."""
    event = RateCardPhasePublished(
        1,
        phase.from_time,
        phase.rates,
        phase.phase_hash,
        phase.multipliers,
        phase.brackets,
        cost_currency="USD",
    )
    return msgspec.json.decode(msgspec.json.encode(event), type=RecordedPhase)


def recorded_charge(charge: Charge) -> RecordedCharge:
    """Return the charge as the ledger stores it."""
    return msgspec.json.decode(msgspec.json.encode(charge), type=RecordedCharge)


@given(phases(), QUANTITIES, PROPERTIES, TOTALS)
def test_a_charge_priced_again_by_the_ledger_is_the_charge_that_rating_made(
    phase: RateCardPhase,
    quantities: dict[str, int],
    properties: dict[str, str],
    totals: dict[str, RunningTotal],
) -> None:
    pricer = compile_phase(phase, scale=SCALE, meter_root="rateCards/llm")
    try:
        charge = price(pricer, Usage(JANUARY, quantities, properties), totals=ToldTotals(totals))
    except Refusal:
        assume(False)
        raise
    said = recorded_charge(charge)

    again = reprice(prepare(recorded(phase), scale=SCALE, meter_root="rateCards/llm"), said)

    assert again.lines == said.lines
    assert again.exact_units == said.exact_units
    assert (again.provider_cost, again.cost_currency) == (said.provider_cost, said.cost_currency)


@given(rates("calls", {}), st.integers(0, 90), st.one_of(st.just(RunningTotal()), COUNTED))
def test_the_terms_of_a_usage_are_what_its_total_grew_by(
    rate: Rate, quantity: int, before: RunningTotal
) -> None:
    assume(not isinstance(rate.price_model, PercentageModel))
    bare = msgspec.structs.replace(
        rate, free_units=0, usage_minimum="", usage_maximum="", cycle_minimum="", cycle_maximum=""
    )
    known = msgspec.json.decode(msgspec.json.encode(bare), type=RecordedRate)
    total = RecordedTotal("", before.quantity, before.usages)

    terms = terms_of(known, quantity=quantity, before=total, factor=Fraction(1), scale=SCALE)

    unit = Fraction(10**SCALE)
    grown = owed(known, before.quantity + quantity, begun=True, unit=unit)
    grown -= owed(known, before.quantity, begun=before.usages > 0, unit=unit)
    assert sum((term.amount for term in terms), NOTHING) == grown


@given(st.text("ab*", max_size=8), st.text("ab*", max_size=8))
def test_both_services_read_a_pattern_alike(pattern: str, value: str) -> None:
    assert fits_again(pattern, value) == fits(pattern, value)


@pytest.mark.parametrize("model", ["large-1", "large-2", "small"])
def test_the_law_sees_every_kind_of_match(model: str) -> None:
    phase = RateCardPhase(
        "rateCards/llm/phases/1",
        JANUARY,
        tuple(
            Rate("calls", text, 1, {"model": match})
            for text, match in (("3", "*"), ("2", "large-*"), ("1", "large-1"))
        ),
    )
    charge = price(compile_phase(phase, scale=SCALE), Usage(JANUARY, {"calls": 1}, {"model": model}))

    again = reprice(prepare(recorded(phase), scale=SCALE, meter_root=""), recorded_charge(charge))

    assert again.lines[0].unit_price == {"large-1": "1", "large-2": "2", "small": "3"}[model]
