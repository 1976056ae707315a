"""Laws of simulation: the phases in force change nothing, sums agree, and fast prices are the slow ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import (
    Contract,
    ContractPhase,
    PlanPhase,
    Rate,
    RateCard,
    ShortfallMode,
)
from rating_service.domain.agreements.price_terms import (
    GraduatedModel,
    PackageModel,
    PercentageModel,
    PriceTier,
    VolumeModel,
)
from rating_service.domain.price_models.running_total import RunningTotal
from rating_service.domain.prices.cycle_totals import CountedTotals, MeterKey, count
from rating_service.domain.prices.pricing import compile_phase, linear_amounts, price
from rating_service.domain.refusals import Refusal
from rating_service.domain.simulation.amounts import amount_text, net_amount, read_amount
from rating_service.domain.simulation.candidate import Candidate, price_of
from rating_service.domain.simulation.conclude import Conclusion, Question, conclude
from rating_service.domain.simulation.facts import SimulatedUsage
from rating_service.domain.simulation.fold import Simulation
from rating_service.domain.usage import Charge, ChargeTerms, Usage
from tests.unit.rating.builders import CREDIT, JANUARY, MONTHLY, card_phase, context_window, rate

TERMS = PlanPhase("main", "rateCards/llm", ShortfallMode.SOFT)
TIERS = (PriceTier("3", "1", 1_000), PriceTier("2", "0", 4_000), PriceTier("0.5"))
SPAN = timedelta(days=90)

contracts = [
    Contract(
        f"contracts/{name}",
        f"customers/{name}",
        f"wallets/{name}",
        "plans/p",
        1,
        CREDIT,
        JANUARY,
        MONTHLY,
        (ContractPhase(JANUARY, TERMS),),
    )
    for name in "ab"
]
models = st.sampled_from(
    [
        None,
        GraduatedModel(TIERS),
        VolumeModel(TIERS),
        PackageModel("7"),
        PercentageModel("2.5", "0.1", free_usages=2),
    ]
)


@st.composite
def cards(draw: st.DrawFn) -> RateCard:
    """A card of three dimensions, each of any model, with factors by the size of a request."""
    rates = [
        Rate(
            dimension=dimension,
            unit_price="" if model else draw(st.sampled_from(["0.003", "15"])),
            unit_size=draw(st.sampled_from([1, 1_000])),
            price_model=model,
            free_units=draw(st.sampled_from([0, 0, 500])),
            cycle_minimum=draw(st.sampled_from(["", "", "40"])),
            provider_cost=draw(st.sampled_from(["", "0.5"])),
        )
        for dimension in ("images", "input_tokens", "output_tokens")
        for model in [draw(models)]
    ]
    return RateCard("rateCards/llm", CREDIT, (card_phase(*rates, multipliers=[context_window()]),))


recorded_usages = st.lists(
    st.tuples(
        st.sampled_from(contracts),
        st.integers(0, 89),
        st.dictionaries(
            st.sampled_from(["images", "input_tokens", "output_tokens"]), st.integers(0, 3_000), min_size=1
        ),
        st.sampled_from(["100", "9000"]),
        st.integers(0, 10),
    ),
    max_size=25,
)


def charged(
    card: RateCard, usages: list[tuple[Contract, int, dict[str, int], str, int]]
) -> list[SimulatedUsage]:
    """Return usages with the charges that the wallet would have recorded, in the order of the log."""
    pricer = compile_phase(card.phases[0], scale=card.asset.scale, meter_root=card.name)
    counts: dict[MeterKey, RunningTotal] = {}
    facts: list[SimulatedUsage] = []
    for contract, day, quantities, context, left in usages:
        usage = Usage(
            JANUARY + timedelta(days=day), quantities, {"context_tokens": context, "model": f"m{day % 3}"}
        )
        totals = CountedTotals(contract, usage.effective_time, counts)
        charge = price(pricer, usage, ChargeTerms(contract.name), totals)
        count(counts, charge)
        facts.append(
            SimulatedUsage(contract, usage, price_of(charge), "debit", left_units=left, debited_units=10)
        )
    return facts


def simulated(card: RateCard, facts: list[SimulatedUsage]) -> Conclusion:
    """Return what a simulation under a card concludes."""
    candidates = (Candidate("c", CREDIT, (card,)),)
    simulation = Simulation(candidates)
    for fact in facts:
        simulation.add(fact)
    return conclude(Question(CREDIT, JANUARY, JANUARY + SPAN, candidates, "20", 20), simulation, contracts)


@given(card=cards(), usages=recorded_usages)
@settings(max_examples=60, deadline=None)
def test_the_phases_in_force_differ_by_nothing_from_what_was_charged(
    card: RateCard, usages: list[tuple[Contract, int, dict[str, int], str, int]]
) -> None:
    conclusion = simulated(card, charged(card, usages))

    for contract in conclusion.contracts:
        assert contract.sums.candidates[0].difference_units == "0"
    assert all(each.candidates[0].difference_units == "0" for each in conclusion.outcome.dimensions)
    assert conclusion.outcome.candidates[0].moved_count == 0


@given(old=cards(), new=cards(), usages=recorded_usages)
@settings(max_examples=60, deadline=None)
def test_every_view_adds_up_to_the_total(
    old: RateCard, new: RateCard, usages: list[tuple[Contract, int, dict[str, int], str, int]]
) -> None:
    conclusion = simulated(new, charged(old, usages))
    outcome = conclusion.outcome
    total = outcome.total

    for view in (
        tuple(each.sums for each in conclusion.contracts),
        outcome.months,
        outcome.models,
        outcome.features,
    ):
        assert sum(each.usage_count for each in view) == total.usage_count
        assert sum(Decimal(each.units_now) for each in view) == Decimal(total.units_now)
        for member in ("units", "difference_units"):
            added = sum(Decimal(getattr(each.candidates[0], member)) for each in view)
            assert added == Decimal(getattr(total.candidates[0], member))
    assert Decimal(total.candidates[0].units) - Decimal(total.units_now) == Decimal(
        total.candidates[0].difference_units
    )


@given(
    prices=st.lists(st.sampled_from(["0", "3", "0.25", "15.001"]), min_size=3, max_size=3),
    costs=st.lists(st.sampled_from(["", "1.5", "0.1"]), min_size=3, max_size=3),
    quantities=st.dictionaries(
        st.sampled_from(["a", "b", "c", "unknown"]), st.integers(-1, 10**15), max_size=4
    ),
    context=st.sampled_from(["", "100", "9000", "999999"]),
)
def test_linear_amounts_are_those_of_the_charge_or_none(
    prices: list[str], costs: list[str], quantities: dict[str, int], context: str
) -> None:
    rates = [
        Rate(dimension=name, unit_price=text, unit_size=1_000, provider_cost=cost)
        for name, text, cost in zip("abc", prices, costs, strict=True)
    ]
    pricer = compile_phase(card_phase(*rates, multipliers=[context_window()]), scale=6)
    usage = Usage(JANUARY, quantities, {"context_tokens": context} if context else {})
    try:
        charge: Charge | None = price(pricer, usage)
    except Refusal:
        charge = None
    try:
        linear = linear_amounts(pricer, usage)
    except Refusal:
        linear = None

    if charge is None:
        assert linear is None
    elif linear is not None:
        exact = {line.dimension: Fraction(line.exact_units) for line in charge.lines}
        assert {name: Fraction(amount, 10**linear.decimals) for name, amount in linear.amounts} == exact
        cost = "" if linear.cost is None else str(Fraction(linear.cost, 10**linear.cost_decimals))
        assert cost == (str(Fraction(charge.provider_cost)) if charge.provider_cost else "")
    else:
        assert len(charge.lines) < len(quantities)


@given(
    amount=st.decimals(-(10**9), 10**9, places=9).map(lambda each: f"{each:f}"),
    left=st.integers(0, 1_000),
)
def test_what_is_left_lies_within_half_a_step_of_its_share(amount: str, left: int) -> None:
    exact = read_amount(amount)
    net = net_amount(exact, left_units=left, debited_units=1_000)

    assert Fraction(amount_text(exact)) == Fraction(amount)
    assert abs(Fraction(amount_text(net)) - Fraction(amount) * left / 1_000) <= Fraction(1, 2 * 10**12)
    assert net_amount(exact, left_units=1_000, debited_units=1_000) == exact


def test_a_rate_alone_is_linear() -> None:
    pricer = compile_phase(card_phase(rate("a", "2")), scale=0)
    linear = linear_amounts(pricer, Usage(datetime(2026, 1, 1, tzinfo=JANUARY.tzinfo), {"a": 3}))

    assert linear is not None
    assert linear.amounts == [("a", 6)]
