"""Each price model, at its boundaries: one unit either side of a tier, a package, a free amount, a bound."""

from collections.abc import Sequence

import pytest

from rating_service.domain.agreements.agreement import Rate
from rating_service.domain.agreements.price_terms import (
    FlatModel,
    GraduatedModel,
    GraduatedPercentageModel,
    MultiplierModel,
    PackageModel,
    PercentageModel,
    PercentageTier,
    PriceModel,
    PriceTier,
    RateScope,
    VolumeModel,
)
from rating_service.domain.price_models.running_total import NOTHING, RunningTotal, ToldTotals, advanced
from rating_service.domain.prices.pricing import price
from rating_service.domain.usage import Charge, ChargeLine, TotalBefore
from tests.unit.rating.builders import context_window, pricer, usage

TIERS = (PriceTier("10", "2", 10), PriceTier("5", "3", 20), PriceTier("1", "4"))
SHARES = (PercentageTier("1", "200", 1000), PercentageTier("2", "300", 10000), PercentageTier("3", "400"))


def modelled(model: PriceModel | None, unit_size: int = 1, **terms: object) -> Rate:
    """Return a rate of `calls`; a linear one costs 2."""
    return Rate("calls", "" if model else "2", unit_size, price_model=model, **terms)  # type: ignore[arg-type]


def charged(rate: Rate, quantity: int, before: RunningTotal = NOTHING, **properties: str) -> Charge:
    """Return the charge of a quantity after a total."""
    return price(pricer(rate), usage(properties, calls=quantity), totals=ToldTotals({"calls": before}))


def amounts(rate: Rate, quantities: Sequence[int]) -> list[str]:
    """Return what usages cost that follow each other in one cycle."""
    found, total = [], NOTHING
    for quantity in quantities:
        found.append(charged(rate, quantity, total).exact_units)
        total = advanced(total, quantity)
    return found


def line_of(rate: Rate, quantity: int, before: RunningTotal = NOTHING) -> ChargeLine:
    """Return the only line of a charge."""
    (line,) = charged(rate, quantity, before).lines
    return line


def told(line: ChargeLine) -> list[tuple[str, int, int, str, str]]:
    """Return the parts of a line."""
    return [(part.kind, part.tier, part.quantity, part.price, part.exact_units) for part in line.parts]


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [(0, "2"), (1, "12"), (10, "102"), (11, "110"), (20, "155"), (21, "160"), (100, "239")],
)
def test_graduated_prices_each_part_in_its_tier_and_a_tier_holds_its_upper_end(
    quantity: int, amount: str
) -> None:
    assert charged(modelled(GraduatedModel(TIERS)), quantity).exact_units == amount


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [(0, "2"), (1, "12"), (10, "102"), (11, "58"), (20, "103"), (21, "25"), (100, "104")],
)
def test_volume_prices_the_whole_in_the_tier_in_which_it_ends(quantity: int, amount: str) -> None:
    assert charged(modelled(VolumeModel(TIERS)), quantity).exact_units == amount


@pytest.mark.parametrize("model", [GraduatedModel(TIERS), VolumeModel(TIERS), FlatModel("2")])
def test_the_first_flat_fee_is_due_at_quantity_zero_once_unless_the_card_says_otherwise(
    model: PriceModel,
) -> None:
    assert amounts(modelled(model), [0, 0]) == ["2", "0"]
    free_first, then, last = amounts(modelled(model, zero_quantity_free=True), [0, 1, 0])
    assert (free_first, last) == ("0", "0")
    assert then == charged(modelled(model), 1).exact_units


@pytest.mark.parametrize(
    ("quantity", "amount"), [(0, "0"), (1, "5"), (99, "5"), (100, "5"), (101, "10"), (200, "10"), (201, "15")]
)
def test_a_package_is_charged_whole_once_it_is_begun(quantity: int, amount: str) -> None:
    assert charged(modelled(PackageModel("5"), 100), quantity).exact_units == amount


@pytest.mark.parametrize(("quantity", "amount"), [(99, "0"), (100, "0"), (101, "5"), (200, "5"), (201, "10")])
def test_free_units_come_before_the_first_package(quantity: int, amount: str) -> None:
    assert charged(modelled(PackageModel("5"), 100, free_units=100), quantity).exact_units == amount


def test_packages_of_any_size_are_exact_over_a_cycle() -> None:
    assert amounts(modelled(PackageModel("5"), 3), [2, 1, 1, 3, 0]) == ["5", "0", "5", "5", "0"]


@pytest.mark.parametrize(("quantity", "amount"), [(4, "0"), (5, "0"), (6, "2"), (7, "4")])
def test_free_units_of_a_linear_price_are_free_once_a_cycle(quantity: int, amount: str) -> None:
    rate = modelled(None, free_units=5)

    assert charged(rate, quantity).exact_units == amount
    assert charged(rate, 3, RunningTotal(quantity, 1)).exact_units == str(
        2 * (quantity + 3 - 5) - int(amount)
    )


def test_a_flat_fee_is_due_once_a_cycle_or_with_each_usage() -> None:
    assert amounts(modelled(FlatModel("3")), [5, 7]) == ["3", "0"]
    assert amounts(modelled(FlatModel("3"), scope=RateScope.USAGE), [5, 0]) == ["3", "3"]


@pytest.mark.parametrize(
    ("amount", "due"),
    [(0, "200"), (500, "205"), (1000, "210"), (1001, "510.02"), (5050, "591"), (10001, "1090.03")],
)
def test_a_graduated_percentage_is_a_share_of_each_part(amount: int, due: str) -> None:
    assert charged(modelled(GraduatedPercentageModel(SHARES)), amount).exact_units == due


def test_a_graduated_percentage_charges_what_its_total_grew_by() -> None:
    rate = modelled(GraduatedPercentageModel(SHARES))

    assert amounts(rate, [500, 550, 4000]) == ["205", "306", "80"]


def test_a_percentage_takes_its_share_and_its_fee_of_each_usage() -> None:
    rate = modelled(PercentageModel("1.3", "2"))

    assert amounts(rate, [800, 0]) == ["12.4", "2"]
    assert amounts(modelled(PercentageModel("1.3", "2"), zero_quantity_free=True), [0]) == ["0"]


@pytest.mark.parametrize(
    ("free_units", "free_usages", "expected"),
    [
        (0, 0, ["2.1", "1.1", "1.1", "0.6"]),
        (0, 3, ["0", "0", "0", "0.6"]),
        (500, 3, ["0", "0", "0", "0.6"]),
        (500, 0, ["0", "0", "0", "0"]),
        (449, 0, ["0", "0", "0", "0.11"]),
        (300, 3, ["0", "0", "1.1", "0.6"]),
        (299, 3, ["0", "0.11", "1.1", "0.6"]),
    ],
)
def test_a_usage_is_free_while_free_usages_and_free_amount_both_last(
    free_units: int, free_usages: int, expected: list[str]
) -> None:
    rate = modelled(PercentageModel("1", "0.1", free_usages), free_units=free_units)

    assert amounts(rate, [200, 100, 100, 50]) == expected


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [(0, "0"), (1, "1.75"), (58, "1.75"), (59, "1.7641"), (80, "2.392"), (401, "11.9899"), (402, "12")],
)
def test_a_usage_costs_at_least_the_minimum_and_at_most_the_maximum(quantity: int, amount: str) -> None:
    rate = modelled(PercentageModel("2.99"), usage_minimum="1.75", usage_maximum="12")

    assert charged(rate, quantity).exact_units == amount


def test_a_free_usage_owes_no_minimum() -> None:
    rate = modelled(PercentageModel("1", "0", 1), usage_minimum="5")

    assert amounts(rate, [100, 100]) == ["0", "5"]


def test_the_minimum_of_a_cycle_is_charged_first_and_counted_against_what_follows() -> None:
    rate = modelled(None, cycle_minimum="10", cycle_maximum="20")

    assert amounts(rate, [0, 1, 4, 1, 3, 2, 7]) == ["10", "0", "0", "2", "6", "2", "0"]


def test_a_minimum_and_what_it_adds_are_told_apart() -> None:
    rate = modelled(VolumeModel((PriceTier("0", "100", 5), PriceTier("9"))), cycle_minimum="150")

    assert told(line_of(rate, 5)) == [
        ("FEE", 1, 1, "100", "100"),
        ("QUANTITY", 1, 5, "0", "0"),
        ("MINIMUM", 0, 0, "", "50"),
    ]


def test_scope_usage_prices_every_usage_as_the_first() -> None:
    rate = modelled(GraduatedModel(TIERS), scope=RateScope.USAGE)

    assert amounts(rate, [11, 11]) == ["110", "110"]
    assert line_of(rate, 11).total_before is None


def test_a_tiered_line_shows_its_tiers_and_the_total_before_it() -> None:
    line = line_of(modelled(GraduatedModel(TIERS)), 14, RunningTotal(8, 3))

    assert told(line) == [
        ("QUANTITY", 1, 2, "10", "20"),
        ("FEE", 2, 1, "3", "3"),
        ("QUANTITY", 2, 10, "5", "50"),
        ("FEE", 3, 1, "4", "4"),
        ("QUANTITY", 3, 2, "1", "2"),
    ]
    assert (line.exact_units, line.unit_price, line.model) == ("79", "", "graduated")
    assert line.total_before is not None
    assert (line.total_before.meter, line.total_before.quantity, line.total_before.usages) == (
        "rateCards/llm/phases/1:calls{}",
        8,
        3,
    )


def test_a_volume_price_that_falls_takes_back_what_was_charged_before() -> None:
    line = line_of(modelled(VolumeModel(TIERS)), 1, RunningTotal(20, 4))

    assert line.exact_units == "-78"
    assert told(line) == [
        ("FEE", 3, 1, "4", "4"),
        ("QUANTITY", 3, 21, "1", "21"),
        ("EARLIER", 2, 20, "", "-103"),
    ]


def test_a_volume_price_within_one_tier_charges_the_usage_alone() -> None:
    assert told(line_of(modelled(VolumeModel(TIERS)), 4, RunningTotal(12, 1))) == [
        ("QUANTITY", 2, 4, "5", "20")
    ]


def test_a_multiplier_price_is_the_providers_cost_times_a_factor() -> None:
    rate = modelled(MultiplierModel("1.2"), 1000, provider_cost="0.5")

    line = line_of(rate, 3000)

    assert (line.exact_units, line.unit_price, line.model, line.provider_cost) == (
        "1.8",
        "0.6",
        "multiplier",
        "1.5",
    )


def test_a_context_window_scales_tiers_and_fees_but_no_bound() -> None:
    rate = modelled(GraduatedModel(TIERS), scope=RateScope.USAGE, usage_maximum="100")
    scaled = pricer(rate, multipliers=[context_window()])

    assert price(scaled, usage({"context_tokens": "8193"}, calls=2)).exact_units == "39.6"
    assert price(scaled, usage({"context_tokens": "8193"}, calls=9)).exact_units == "100"


@pytest.mark.parametrize(
    "rate",
    [
        modelled(GraduatedModel(TIERS)),
        modelled(VolumeModel(TIERS)),
        modelled(PackageModel("1")),
        modelled(FlatModel("1")),
        modelled(GraduatedPercentageModel(SHARES)),
        modelled(PercentageModel("1", "0", 1)),
        modelled(None, free_units=1),
        modelled(None, cycle_minimum="1"),
        modelled(None, cycle_maximum="1"),
    ],
)
def test_a_rate_that_counts_over_a_cycle_says_on_which_total_it_was_priced(rate: Rate) -> None:
    (line,) = charged(rate, 1, RunningTotal(4, 2)).lines

    assert line.total_before == TotalBefore("rateCards/llm/phases/1:calls{}", 4, 2)


@pytest.mark.parametrize(
    "rate",
    [
        modelled(GraduatedModel(TIERS), scope=RateScope.USAGE),
        modelled(None, scope=RateScope.USAGE, free_units=1),
        modelled(None, usage_minimum="1"),
        modelled(PercentageModel("1", "0.1"), usage_maximum="1"),
        modelled(MultiplierModel("2"), provider_cost="1"),
    ],
)
def test_a_rate_that_looks_at_one_usage_alone_is_recorded(rate: Rate) -> None:
    assert price(pricer(rate), usage(calls=1)) == charged(rate, 1)
