"""The rates of a rate card file: price models and their terms become messages, or problems with their place.

A rate has exactly one price: unit_price, flat, graduated, volume, package, percentage, graduated_percentage or
multiplier. What the schema cannot say is checked here: one price, tiers that ascend to the end, sizes that
divide exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from credits.ledger.v1 import agreement_pb2, price_model_pb2
from rating_service.cli.cards.rate_ties import ties
from rating_service.cli.yaml_source import Path

PRICES: Final = (
    "unit_price",
    "flat",
    "graduated",
    "volume",
    "package",
    "percentage",
    "graduated_percentage",
    "multiplier",
)
TIERED: Final = ("graduated", "volume", "graduated_percentage")
_BOUNDS: Final = (("usage_minimum", "usage_maximum"), ("cycle_minimum", "cycle_maximum"))


def rate_problems(tree: dict[str, Any]) -> Iterable[tuple[Path, str]]:
    """Yield what is wrong with the rates and brackets of a card that fits its schema."""
    for at, phase in enumerate(tree["phases"]):
        for place, rate in enumerate(phase["rates"]):
            path: Path = ("phases", at, "rates", place)
            yield from _problems_of_rate(rate, path)
            if "multiplier" in rate and "provider_cost" not in rate:
                yield path, "needs a provider_cost: the price is a multiple of it"
            if "provider_cost" in rate and "cost_currency" not in phase:
                yield (*path, "provider_cost"), "needs a cost_currency in its phase"
        yield from _ties(phase["rates"], ("phases", at, "rates"))
        for place, bracket in enumerate(phase.get("brackets", [])):
            yield from _step_problems(bracket["bands"], ("phases", at, "brackets", place, "bands"))


def rate_message(tree: dict[str, Any]) -> agreement_pb2.Rate:
    """Return a rate as a message."""
    message = agreement_pb2.Rate(
        dimension=tree["dimension"],
        unit_size=tree.get("unit_size", 1),
        match=tree.get("match", {}),
        scope=price_model_pb2.RateScope.Value(f"RATE_SCOPE_{tree.get('scope', 'UNSPECIFIED')}"),
        free_units=tree.get("free_units", 0),
        usage_minimum=tree.get("usage_minimum", ""),
        usage_maximum=tree.get("usage_maximum", ""),
        cycle_minimum=tree.get("cycle_minimum", ""),
        cycle_maximum=tree.get("cycle_maximum", ""),
        zero_quantity_free=tree.get("zero_quantity_free", False),
        provider_cost=tree.get("provider_cost", ""),
        charge_if=tree.get("charge_if", {}),
    )
    _write_price(message, tree)
    return message


def bracket_message(tree: dict[str, Any]) -> price_model_pb2.Bracket:
    """Return a bracket as a message."""
    bands = [price_model_pb2.Band(**band) for band in tree["bands"]]
    return price_model_pb2.Bracket(property=tree["property"], sum_of=tree["sum_of"], bands=bands)


def _problems_of_rate(rate: dict[str, Any], path: Path) -> Iterable[tuple[Path, str]]:
    given = [name for name in PRICES if name in rate]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        yield (*path, given[1]) if given else path, f"one price is needed, found {found}: {', '.join(PRICES)}"
    size = rate.get("unit_size", 1)
    if 10**40 % size and "package" not in rate:
        yield (*path, "unit_size"), f"{size} is not a product of twos and fives"
    for name in TIERED:
        if name in rate:
            yield from _step_problems(rate[name], (*path, name))
    for low, high in _BOUNDS:
        if low in rate and high in rate and Decimal(rate[low]) > Decimal(rate[high]):
            yield (*path, high), f"lies below {low}"


def _ties(rates: list[dict[str, Any]], path: Path) -> Iterable[tuple[Path, str]]:
    """Yield the rates that are as specific as an earlier one which may price the same usage."""
    by_dimension: dict[str, list[int]] = {}
    for place, rate in enumerate(rates):
        by_dimension.setdefault(rate["dimension"], []).append(place)
    for dimension, places in by_dimension.items():
        for one, other in ties([rates[place].get("match", {}) for place in places]):
            yield (
                (*path, places[other]),
                f"is as specific as rates[{places[one]}] and may price the same usage of {dimension}",
            )


def _step_problems(steps: list[dict[str, Any]], path: Path) -> Iterable[tuple[Path, str]]:
    below = -1
    for place, step in enumerate(steps[:-1]):
        end = step.get("up_to")
        if end is None:
            yield (*path, place), "up_to is needed: only the last may be without end"
        elif end <= below:
            yield (*path, place, "up_to"), f"must ascend: {end} after {below}"
        below = below if end is None else end
    if "up_to" in steps[-1]:
        yield (*path, len(steps) - 1, "up_to"), "must be left out of the last one, which has no end"


def _write_price(message: agreement_pb2.Rate, tree: dict[str, Any]) -> None:
    (name,) = [each for each in PRICES if each in tree]
    terms = tree[name]
    match name:
        case "unit_price":
            message.unit.unit_price = terms
        case "flat":
            message.flat.price = terms
        case "graduated":
            message.graduated.tiers.extend(price_model_pb2.PriceTier(**tier) for tier in terms)
        case "volume":
            message.volume.tiers.extend(price_model_pb2.PriceTier(**tier) for tier in terms)
        case "package":
            message.package.package_price = terms
        case "percentage":
            message.percentage.CopyFrom(price_model_pb2.PercentageModel(**terms))
        case "graduated_percentage":
            message.graduated_percentage.tiers.extend(
                price_model_pb2.PercentageTier(**tier) for tier in terms
            )
        case "multiplier":
            message.multiplier.factor = terms
