"""Rating: which contract, phase and rates a usage falls under, and its charge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from fractions import Fraction

from rating_service.domain.agreements.agreement import Contract, Record
from rating_service.domain.agreements.catalogue import (
    Catalogue,
    card_phase_at,
    contract,
    contract_phase_at,
    rate_card,
)
from rating_service.domain.exact import exact_text, parse_exact
from rating_service.domain.intake.normalise import fold
from rating_service.domain.price_models.running_total import NO_TOTALS, Totals, meter_root
from rating_service.domain.prices.phase_cards import card_for
from rating_service.domain.prices.pricing import NO_TERMS, Pricer, compile_phase, price, priced_dimensions
from rating_service.domain.usage import Charge, ChargeTerms, Usage

TotalsOf = Callable[[Contract, datetime], Totals]
"""The running totals of the cycle of a contract that holds an instant."""


class RatedUsage(Record, frozen=True):
    """A usage's charge and the contract that pays for it."""

    contract: Contract
    charge: Charge


def rate_usage(
    catalogue: Catalogue, pricers: dict[str, Pricer], usage: Usage, totals_of: TotalsOf
) -> RatedUsage:
    """Price a usage under its contract as of its effective time, after the running totals of its cycle.

    `totals_of` tells them for a contract and an instant; it is called for every usage, so what it returns should
    look nothing up before it is asked.

    `pricers` is the caller's cache by phase name; what is missing is added. Phases never change, so an entry
    is right for ever. Refuses whatever `catalogue` and `pricing` refuse.
    """
    found = contract(catalogue, usage.contract)
    phase = contract_phase_at(found, usage.effective_time)
    terms = ChargeTerms(found.name, phase.terms.key, phase.terms.overage_price)
    totals = totals_of(found, usage.effective_time)
    return RatedUsage(found, _priced(catalogue, pricers, usage, card_for(phase.terms, usage), terms, totals))


def is_metered(charge: Charge) -> bool:
    """Tell whether a charge has a line that was priced on a running total."""
    for line in charge.lines:  # noqa: SIM110 # any() of a generator costs three times as much, on every usage
        if line.total_before is not None:
            return True
    return False


def quote_by_card(
    catalogue: Catalogue, pricers: dict[str, Pricer], usage: Usage, card_name: str, totals: Totals = NO_TOTALS
) -> Charge:
    """Price a usage by rateCards/{rate_card} as of its effective time, without a contract."""
    return _priced(catalogue, pricers, usage, card_name, NO_TERMS, totals)


def margin_text(exact_amount: str, charge: Charge, *, asset_code: str) -> str:
    """Return what is left of a price after the provider's cost, empty if they are not in one currency."""
    if not charge.provider_cost or charge.cost_currency != asset_code:
        return ""
    return exact_text(Fraction(exact_amount) - parse_exact(charge.provider_cost))


def whole_asset_text(exact_units: str, *, scale: int) -> str:
    """Return exact decimal text in whole assets for decimal text in units."""
    return exact_text(parse_exact(exact_units) * Fraction(1, 10**scale))


def _priced(
    catalogue: Catalogue,
    pricers: dict[str, Pricer],
    usage: Usage,
    card_name: str,
    terms: ChargeTerms,
    totals: Totals,
) -> Charge:
    card = rate_card(catalogue, card_name)
    phase = card_phase_at(card, usage.effective_time)
    pricer = pricers.get(phase.name)
    if pricer is None:
        root = meter_root(card.name, card.phases, phase)
        pricer = pricers[phase.name] = compile_phase(phase, scale=card.asset.scale, meter_root=root)
    if usage.foldable:
        usage = fold(usage, priced_dimensions(pricer, usage).__contains__)
    return price(pricer, usage, terms, totals)
