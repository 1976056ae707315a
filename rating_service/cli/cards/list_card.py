"""A rate card made of a price list: what the provider asks, times a markup, in money or in credits.

price = cost x markup / credit rate, exact. Only a credit rate that does not divide exactly, or a price with more
decimals than a card can say, is rounded: half up, at a number of decimals that the caller names. Every price
that was rounded is reported.

A threshold on the prompt becomes a band of one bracket, `context`, whose values name all thresholds that the
prompt exceeds: "any", "over 128000", "over 128000, 200000". A rate for prompts above 200,000 tokens matches
"over 128000, 200000*", so it holds in every band above too, and the largest threshold wins, being the more
specific pattern.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from math import floor
from typing import Any, Final, NamedTuple

from rating_service.cli.cards.litellm_list import CURRENCY, PROMPT_DIMENSIONS, ListedCost, ListedModel

DECIMALS_MAX: Final = 18
"""Most decimals of a price on a card."""
ROUND_DECIMALS_DEFAULT: Final = 12
WITHIN_ALL: Final = "any"
"""Band of a prompt that exceeds no threshold."""

_MEANINGS: Final[dict[str, str]] = {
    "input_tokens": "One token of the prompt that is counted in no other dimension.",
    "output_tokens": "One token of the answer that is counted in no other dimension.",
    "cached_input_tokens": "One token of the prompt that was read from the cache.",
    "cache_write_tokens_5m": "One token of the prompt that was written to the cache for five minutes.",
    "cache_write_tokens_1h": "One token of the prompt that was written to the cache for an hour.",
    "reasoning_tokens": "One token that the model wrote before its answer.",
}


class Selection(NamedTuple):
    """Which models of a list are meant: those that fit one of each. Nothing named means all."""

    providers: Sequence[str] = ()
    models: Sequence[str] = ()
    modes: Sequence[str] = ()


class CardTerms(NamedTuple):
    """What a card adds to a list. `credit_rate` is money per whole asset, 1 for a card in money."""

    rate_card: str
    display_name: str
    asset_code: str
    asset_scale: int
    from_time: str
    markup: Fraction = Fraction(1)
    credit_rate: Fraction = Fraction(1)
    round_decimals: int = ROUND_DECIMALS_DEFAULT


class Rounded(NamedTuple):
    """A price that is not exact: what was meant, as a fraction, and what the card says."""

    model: str
    dimension: str
    exact: str
    price: str


class ListCard(NamedTuple):
    """A card as the tree of a card file, and which prices of it were rounded."""

    tree: dict[str, Any]
    rounded: tuple[Rounded, ...]
    model_count: int
    unpriced: tuple[str, ...]
    """Models without any price that has a place; the card has nothing for them."""


def select(models: Iterable[ListedModel], selection: Selection) -> list[ListedModel]:
    """Return the models that are meant, in their order. A model may be named by a pattern, as in a shell."""
    return [
        model
        for model in models
        if _fits(model.provider, selection.providers)
        and _fits(model.name, selection.models)
        and _fits(model.mode, selection.modes)
    ]


def make_card(models: Sequence[ListedModel], terms: CardTerms) -> ListCard:
    """Return the card of some models, with one phase."""
    priced = [model for model in models if model.costs]
    thresholds = sorted({cost.above for model in priced for cost in model.costs} - {0})
    contexts = _contexts(thresholds)
    rounded: list[Rounded] = []
    rates = [
        _rate(model.name, cost, match, terms, rounded)
        for model in priced
        for cost, match in _with_matches(model, contexts)
    ]
    dimensions = list(dict.fromkeys(rate["dimension"] for rate in rates))
    phase: dict[str, Any] = {"from_time": terms.from_time, "cost_currency": CURRENCY}
    if thresholds:
        phase["brackets"] = [_bracket(thresholds, dimensions)]
    tree = {
        "rate_card": terms.rate_card,
        "display_name": terms.display_name,
        "asset": {"code": terms.asset_code, "scale": terms.asset_scale},
        "unit_definitions": {name: _MEANINGS.get(name, _meaning(name)) for name in sorted(dimensions)},
        "phases": [{**phase, "rates": rates}],
    }
    unpriced = tuple(model.name for model in models if not model.costs)
    return ListCard(tree, tuple(rounded), len(priced), unpriced)


def counted(models: Iterable[ListedModel]) -> Mapping[str, int]:
    """Return how many costs there are of each dimension."""
    return Counter(cost.dimension for model in models for cost in model.costs)


def plain_text(number: Fraction, *, round_decimals: int) -> tuple[str, bool]:
    """Return a number that is not negative as decimal text, and whether it had to be rounded, half up."""
    decimals = _decimals_of(number)
    exact = decimals is not None and decimals <= DECIMALS_MAX
    shown = decimals if exact and decimals is not None else round_decimals
    scaled = floor(number * 10**shown + Fraction(1, 2))
    text = str(scaled).rjust(shown + 1, "0")
    whole, fraction = text[: len(text) - shown], text[len(text) - shown :].rstrip("0")
    return (f"{whole}.{fraction}" if fraction else whole), not exact


def exact_number(text: str) -> Fraction:
    """Return the number behind decimal text. Raises ValueError for anything else."""
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        raise ValueError(f"{text!r} is not a decimal number")
    return Fraction(Decimal(text))


def _fits(value: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(value, pattern) for pattern in patterns)


def _contexts(thresholds: Sequence[int]) -> dict[int, str]:
    """Return the band that begins above each threshold; 0 for the first band."""
    names = {0: WITHIN_ALL}
    for place, threshold in enumerate(thresholds):
        names[threshold] = "over " + ", ".join(map(str, thresholds[: place + 1]))
    return names


def _bracket(thresholds: Sequence[int], dimensions: Sequence[str]) -> dict[str, Any]:
    # Only what the card prices: a quantity that it merely counted would cost nothing.
    prompt = [name for name in PROMPT_DIMENSIONS if name in dimensions] or ["input_tokens"]
    contexts = _contexts(thresholds)
    ends = [{"up_to": end} for end in thresholds]
    bands = [
        {**end, "value": contexts[begin]} for begin, end in zip((0, *thresholds), [*ends, {}], strict=True)
    ]
    return {"property": "context", "sum_of": prompt, "bands": bands}


def _with_matches(
    model: ListedModel, contexts: Mapping[int, str]
) -> Iterable[tuple[ListedCost, dict[str, str]]]:
    """Yield each cost of a model with the usage it is for, so that no two rates are equally specific.

    Where a dimension has both thresholds and service tiers, a service tier names all its bands: a band for
    which the list has no price of that service tier keeps the price that it has for every service tier.
    """
    for dimension in dict.fromkeys(cost.dimension for cost in model.costs):
        costs = {(c.service_tier, c.above): c for c in model.costs if c.dimension == dimension}
        begins = sorted({above for _, above in costs})
        for tier in sorted({tier for tier, _ in costs}):
            for above in begins:
                cost = costs.get((tier, above)) or (costs.get(("", above)) if above else None)
                if cost is not None:
                    yield cost, _match(model.name, tier, above, contexts, is_banded=begins != [0])


def _match(
    model: str, tier: str, above: int, contexts: Mapping[int, str], *, is_banded: bool
) -> dict[str, str]:
    match = {"model": model}
    if tier:
        match["service_tier"] = tier
    if above:
        match["context"] = contexts[above] + "*"
    elif is_banded and tier:
        match["context"] = "*"
    return match


def _rate(
    model: str, cost: ListedCost, match: dict[str, str], terms: CardTerms, rounded: list[Rounded]
) -> dict[str, Any]:
    exact = cost.cost * terms.markup / terms.credit_rate
    price, is_rounded = plain_text(exact, round_decimals=terms.round_decimals)
    provider_cost, cost_is_rounded = plain_text(cost.cost, round_decimals=DECIMALS_MAX)
    if is_rounded:
        rounded.append(Rounded(model, cost.dimension, str(exact), price))
    if cost_is_rounded:
        rounded.append(Rounded(model, f"{cost.dimension} (provider cost)", str(cost.cost), provider_cost))
    return {
        "dimension": cost.dimension,
        "unit_size": cost.unit_size,
        "unit_price": price,
        "provider_cost": provider_cost,
        "match": match,
    }


def _meaning(dimension: str) -> str:
    singular = "query" if dimension == "queries" else dimension.removesuffix("s")
    return f"One {singular.replace('_', ' ')}."


def _decimals_of(number: Fraction) -> int | None:
    """Return how many decimals a number needs, or None if they do not end."""
    rest, counts = number.denominator, [0, 0]
    for place, factor in enumerate((2, 5)):
        while rest % factor == 0:
            rest //= factor
            counts[place] += 1
    return max(counts) if rest == 1 else None
