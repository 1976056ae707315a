"""Laws of the price models: any split costs what the whole costs, whatever the order and the boundaries."""

from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import Rate
from rating_service.domain.agreements.price_terms import (
    FlatModel,
    GraduatedModel,
    GraduatedPercentageModel,
    PackageModel,
    PercentageModel,
    PercentageTier,
    PriceTier,
    VolumeModel,
)
from rating_service.domain.exact import parse_exact
from rating_service.domain.price_models.running_total import NOTHING, RunningTotal, ToldTotals, advanced
from rating_service.domain.prices.pricing import price
from rating_service.domain.usage import ChargeLine
from tests.unit.rating.builders import pricer, usage

ENDS = st.sets(st.integers(0, 60), max_size=4).map(sorted)
PRICES = st.builds(lambda digits, places: f"{digits}.{'0' * places}5", st.integers(0, 50), st.integers(0, 6))
FEES = st.one_of(st.just("0"), PRICES)
QUANTITIES = st.lists(st.integers(0, 40), min_size=1, max_size=8)
SIZES = st.sampled_from([1, 2, 10, 1000])


@st.composite
def price_tiers(draw: st.DrawFn) -> tuple[PriceTier, ...]:
    """Draw tiers with fees up to the end."""
    return tuple(PriceTier(draw(PRICES), draw(FEES), end) for end in [*draw(ENDS), None])


@st.composite
def percentage_tiers(draw: st.DrawFn) -> tuple[PercentageTier, ...]:
    """Draw shares with fees up to the end."""
    return tuple(PercentageTier(draw(PRICES), draw(FEES), end) for end in [*draw(ENDS), None])


MONOTONE_MODELS = st.one_of(
    st.none(),
    st.builds(FlatModel, PRICES),
    st.builds(GraduatedModel, price_tiers()),
    st.builds(PackageModel, PRICES),
    st.builds(GraduatedPercentageModel, percentage_tiers()),
)
MODELS = st.one_of(MONOTONE_MODELS, st.builds(VolumeModel, price_tiers()))


@st.composite
def rates(draw: st.DrawFn, models: st.SearchStrategy[object] = MODELS) -> Rate:
    """Draw a rate that is priced by the total of its cycle."""
    model = draw(models)
    bounds = sorted(draw(st.tuples(st.integers(0, 900), st.integers(0, 900))))
    bounded = draw(st.sampled_from(["", "low", "high", "both"]))
    return Rate(
        "calls",
        "" if model else draw(PRICES),
        draw(SIZES),
        price_model=model,  # type: ignore[arg-type]
        free_units=0 if isinstance(model, FlatModel) else draw(st.integers(0, 30)),
        zero_quantity_free=draw(st.booleans()),
        cycle_minimum=str(bounds[0]) if bounded in ("low", "both") else "",
        cycle_maximum=str(bounds[1]) if bounded in ("high", "both") else "",
    )


def lines(rate: Rate, quantities: list[int]) -> list[ChargeLine]:
    """Return the lines of usages that follow each other in one cycle."""
    ready, total = pricer(rate), NOTHING
    found: list[ChargeLine] = []
    for quantity in quantities:
        found += price(ready, usage(calls=quantity), totals=ToldTotals({"calls": total})).lines
        total = advanced(total, quantity)
    return found


def cost(rate: Rate, quantities: list[int]) -> Fraction:
    return sum((Fraction(parse_exact(line.exact_units)) for line in lines(rate, quantities)), Fraction(0))


@given(rates(), QUANTITIES)
def test_any_split_of_a_quantity_costs_what_the_whole_costs(rate: Rate, quantities: list[int]) -> None:
    assert cost(rate, quantities) == cost(rate, [sum(quantities)])


@given(rates(), QUANTITIES, st.randoms(use_true_random=False))
def test_the_order_within_a_cycle_does_not_matter(rate: Rate, quantities: list[int], random: Random) -> None:
    shuffled = list(quantities)
    random.shuffle(shuffled)

    assert cost(rate, shuffled) == cost(rate, quantities)


@given(rates(MONOTONE_MODELS), QUANTITIES)
def test_no_usage_costs_less_than_nothing_unless_volume_is_priced(rate: Rate, quantities: list[int]) -> None:
    assert all(parse_exact(line.exact_units) >= 0 for line in lines(rate, quantities))


@given(rates(), QUANTITIES)
def test_a_cycle_never_costs_less_than_nothing(rate: Rate, quantities: list[int]) -> None:
    assert cost(rate, quantities) >= 0


@given(rates(), QUANTITIES)
def test_the_parts_of_a_line_add_up_to_it(rate: Rate, quantities: list[int]) -> None:
    for line in lines(rate, quantities):
        if line.model != "unit" or line.parts:
            parts = sum((parse_exact(part.exact_units) for part in line.parts), Fraction(0))

            assert parts == parse_exact(line.exact_units)


@given(price_tiers(), st.integers(0, 200))
def test_graduated_tiers_agree_with_counting_one_by_one(tiers: tuple[PriceTier, ...], quantity: int) -> None:
    expected, low = Fraction(0), 0
    for at, tier in enumerate(tiers):
        end = tier.up_to if tier.up_to is not None else max(quantity, low)
        if at == 0 or quantity > low:
            expected += Fraction(tier.flat_fee)
        expected += sum(
            (Fraction(tier.unit_price) for unit in range(low, end) if unit < quantity), Fraction(0)
        )
        low = end

    assert cost(Rate("calls", "", price_model=GraduatedModel(tiers)), [quantity]) == expected


@given(price_tiers(), st.integers(0, 200))
def test_a_volume_total_is_its_tiers_price_of_the_whole(tiers: tuple[PriceTier, ...], quantity: int) -> None:
    tier = next(tier for tier in tiers if tier.up_to is None or quantity <= tier.up_to)

    whole = quantity * Fraction(tier.unit_price) + Fraction(tier.flat_fee)

    assert cost(Rate("calls", "", price_model=VolumeModel(tiers)), [quantity]) == whole


@given(PRICES, st.integers(1, 50), st.integers(0, 200))
def test_packages_cover_the_quantity_and_not_one_more(package: str, size: int, quantity: int) -> None:
    packages = cost(Rate("calls", "", size, price_model=PackageModel(package)), [quantity]) / Fraction(
        package
    )

    assert size * packages >= quantity > size * (packages - 1) or quantity == packages == 0


@given(PRICES, FEES, st.integers(0, 3), st.integers(0, 60), QUANTITIES)
def test_a_percentage_charges_what_is_not_free_and_a_fee_of_each_usage_that_is_not(
    percent: str, fee: str, free_usages: int, free_units: int, quantities: list[int]
) -> None:
    rate = Rate("calls", "", price_model=PercentageModel(percent, fee, free_usages), free_units=free_units)
    left, expected = free_units, Fraction(0)
    for at, quantity in enumerate(quantities):
        allowed = bool(free_units or free_usages) and (not free_usages or at < free_usages)
        free = min(quantity, left if free_units else quantity) if allowed else 0
        fits = allowed and free == quantity and (not free_units or sum(quantities[: at + 1]) <= free_units)
        expected += (quantity - free) * Fraction(percent) / 100 + (0 if fits else Fraction(fee))
        left = max(left - quantity, 0)

    assert cost(rate, quantities) == expected


@given(rates(), st.integers(0, 200), st.integers(1, 5), st.integers(0, 40))
def test_a_line_names_the_total_on_which_it_was_priced(
    rate: Rate, quantity: int, usages: int, more: int
) -> None:
    (line,) = price(
        pricer(rate), usage(calls=more), totals=ToldTotals({"calls": RunningTotal(quantity, usages)})
    ).lines

    if line.total_before is not None:
        assert (line.total_before.quantity, line.total_before.usages) == (quantity, usages)
    else:
        assert line.exact_units == price(pricer(rate), usage(calls=more)).exact_units
