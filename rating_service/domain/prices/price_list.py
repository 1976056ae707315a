"""Price lists: for one kind of usage, the price of every dimension that it may have.

Most rates are plain products, one integer each at the list's power of ten. The others are shaped: tiers, free
quantities, bounds, conditions. A list with plain products alone is charged without looking at any of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from rating_service.domain.agreements.agreement import Rate, Record
from rating_service.domain.agreements.price_terms import MultiplierModel, model_name
from rating_service.domain.exact import decimals_of, exact_text, parse_exact, scaled_text
from rating_service.domain.price_models.curve import Part, PartKind
from rating_service.domain.price_models.running_total import RunningTotal, Totals
from rating_service.domain.price_models.shaped import Priced, ShapedRate, charge, linear_price, shape
from rating_service.domain.prices.matching import fits
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import ChargeLine, ChargePart, TotalBefore, Usage


class LinearLine(Record, frozen=True):
    """The price of one dimension: `numerator` x 10^-decimals units of the asset for a quantity of one."""

    dimension: str
    numerator: int
    unit_price: str
    unit_size: int
    multiplier: str
    model: str = "unit"


class PriceList(Record, frozen=True):
    """The prices of every dimension that a usage of one kind may have.

    `lines` are those that are plain products, in the order of the card; `entries` are all, and empty if that
    is all there are. `costs` is what a quantity of one costs at the provider, in
    10^-cost_decimals of the currency's major unit.
    """

    lines: tuple[LinearLine, ...]
    decimals: int
    numerator_max: int
    entries: tuple[LinearLine | ShapedRate, ...] = ()
    costs: dict[str, int] = {}
    cost_decimals: int = 0


class Charged(Record, frozen=True):
    """Lines of a charge, their sum at the list's power of ten, and the provider's cost if every line has one."""

    lines: tuple[ChargeLine, ...]
    total: int
    provider_cost: str


def is_linear(rate: Rate) -> bool:
    """Tell whether a rate is a plain product: no tiers, nothing free, no bounds, no condition."""
    bounds = rate.usage_minimum or rate.usage_maximum or rate.cycle_minimum or rate.cycle_maximum
    plain = rate.price_model is None or isinstance(rate.price_model, MultiplierModel)
    return plain and not (bounds or rate.free_units or rate.charge_if)


def _entry_of(
    rate: Rate, factor: Fraction, *, scale: int, meter_root: str
) -> tuple[Fraction | None, ShapedRate | None]:
    """Return the exact units of a quantity of one, or a rate made ready where there is no such number.

    Raises ValueError if an amount would have endless decimals.
    """
    if not is_linear(rate):
        text = exact_text(factor)
        return None, shape(rate, factor=factor, multiplier=text, scale=scale, meter_root=meter_root)
    return parse_exact(linear_price(rate)) * factor * Fraction(10**scale, rate.unit_size), None


def make_price_list(
    found: list[Rate], factors: list[Fraction], *, scale: int, meter_root: str, units_max: int
) -> PriceList:
    """Return the prices of the rates that were found, each with its factor."""
    made = [
        _entry_of(rate, factor, scale=scale, meter_root=meter_root)
        for rate, factor in zip(found, factors, strict=True)
    ]
    decimals = (
        max(
            (decimals_of(of_one) if of_one is not None else shaped.decimals if shaped else 0)
            for of_one, shaped in made
        )
        if made
        else 0
    )
    entries: list[LinearLine | ShapedRate] = []
    for rate, factor, (of_one, shaped) in zip(found, factors, made, strict=True):
        if shaped is not None:
            entries.append(shaped)
        elif of_one is not None:
            entries.append(
                LinearLine(
                    dimension=rate.dimension,
                    numerator=int(of_one * 10**decimals),
                    unit_price=exact_text(parse_exact(linear_price(rate))),
                    unit_size=rate.unit_size,
                    multiplier=exact_text(factor),
                    model=model_name(rate.price_model),
                )
            )
    linear = tuple(entry for entry in entries if isinstance(entry, LinearLine))
    costs = {
        rate.dimension: parse_exact(rate.provider_cost) / rate.unit_size
        for rate in found
        if rate.provider_cost
    }
    cost_decimals = max(map(decimals_of, costs.values()), default=0)
    return PriceList(
        lines=linear,
        decimals=decimals,
        numerator_max=(units_max + 1) * 10**decimals - 1,
        entries=() if len(linear) == len(entries) else tuple(entries),
        costs={name: int(cost * 10**cost_decimals) for name, cost in costs.items()},
        cost_decimals=cost_decimals,
    )


def charge_linear(price_list: PriceList, quantities: Mapping[str, int]) -> Charged:
    """Return the lines of a usage on a list whose prices are all plain products."""
    if price_list.costs:
        return _charge_linear_with_costs(price_list, quantities)
    decimals = price_list.decimals
    total = 0
    lines: list[ChargeLine] = []
    for line in price_list.lines:
        quantity = quantities.get(line.dimension)
        if quantity is not None:
            exact = quantity * line.numerator
            total += exact
            lines.append(_linear_line(line, quantity, scaled_text(exact, decimals), ""))
    return Charged(tuple(lines), total, "")


def _charge_linear_with_costs(price_list: PriceList, quantities: Mapping[str, int]) -> Charged:
    """Return the same with what each line and, if all are known, the usage costs at the provider."""
    decimals, cost_decimals, costs = price_list.decimals, price_list.cost_decimals, price_list.costs
    total = cost = 0
    known = True
    lines: list[ChargeLine] = []
    for line in price_list.lines:
        quantity = quantities.get(line.dimension)
        if quantity is None:
            continue
        exact = quantity * line.numerator
        total += exact
        cost_of_one = costs.get(line.dimension)
        if cost_of_one is None:
            known = False
            cost_text = ""
        else:
            line_cost = quantity * cost_of_one
            cost += line_cost
            cost_text = scaled_text(line_cost, cost_decimals)
        lines.append(_linear_line(line, quantity, scaled_text(exact, decimals), cost_text))
    return Charged(tuple(lines), total, scaled_text(cost, cost_decimals) if known and lines else "")


def charge_entries(
    price_list: PriceList, usage: Usage, properties: Mapping[str, str], totals: Totals
) -> Charged:
    """Return the lines of a usage on a list with shaped rates.

    `totals` are asked where a rate is priced over a cycle. Refuses MISSING_PROPERTY for a condition that the usage
    does not tell.
    """
    total = cost = 0
    costs_known = True
    quantities, costs, cost_decimals = usage.quantities, price_list.costs, price_list.cost_decimals
    lines: list[ChargeLine] = []
    for entry in price_list.entries:
        quantity = quantities.get(entry.dimension)
        if quantity is None:
            continue
        cost_text, cost_of_one = "", costs.get(entry.dimension)
        if cost_of_one is None:
            costs_known = False
        else:
            cost += quantity * cost_of_one
            cost_text = scaled_text(quantity * cost_of_one, cost_decimals)
        if isinstance(entry, LinearLine):
            exact = quantity * entry.numerator
            total += exact
            lines.append(_linear_line(entry, quantity, scaled_text(exact, price_list.decimals), cost_text))
        else:
            charged, before = _shaped_charge(entry, quantity, properties, totals)
            total += charged.amount * 10 ** (price_list.decimals - entry.decimals)
            lines.append(_shaped_line(entry, quantity, charged, before, cost_text))
    known = costs_known and lines
    return Charged(tuple(lines), total, scaled_text(cost, cost_decimals) if known else "")


def _shaped_charge(
    entry: ShapedRate, quantity: int, properties: Mapping[str, str], totals: Totals
) -> tuple[Priced, TotalBefore | None]:
    rate = entry.rate
    if rate.charge_if and not _is_billable(rate, properties):
        return Priced([Part(PartKind.FREE, 0, 0, quantity)], 0), None
    if not entry.meter:
        return charge(entry, quantity), None
    before = totals.before(rate.dimension, entry.meter)
    return charge(entry, quantity, RunningTotal(before.quantity, before.usages)), before


def _is_billable(rate: Rate, properties: Mapping[str, str]) -> bool:
    missing = [name for name in rate.charge_if if name not in properties]
    if missing:
        message = f"{rate.dimension} is charged by {missing[0]}, which is not given"
        raise Refusal(Reason.MISSING_PROPERTY, message, property=missing[0], dimension=rate.dimension)
    return all(fits(pattern, properties[name]) for name, pattern in rate.charge_if.items())


def _linear_line(entry: LinearLine, quantity: int, exact_units: str, cost: str) -> ChargeLine:
    return ChargeLine(
        entry.dimension,
        quantity,
        entry.unit_price,
        exact_units,
        entry.unit_size,
        entry.multiplier,
        entry.model,
        (),
        None,
        cost,
    )


def _shaped_line(
    entry: ShapedRate, quantity: int, charged: Priced, before: TotalBefore | None, cost: str
) -> ChargeLine:
    decimals = entry.decimals
    parts = [
        ChargePart(part.kind, scaled_text(part.numerator, decimals), part.tier, part.quantity, part.price)
        for part in charged.parts
    ]
    return ChargeLine(
        entry.dimension,
        quantity,
        "",
        scaled_text(charged.amount, decimals),
        entry.rate.unit_size,
        entry.multiplier,
        entry.model,
        tuple(parts),
        before,
        cost,
    )
