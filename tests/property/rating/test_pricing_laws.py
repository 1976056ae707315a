"""Laws of pricing."""

from datetime import UTC, datetime
from fractions import Fraction
from random import Random

from hypothesis import given, reject
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import (
    BeyondLastTier,
    Multiplier,
    MultiplierTier,
    Rate,
    RateCardPhase,
)
from rating_service.domain.exact import decimals_of, exact_text, parse_exact, scaled_text
from rating_service.domain.prices.matching import fits
from rating_service.domain.prices.pricing import Pricer, compile_phase, price
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.rounding import round_half_up, round_parts, split_by_weight
from rating_service.domain.usage import Charge, Usage

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
DIMENSIONS = ("input", "cached", "output")
MODELS = ("gpt-4o", "gpt-4o-mini", "claude")

decimal_texts = st.builds(
    lambda digits, decimals: scaled_text(digits, decimals), st.integers(0, 10**15), st.integers(0, 18)
)
factors = st.builds(lambda digits: scaled_text(digits, 3), st.integers(0, 10**4))
unit_sizes = st.builds(lambda twos, fives: 2**twos * 5**fives, st.integers(0, 8), st.integers(0, 8))
quantities = st.dictionaries(st.sampled_from(DIMENSIONS), st.integers(0, 10**7), min_size=1)
properties = st.fixed_dictionaries(
    {"model": st.sampled_from(MODELS), "context_tokens": st.integers(0, 300).map(str)}
)


@st.composite
def pricers(draw: st.DrawFn) -> Pricer:
    """Draw a card with a rate of every dimension for any model, some dearer ones, and a multiplier."""
    patterns = st.sampled_from(["*", "gpt-*", "gpt-4o"])
    rates = [Rate(name, draw(decimal_texts), draw(unit_sizes)) for name in DIMENSIONS]
    rates += [
        Rate(name, draw(decimal_texts), draw(unit_sizes), {"model": draw(patterns)})
        for name in draw(st.lists(st.sampled_from(DIMENSIONS), max_size=4, unique=True))
    ]
    ends = sorted(draw(st.sets(st.integers(0, 300), min_size=1, max_size=4)))
    tiers = tuple(MultiplierTier(end, draw(factors)) for end in ends)
    multiplier = Multiplier("context_tokens", tiers, (), BeyondLastTier.LAST_APPLIES)
    phase = RateCardPhase("rateCards/a/phases/1", JANUARY, tuple(rates), "hash", (multiplier,))
    return compile_phase(phase, scale=draw(st.integers(0, 12)))


def priced(pricer: Pricer, counted: dict[str, int], props: dict[str, str]) -> Charge:
    """Return the charge; an example whose amount is out of range is passed over."""
    try:
        return price(pricer, Usage(JANUARY, counted, props))
    except Refusal as refusal:
        if refusal.reason is Reason.AMOUNT_OUT_OF_RANGE:
            return reject()
        raise


def exact(charge: Charge) -> Fraction:
    return parse_exact(charge.exact_units)


@given(pricers(), quantities, properties)
def test_the_lines_add_up_to_the_charge(
    pricer: Pricer, counted: dict[str, int], props: dict[str, str]
) -> None:
    charge = priced(pricer, counted, props)

    assert sum(parse_exact(line.exact_units) for line in charge.lines) == exact(charge)


@given(pricers(), quantities, properties)
def test_a_line_is_the_product_that_it_shows(
    pricer: Pricer, counted: dict[str, int], props: dict[str, str]
) -> None:
    for line in priced(pricer, counted, props).lines:
        shown = (
            Fraction(line.quantity, line.unit_size) * Fraction(line.unit_price) * Fraction(line.multiplier)
        )

        assert parse_exact(line.exact_units) == shown * 10**pricer.scale


@given(pricers(), quantities, properties, st.data())
def test_the_parts_of_a_usage_cost_what_the_whole_costs(
    pricer: Pricer, counted: dict[str, int], props: dict[str, str], data: st.DataObject
) -> None:
    first = {name: data.draw(st.integers(0, quantity)) for name, quantity in counted.items()}
    second = {name: quantity - first[name] for name, quantity in counted.items()}

    parts = exact(priced(pricer, first, props)) + exact(priced(pricer, second, props))

    assert parts == exact(priced(pricer, counted, props))


@given(pricers(), quantities, properties, st.sampled_from(DIMENSIONS), st.integers(1, 1000))
def test_more_never_costs_less(
    pricer: Pricer, counted: dict[str, int], props: dict[str, str], name: str, extra: int
) -> None:
    more = {**counted, name: counted.get(name, 0) + extra}

    assert 0 <= exact(priced(pricer, counted, props)) <= exact(priced(pricer, more, props))


@given(pricers(), st.lists(st.tuples(quantities, properties), max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_usage_does_not_matter(
    pricer: Pricer, usages: list[tuple[dict[str, int], dict[str, str]]], random: Random
) -> None:
    fresh = compile_phase(pricer.phase, scale=pricer.scale)
    shuffled = list(enumerate(usages))
    random.shuffle(shuffled)

    in_order = [priced(pricer, *usage) for usage in usages]
    otherwise = {place: priced(fresh, *usage) for place, usage in shuffled}

    assert [otherwise[place] for place in range(len(usages))] == in_order


@given(pricers(), quantities, properties)
def test_the_order_of_quantities_does_not_matter(
    pricer: Pricer, counted: dict[str, int], props: dict[str, str]
) -> None:
    backwards = dict(reversed(counted.items()))

    assert priced(pricer, counted, props) == priced(pricer, backwards, props)


@given(pricers(), quantities, properties, st.integers(0, 300))
def test_pricing_what_a_charge_holds_gives_the_charge_again(
    pricer: Pricer, counted: dict[str, int], props: dict[str, str], context: int
) -> None:
    counts_context = {**counted, "context_tokens": context}
    charge = priced(pricer, counts_context, {"model": props["model"]})

    held = {line.dimension: line.quantity for line in charge.lines}

    assert priced(compile_phase(pricer.phase, scale=pricer.scale), held, charge.properties) == charge


@given(decimal_texts)
def test_decimal_text_round_trips_exactly(text: str) -> None:
    assert exact_text(parse_exact(text)) == text


@given(st.integers(-(10**30), 10**30), st.integers(0, 30))
def test_scaled_text_is_the_number(numerator: int, decimals: int) -> None:
    text = scaled_text(numerator, decimals)

    assert Fraction(text) == Fraction(numerator, 10**decimals)
    assert len(text.partition(".")[2]) == decimals_of(Fraction(text))


@given(st.lists(st.fractions(-100, 100), max_size=12), st.integers(1, 7))
def test_rounded_parts_sum_to_the_rounded_whole_and_stay_near(parts: list[Fraction], step: int) -> None:
    rounded = round_parts(parts, step=step)

    assert sum(rounded) == round_half_up(sum(parts, Fraction(0)), step=step)
    assert all(
        abs(whole - part) < step and whole % step == 0 for whole, part in zip(rounded, parts, strict=True)
    )


@given(st.integers(-(10**6), 10**6), st.lists(st.integers(0, 50), min_size=1).filter(any))
def test_a_split_by_weight_loses_nothing(total: int, weights: list[int]) -> None:
    parts = split_by_weight(total, weights, step=1)

    assert sum(parts) == total
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)


@given(st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_a_pattern_fits_what_its_regular_expression_fits(pattern: str, value: str) -> None:
    expected = {0}
    for sign in pattern:
        if sign == "*":
            expected = set(range(min(expected, default=len(value) + 1), len(value) + 1))
        else:
            expected = {place + 1 for place in expected if value[place : place + 1] == sign}

    assert fits(pattern, value) == (len(value) in expected)
