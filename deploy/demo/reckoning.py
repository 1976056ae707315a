"""The independent check: what the usages must have cost, by integers alone.

Reads the source's tokens and the YAML files' prices, never the services' arithmetic. Amounts are counted in
10^-12 units, of which every price here is a whole number, so nothing is rounded before the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import msgspec

from deploy.demo.customers import SCALE
from deploy.demo.offer import PICO, PriceList
from deploy.demo.replay import EXACT, Outcome
from deploy.demo.report import PhaseFigures
from deploy.demo.timeline import Timeline
from deploy.demo.traffic import Usage

PICO_PER_UNIT: Final = 10**PICO
NANOS_PER_CENT: Final = 10_000_000


class Reckoning(msgspec.Struct):
    """Sums in 10^-12 units and in tokens. Mutable while it is added to."""

    pico_by_phase: Counter[str] = msgspec.field(default_factory=Counter)
    pico_by_customer: Counter[str] = msgspec.field(default_factory=Counter)
    input_tokens: Counter[str] = msgspec.field(default_factory=Counter)
    """By the name of the phase, like the rest."""
    cached_tokens: Counter[str] = msgspec.field(default_factory=Counter)
    output_tokens: Counter[str] = msgspec.field(default_factory=Counter)
    usages: Counter[str] = msgspec.field(default_factory=Counter)


def reckon(usages: Iterable[Usage], *, before: PriceList, after: PriceList, cut_time: datetime) -> Reckoning:
    """Return what usages cost: those before `cut_time` by one price list, those at it and later by the other."""
    sums = Reckoning()
    for usage in usages:
        prices = before if usage.time < cut_time else after
        pico = cost(usage, prices)
        sums.pico_by_phase[prices.name] += pico
        sums.pico_by_customer[usage.customer.key] += pico
        sums.input_tokens[prices.name] += usage.input_tokens
        sums.cached_tokens[prices.name] += usage.cached_tokens
        sums.output_tokens[prices.name] += usage.output_tokens
        sums.usages[prices.name] += 1
    return sums


def restored(
    usages: Iterable[Usage], *, first: PriceList, cut: PriceList, timeline: Timeline
) -> Counter[str]:
    """Return what each customer's usages cost where the cut ends at `restore_time`, in 10^-12 units."""
    sums: Counter[str] = Counter()
    for usage in usages:
        is_cut = timeline.cut_time <= usage.time < timeline.restore_time
        sums[usage.customer.key] += cost(usage, cut if is_cut else first)
    return sums


def cost(usage: Usage, prices: PriceList) -> int:
    """Return what one usage costs, in 10^-12 units."""
    return (
        usage.input_tokens * prices.price_of("input_tokens", usage.model)
        + usage.cached_tokens * prices.price_of("cached_input_tokens", usage.model)
        + usage.output_tokens * prices.price_of("output_tokens", usage.model)
    )


def grown_units(*, before: int, after: int) -> int:
    """Return by how many whole units a sum in 10^-12 units has grown, each sum rounded down."""
    return after // PICO_PER_UNIT - before // PICO_PER_UNIT


def grown_nanos(overage: int, grown: int, *, price: Decimal) -> int:
    """Return what units add to the money for a month's overage, each sum of which is rounded to a cent."""
    return overage_nanos(overage + grown, price) - overage_nanos(overage, price)


def overage_nanos(units: int, price: Decimal) -> int:
    """Return the money for units that no credit covers, rounded to a cent, half up."""
    cents = EXACT.multiply(units, price).scaleb(2 - SCALE, EXACT)
    return int(cents.to_integral_value(ROUND_HALF_UP)) * NANOS_PER_CENT


def phase_figures(reckoning: Reckoning, outcome: Outcome, phases: Sequence[str]) -> list[PhaseFigures]:
    """Return both computations, phase by phase."""
    return [
        PhaseFigures(
            phase=phase,
            usages=reckoning.usages[phase],
            input_tokens=reckoning.input_tokens[phase],
            cached_input_tokens=reckoning.cached_tokens[phase],
            output_tokens=reckoning.output_tokens[phase],
            reckoned_units=units_text(reckoning.pico_by_phase[phase]),
            charged_units=plain(outcome.exact_units_by_phase.get(phase, Decimal(0))),
        )
        for phase in phases
    ]


def units_text(pico: int) -> str:
    """Return 10^-12 units as decimal text of units."""
    return plain(EXACT.create_decimal(pico).scaleb(-PICO, EXACT))


def sum_text(amounts: Iterable[str]) -> str:
    """Return the exact sum of decimal texts."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, Decimal(amount))
    return plain(total)


def plain(amount: Decimal) -> str:
    """Return an amount as decimal text without exponent or idle zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
