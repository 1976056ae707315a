"""Rating cases that one quote answers: a linear price, an LLM card, a compound card."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from credits.ledger.v1 import agreement_pb2
from tests.acceptance.cases.amounts import price_text
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.rating_cards import CardPhase, Priced, publish_card, quote, rate_of
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

TOKENS: Final = "_tokens"
"""End of the fields that hold how many tokens there were of a dimension."""
CACHED: Final = ("cache_read", "cache_write", "cache_write_5m", "cache_write_1h")
"""Dimensions that are part of the input where it includes what was cached."""
LLM_DIMENSIONS: Final = ("input", *CACHED, "output")
CONTEXT: Final = "context_tokens"
BOUNDARY: Final = "max_tokens inclusive"
ALL_DIMENSIONS: Final = "all token dimensions"
PER_MILLION: Final = 1_000_000


class Question(NamedTuple):
    """What a quote is asked."""

    phase: CardPhase
    quantities: dict[str, int]
    properties: dict[str, str] = {}


def plan_quote(question: Question, expected: Expected, playing: Playing) -> list[Step]:
    """Return the step that publishes the card, asks, and compares."""

    async def run(session: Session) -> None:
        card = await publish_card(session, playing, [question.phase])
        answer = await quote(session, card, quantities=question.quantities, properties=question.properties)
        expected.compare(playing, figures_of(answer))

    return [Step(None, Rank.USE, run)]


def figures_of(answer: Priced) -> dict[str, object]:
    """Return the figures that a quote gives, by their names in the case files."""
    multiplier = answer.multipliers[0] if len(answer.multipliers) == 1 else answer.multipliers
    return {
        "amount": answer.amount,
        "lines": answer.lines,
        "multiplier": multiplier,
    }


def plan_llm_card(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play a request at the prices of a model, which are those that apply to the whole request."""
    prices, unit_size = _prices(given)
    given.ignore("long_context_threshold")
    properties = {name: given.text(name) for name in ("model", "service_tier") if name in given}
    quantities = _token_counts(given, prices)
    given.finish()
    expected.offer("amount", "lines")
    rates = [
        rate_of(dimension, price, unit_size=unit_size, match=properties)
        for dimension, price in prices.items()
    ]
    return plan_quote(Question(CardPhase(rates), quantities, properties), expected, playing)


def _prices(given: Fields) -> tuple[dict[str, Decimal], int]:
    """Return the price of each dimension, and for how many tokens it is."""
    name, unit_size = ("unit_prices", 1) if "unit_prices" in given else ("prices_per_1m", PER_MILLION)
    listed = given.fields(name)
    prices = {dimension: listed.decimal(dimension) for dimension in listed.names()}
    unknown = [dimension for dimension in prices if dimension not in LLM_DIMENSIONS]
    if unknown:
        raise Unsupported(f"{listed.place}.{unknown[0]}")
    return prices, unit_size


def _token_counts(given: Fields, prices: Mapping[str, Decimal]) -> dict[str, int]:
    """Return the tokens of each dimension, each counted once."""
    counts = {name: given.integer(f"{name}{TOKENS}", 0) for name in LLM_DIMENSIONS}
    cached = sum(counts[name] for name in CACHED)
    if given.flag("input_tokens_include_cached", None if cached else True):
        counts["input"] -= cached
    for name, count in counts.items():
        if count and name not in prices:
            raise Unsupported(f"{name}{TOKENS} without a price")
    return {name: count for name, count in counts.items() if name in prices}


def plan_compound_card(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play a request on a card whose prices are multiplied by the tier of the context window."""
    phase = compound_phase(given.fields("rate_card"))
    names = [rate.dimension for rate in phase.rates]
    quantities = {name: given.integer(name) for name in names}
    properties = {CONTEXT: str(given.integer(CONTEXT))}
    given.finish()
    expected.offer("amount", "lines", "multiplier")
    return plan_quote(Question(phase, quantities, properties), expected, playing)


def compound_phase(card: Fields) -> CardPhase:
    """Return the prices and multipliers of a compound card. Raises Unsupported."""
    card.ignore("model")
    rates = []
    for each in card.objects("dimensions"):
        rates.append(
            rate_of(each.text("dimension"), each.decimal("price_usd"), unit_size=each.integer("per", 1))
        )
        each.finish()
    for name, wanted in (("boundary", BOUNDARY), ("multiplier_applies_to", ALL_DIMENSIONS)):
        if card.text(name, wanted) != wanted:
            raise Unsupported(f"{card.place}.{name} {card.text(name)!r}")
    multiplier = agreement_pb2.Multiplier(property=CONTEXT, tiers=_tiers(card.objects("context_window")))
    card.finish()
    return CardPhase(rates, [multiplier])


def _tiers(rows: list[Fields]) -> list[agreement_pb2.MultiplierTier]:
    tiers = []
    for row in rows:
        factor = price_text(row.decimal("multiplier"))
        tiers.append(agreement_pb2.MultiplierTier(up_to=row.integer("max_tokens"), factor=factor))
        row.finish()
    return tiers
