"""What differs between two phases of rate cards: rate by rate, with the change of its price.

Two rates are the same one if they price the same dimension for the same usage. A pattern on a bracket's property
is read as the span of quantities that it stands for, so that a new band elsewhere is no change of every rate.
Texts of one number (3.6 and 3.60) and a default that is spelt out are no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Final, NamedTuple

from credits.ledger.v1 import agreement_pb2, price_model_pb2
from rating_service.cli.cards.price_table import price_rows

PERCENT_DECIMALS: Final = 2
MODEL: Final = "model"
_TERMS: Final = ("multipliers", "brackets", "counters", "cost_currency")

_At = tuple[str, str, tuple[tuple[str, str], ...]]
"""Dimension, model and what else is matched."""


class Change(NamedTuple):
    """One rate that is not what it was. What there is not is empty; `percent` is of the price for one."""

    kind: str
    model: str
    dimension: str
    applies_to: str
    old_price: str
    new_price: str
    percent: str
    old_cost: str
    new_cost: str


class PhaseDiff(NamedTuple):
    """What differs between two phases."""

    changes: tuple[Change, ...]
    models_added: tuple[str, ...]
    models_removed: tuple[str, ...]
    terms: tuple[str, ...]
    """Other fields of the phase that differ, by name."""

    @property
    def is_empty(self) -> bool:
        """Tell whether both phases price alike."""
        return not (self.changes or self.terms)


def diff_phases(old: agreement_pb2.RateCardPhase, new: agreement_pb2.RateCardPhase) -> PhaseDiff:
    """Return what differs, in the order of models and dimensions; instants and names are not compared."""
    before, after = _rates_of(old), _rates_of(new)
    changes = tuple(
        _change(at, before.get(at), after.get(at))
        for at in sorted(before.keys() | after.keys(), key=lambda at: (at[1], at[0], at[2]))
        if at not in before or at not in after or _normal(before[at]) != _normal(after[at])
    )
    old_models, new_models = ({model for _, model, _ in rates if model} for rates in (before, after))
    return PhaseDiff(
        changes,
        tuple(sorted(new_models - old_models)),
        tuple(sorted(old_models - new_models)),
        tuple(name for name in _TERMS if _term(old, name) != _term(new, name)),
    )


def _rates_of(phase: agreement_pb2.RateCardPhase) -> dict[_At, agreement_pb2.Rate]:
    found: dict[_At, agreement_pb2.Rate] = {}
    spans = {bracket.property: bracket for bracket in phase.brackets}
    for rate in phase.rates:
        at = _at(rate, {name: _span(spans.get(name), text) for name, text in rate.match.items()})
        if at in found:  # two patterns of one span: only as they are written do they differ
            at = _at(rate, rate.match)
        found[at] = rate
    return found


def _at(rate: agreement_pb2.Rate, match: Mapping[str, str]) -> _At:
    rest = tuple(sorted((name, text) for name, text in match.items() if name != MODEL))
    return rate.dimension, match.get(MODEL, ""), rest


def _span(bracket: price_model_pb2.Bracket | None, pattern: str) -> str:
    """Return a pattern on a bracket's property as the span it stands for; any other pattern as it is."""
    if bracket is None:
        return pattern
    literal = pattern.replace("[", "[[]").replace("?", "[?]")
    fitting = [place for place, band in enumerate(bracket.bands) if fnmatchcase(band.value, literal)]
    if not fitting or fitting != list(range(fitting[0], fitting[-1] + 1)):
        return pattern
    begin, end = fitting[0], fitting[-1] + 1
    low = f"above {bracket.bands[begin - 1].up_to:,}" if begin else ""
    high = f"up to {bracket.bands[end - 1].up_to:,}" if end < len(bracket.bands) else ""
    return " ".join(filter(None, (low, high))) or "any"


def _change(at: _At, old: agreement_pb2.Rate | None, new: agreement_pb2.Rate | None) -> Change:
    dimension, model, rest = at
    kind = "added" if old is None else "removed" if new is None else "changed"
    return Change(
        kind,
        model,
        dimension,
        ", ".join(f"{name}: {text}" for name, text in rest),
        _price(old),
        _price(new),
        _percent(old, new),
        "" if old is None else old.provider_cost,
        "" if new is None else new.provider_cost,
    )


def _price(rate: agreement_pb2.Rate | None) -> str:
    rows: Iterable[tuple[str, str]] = [] if rate is None else price_rows(rate)
    return "; ".join(" ".join(filter(None, (what.strip(), price))) for what, price in rows)


def _percent(old: agreement_pb2.Rate | None, new: agreement_pb2.Rate | None) -> str:
    """Return by how much the price of one has changed, half even; empty where there are not two such prices."""
    prices = [_price_of_one(rate) for rate in (old, new)]
    if prices[0] is None or prices[1] is None or prices[0] == 0:
        return ""
    percent = round((prices[1] / prices[0] - 1) * 100 * 10**PERCENT_DECIMALS)
    return f"{Decimal(percent).scaleb(-PERCENT_DECIMALS):+f}"


def _price_of_one(rate: agreement_pb2.Rate | None) -> Fraction | None:
    if rate is None or rate.WhichOneof("price_model") != "unit":
        return None
    return Fraction(rate.unit.unit_price) / (rate.unit_size or 1)


def _normal(rate: agreement_pb2.Rate) -> bytes:
    """Return a rate with defaults spelt out and numbers in one form, so that equal rates are equal bytes."""
    normal = agreement_pb2.Rate()
    normal.CopyFrom(rate)
    normal.match.clear()
    normal.unit_size = rate.unit_size or 1
    normal.scope = rate.scope or price_model_pb2.RATE_SCOPE_CYCLE
    if rate.WhichOneof("price_model") == "unit":
        normal.unit.unit_price = str(Fraction(rate.unit.unit_price))
    normal.provider_cost = str(Fraction(rate.provider_cost)) if rate.provider_cost else ""
    return normal.SerializeToString(deterministic=True)


def _term(phase: agreement_pb2.RateCardPhase, name: str) -> object:
    value = getattr(phase, name)
    if name == "counters":
        return value or price_model_pb2.COUNTERS_CARRY
    if name == "multipliers":
        return [_normal_multiplier(each) for each in value]
    return value if name == "cost_currency" else list(value)


def _normal_multiplier(multiplier: agreement_pb2.Multiplier) -> agreement_pb2.Multiplier:
    normal = agreement_pb2.Multiplier()
    normal.CopyFrom(multiplier)
    normal.beyond_last_tier = multiplier.beyond_last_tier or agreement_pb2.BEYOND_LAST_TIER_REFUSE
    return normal
