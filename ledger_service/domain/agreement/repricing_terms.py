"""The arithmetic of one charge line, written from the definition of each price model, for audits.

Rating prices usage and is made to be fast; this says the same in fractions, to be read beside the rate card. A
rate over a cycle owes F(total) and a usage costs F(after) - F(before); the terms that explain the difference are
found separately, tier by tier. Nothing is rounded.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

from ledger_service.domain.events import Rate, RunningTotal
from ledger_service.domain.events.price_models import (
    FlatModel,
    GraduatedModel,
    GraduatedPercentageModel,
    MultiplierModel,
    PackageModel,
    PercentageModel,
    VolumeModel,
)
from ledger_service.domain.exact import fraction_text
from ledger_service.domain.values import RateScope

NOTHING: Final = Fraction(0)


class Term(msgspec.Struct, frozen=True):
    """One term of the sum behind a line, in exact units."""

    kind: str
    amount: Fraction
    tier: int = 0
    quantity: int = 0
    price: str = ""


class Tier(msgspec.Struct, frozen=True):
    """Quantities in (low, high] at a price each, and a fee for reaching it, in exact units."""

    number: int
    low: int
    high: int | None
    of_one: Fraction
    fee: Fraction
    price_text: str
    fee_text: str

    def within(self, quantity: int) -> int:
        """Return how much of a quantity lies in the tier."""
        end = quantity if self.high is None else min(quantity, self.high)
        return max(end - self.low, 0)


class Span(msgspec.Struct, frozen=True):
    """The quantity before a usage and after it, and whether any usage came before."""

    before: int
    after: int
    begun: bool


def counts_over_cycle(rate: Rate) -> bool:
    """Say whether a rate is priced by the total of its cycle."""
    if rate.scope is RateScope.USAGE:
        return False
    model = rate.price_model
    if rate.free_units or rate.cycle_minimum or rate.cycle_maximum:
        return True
    if isinstance(model, PercentageModel):
        return model.free_usages > 0
    return model is not None and not isinstance(model, MultiplierModel)


def terms_of(
    rate: Rate, *, quantity: int, before: RunningTotal, factor: Fraction, scale: int
) -> tuple[Term, ...]:
    """Return what a usage costs after a running total, term by term; `scale` is that of the asset.

    A rate that is not priced over a cycle has nothing before it.
    """
    unit = factor * 10**scale
    if isinstance(rate.price_model, PercentageModel):
        free, terms = _percentage(rate, rate.price_model, quantity, before, unit)
        terms += _usage_bounds(rate, _sum(terms), any_due=quantity > free, scale=scale)
    else:
        after = max(before.quantity + quantity - rate.free_units, 0)
        span = Span(max(before.quantity - rate.free_units, 0), after, before.usages > 0)
        free = quantity - (span.after - span.before)
        terms = _model_terms(rate, span, unit)
        amount = _sum(terms)
        terms += _cycle_bounds(rate, span, unit, scale=scale)
        terms += _usage_bounds(rate, amount, any_due=quantity > free, scale=scale)
    return (Term("FREE", NOTHING, quantity=free), *terms) if free else tuple(terms)


def owed(rate: Rate, quantity: int, *, begun: bool, unit: Fraction) -> Fraction:
    """Return F(quantity): what a cycle owes after it, what is free taken off and bounds left out."""
    if isinstance(rate.price_model, PackageModel):
        return _packages(quantity, rate.unit_size) * Fraction(rate.price_model.package_price) * unit
    tiers = tiers_of(rate, unit)
    first_fee_due = begun and (quantity > 0 or not rate.zero_quantity_free)
    if isinstance(rate.price_model, VolumeModel):
        tier = _holding(tiers, quantity)
        return quantity * tier.of_one + tier.fee if first_fee_due else NOTHING
    if not begun:
        return NOTHING
    fees = [tier.fee for tier in tiers if (quantity > tier.low if tier.number > 1 else first_fee_due)]
    return sum((tier.within(quantity) * tier.of_one for tier in tiers), NOTHING) + sum(fees, NOTHING)


def tiers_of(rate: Rate, unit: Fraction) -> list[Tier]:
    """Return the tiers of a rate; a price without tiers is one tier without end."""
    model, by_size = rate.price_model, unit / rate.unit_size
    rows: list[tuple[int | None, str, Fraction, str]]
    match model:
        case FlatModel(price=price):
            rows = [(None, "", NOTHING, price)]
        case GraduatedModel(tiers=tiers) | VolumeModel(tiers=tiers):
            rows = [(tier.up_to, tier.unit_price, by_size, tier.flat_fee) for tier in tiers]
        case GraduatedPercentageModel(tiers=shares):
            rows = [(share.up_to, share.percent, by_size / 100, share.flat_fee) for share in shares]
        case _:
            rows = [(None, linear_price(rate), by_size, "0")]
    found: list[Tier] = []
    low = 0
    for number, (high, price, each, fee) in enumerate(rows, start=1):
        of_one = Fraction(price) * each if price else NOTHING
        end = None if number == len(rows) else high
        found.append(Tier(number, low, end, of_one, Fraction(fee) * unit, price, fee))
        low = low if end is None else end
    return found


def linear_price(rate: Rate) -> str:
    """Return the price of one unit_size of a rate without tiers; cost plus is the provider's cost x the factor."""
    if not isinstance(rate.price_model, MultiplierModel):
        return rate.unit_price
    return fraction_text(Fraction(rate.provider_cost) * Fraction(rate.price_model.factor))


def _model_terms(rate: Rate, span: Span, unit: Fraction) -> list[Term]:
    match rate.price_model:
        case PackageModel(package_price=price):
            count = _packages(span.after, rate.unit_size) - _packages(span.before, rate.unit_size)
            amount = count * Fraction(price) * unit
            return [Term("PACKAGES", amount, 0, count, price)] if count else []
        case VolumeModel():
            return _volume(rate, span, unit)
        case _:
            return _graduated(rate, span, unit)


def _graduated(rate: Rate, span: Span, unit: Fraction) -> list[Term]:
    """Return tier by tier the fee, if the usage is the first to reach it, and the quantity that lies in it."""
    zero_due = not rate.zero_quantity_free
    found: list[Term] = []
    for tier in tiers_of(rate, unit):
        if tier.number == 1:
            was_due = span.begun and (span.before > 0 or zero_due)
            reached = not was_due and (span.after > 0 or zero_due)
        else:
            reached = span.before <= tier.low < span.after
        if reached and tier.fee:
            found.append(Term("FEE", tier.fee, tier.number, 1, tier.fee_text))
        quantity = tier.within(span.after) - tier.within(span.before)
        if quantity and tier.price_text:
            found.append(Term("QUANTITY", quantity * tier.of_one, tier.number, quantity, tier.price_text))
    return found


def _volume(rate: Rate, span: Span, unit: Fraction) -> list[Term]:
    """Return the quantity at the price of the tier it ends in; in a new tier, all of it less what was owed."""
    if span.after == 0 and rate.zero_quantity_free:
        return []
    tiers = tiers_of(rate, unit)
    tier, earlier = _holding(tiers, span.after), _holding(tiers, span.before)
    was_due = span.begun and (span.before > 0 or not rate.zero_quantity_free)
    stays = was_due and earlier is tier
    quantity = span.after - span.before if stays else span.after
    found: list[Term] = []
    if tier.fee and not stays:
        found.append(Term("FEE", tier.fee, tier.number, 1, tier.fee_text))
    if quantity:
        found.append(Term("QUANTITY", quantity * tier.of_one, tier.number, quantity, tier.price_text))
    already = NOTHING if stays else owed(rate, span.before, begun=span.begun, unit=unit)
    if already:
        found.append(Term("EARLIER", -already, earlier.number, span.before))
    return found


def _percentage(
    rate: Rate, model: PercentageModel, quantity: int, before: RunningTotal, unit: Fraction
) -> tuple[int, list[Term]]:
    """Return how much is free and the terms: the share of what is not free, and the usage's fee."""
    usages_last = not model.free_usages or before.usages < model.free_usages
    allowed = usages_last and bool(model.free_usages or rate.free_units)
    left = max(rate.free_units - before.quantity, 0) if rate.free_units else quantity
    free = min(quantity, left) if allowed else 0
    found: list[Term] = []
    if quantity > free:
        share = (quantity - free) * Fraction(model.percent) / 100 * unit / rate.unit_size
        found.append(Term("QUANTITY", share, 1, quantity - free, model.percent))
    wholly_free = allowed and (not rate.free_units or before.quantity + quantity <= rate.free_units)
    nothing_used = quantity == 0 and rate.zero_quantity_free
    fee = Fraction(model.fixed_fee) * unit
    if fee and not wholly_free and not nothing_used:
        found.append(Term("FEE", fee, 0, 1, model.fixed_fee))
    return free, found


def _cycle_bounds(rate: Rate, span: Span, unit: Fraction, *, scale: int) -> list[Term]:
    """Return what keeps the total of the cycle between its bounds; they are not multiplied."""
    if not (rate.cycle_minimum or rate.cycle_maximum):
        return []
    earlier = owed(rate, span.before, begun=span.begun, unit=unit)
    later = owed(rate, span.after, begun=True, unit=unit)
    low, high = _bounds(rate.cycle_minimum, rate.cycle_maximum, scale)
    held_earlier = _held(earlier, low, high) if span.begun else NOTHING
    added = _held(later, low, high) - held_earlier - (later - earlier)
    if not added:
        return []
    lacks = low is not None and (added > 0 or earlier < low)
    return [Term("MINIMUM" if lacks else "MAXIMUM", added)]


def _usage_bounds(rate: Rate, amount: Fraction, *, any_due: bool, scale: int) -> list[Term]:
    low, high = _bounds(rate.usage_minimum, rate.usage_maximum, scale)
    if low is not None and any_due and amount < low:
        return [Term("MINIMUM", low - amount)]
    if high is not None and amount > high:
        return [Term("MAXIMUM", high - amount)]
    return []


def _bounds(low: str, high: str, scale: int) -> tuple[Fraction | None, Fraction | None]:
    units = 10**scale
    return Fraction(low) * units if low else None, Fraction(high) * units if high else None


def _held(amount: Fraction, low: Fraction | None, high: Fraction | None) -> Fraction:
    if low is not None and amount < low:
        return low
    return high if high is not None and amount > high else amount


def _holding(tiers: list[Tier], quantity: int) -> Tier:
    return next(tier for tier in tiers if tier.high is None or quantity <= tier.high)


def _packages(quantity: int, size: int) -> int:
    return -(-quantity // size)


def _sum(terms: list[Term]) -> Fraction:
    return sum((term.amount for term in terms), NOTHING)
