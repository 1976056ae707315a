"""Minimums of rates in a cycle in which nothing was used of them.

A rate's minimum for a cycle is charged with its first usage, as credit. Where there was none at all, no debit holds
it, and the cycle's end is the first instant at which that is known: it is billed then, as overage at the price of the
terms with which the cycle ends, by the card phase in force at that end. Terms without an overage price bill nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from math import floor
from typing import Final

from rating_service.domain.agreements.agreement import Contract, Rate, RateCard, RateCardPhase, UnitPrice
from rating_service.domain.agreements.catalogue import card_phase_at
from rating_service.domain.agreements.stretches import Stretch
from rating_service.domain.documents.invoice_lines import LineKey, LineKind
from rating_service.domain.exact import parse_exact
from rating_service.domain.invoicing.exact_lines import ExactLine
from rating_service.domain.price_models.running_total import counts_over_cycle, meter_of, meter_root
from rating_service.domain.prices.phase_cards import cards_of
from rating_service.domain.refusals import Refusal
from rating_service.domain.rounding import NANOS_PER_MAJOR

_MICROSECOND: Final = timedelta(microseconds=1)


def rate_minimum_lines(
    contract: Contract, parts: Sequence[Stretch], cards: Mapping[str, RateCard], meters: set[str]
) -> list[ExactLine]:
    """Return what is due of rates of which no meter has counted anything. `meters` are those that have."""
    last = parts[-1] if parts else None
    if last is None or last.terms.overage_price is None:
        return []
    lines = []
    for name in cards_of(last.terms):
        phase = _phase_at_end(cards.get(name), last)
        if phase is not None:
            root = meter_root(name, cards[name].phases, phase)
            lines += _lines_of_phase(contract, last, last.terms.overage_price, phase, root, meters)
    return lines


def card_names(contract: Contract) -> list[str]:
    """Return the rate cards that a contract names."""
    return sorted({name for phase in contract.phases for name in cards_of(phase.terms)})


def _phase_at_end(card: RateCard | None, last: Stretch) -> RateCardPhase | None:
    if card is None:
        return None
    try:
        return card_phase_at(card, last.to_time - _MICROSECOND)
    except Refusal:
        return None


def _lines_of_phase(
    contract: Contract,
    last: Stretch,
    price: UnitPrice,
    phase: RateCardPhase,
    root: str,
    meters: set[str],
) -> list[ExactLine]:
    unused = [
        rate
        for rate in phase.rates
        if rate.cycle_minimum and counts_over_cycle(rate) and meter_of(rate, root=root) not in meters
    ]
    return [_line(contract, last, price, phase, rate, meter_of(rate, root=root)) for rate in unused]


def _line(
    contract: Contract, last: Stretch, price: UnitPrice, phase: RateCardPhase, rate: Rate, meter: str
) -> ExactLine:
    minimum = parse_exact(rate.cycle_minimum)
    key = LineKey(
        LineKind.RATE_MINIMUM,
        last.terms.key,
        phase.name,
        price,
        dimension=meter.partition(":")[2] or rate.dimension,
    )
    exact: Fraction = minimum * parse_exact(price.price) * NANOS_PER_MAJOR
    units = floor(minimum * 10**contract.asset.scale)
    return ExactLine(key, exact, last.from_time, last.to_time, price.currency_code, units)
