"""Rating cases that one quote answers: a linear price, an LLM card, a compound card."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from credits.ledger.v1 import agreement_pb2
from tests.acceptance.cases.amounts import price_text
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.rating_cards import Card, CardPhase, Priced, publish_card, quote, rate_of
from tests.acceptance.cases.services import Refused
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

TOKENS: Final = "_tokens"
"""End of the fields that hold how many tokens there were of a dimension."""
CACHED: Final = ("cache_read", "cache_write", "cache_write_5m", "cache_write_1h")
"""Dimensions that are part of the input where it includes what was cached."""
REASONING: Final = "reasoning"
CONTEXT: Final = "context_tokens"
BOUNDARY: Final = "max_tokens inclusive"
ALL_DIMENSIONS: Final = "all token dimensions"
PER_MILLION: Final = 1_000_000
PRICES: Final = {"unit_prices": 1, "prices_per_1k": 1_000, "prices_per_1m": PER_MILLION}
"""Names of the prices of tokens, and for how many tokens they are."""
REFUSALS: Final = ("error", "refused", "rejected", "refusal", "rejection")
"""How a case may say that there is no price."""


class Question(NamedTuple):
    """What a quote is asked."""

    phase: CardPhase
    quantities: dict[str, int]
    properties: dict[str, str] = {}
    figures: tuple[str, ...] = ("amount", "lines")


def plan_quote(question: Question, expected: Expected, playing: Playing) -> list[Step]:
    """Return the step that publishes the card, asks, and compares."""
    refused = any(name in expected.names() for name in REFUSALS)
    expected.offer(*REFUSALS) if refused else expected.offer(*question.figures)

    async def run(session: Session) -> None:
        card = await publish_card(session, playing, [question.phase])
        if refused:
            await _expect_refusal(session, card, question, playing)
            return
        answer = await quote(session, card, quantities=question.quantities, properties=question.properties)
        expected.compare(playing, figures_of(answer))

    return [Step(None, Rank.USE, run)]


async def _expect_refusal(session: Session, card: Card, question: Question, playing: Playing) -> None:
    """Note if a quote that must be refused is answered."""
    try:
        answer = await quote(session, card, quantities=question.quantities, properties=question.properties)
    except Refused as refusal:
        if refusal.not_offered:
            raise
        return
    playing.expect("amount", "a refusal", answer.amount)


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
    rates = [
        rate_of(dimension, price, unit_size=unit_size, match=properties)
        for dimension, price in prices.items()
    ]
    return plan_quote(Question(CardPhase(rates), quantities, properties), expected, playing)


def _prices(given: Fields) -> tuple[dict[str, Decimal], int]:
    """Return the price of each dimension, and for how many tokens it is."""
    [name] = [each for each in PRICES if each in given]
    listed = given.fields(name)
    prices = {dimension: listed.decimal(dimension) for dimension in listed.names()}
    unknown = [dimension for dimension in prices if not dimension.replace("_", "").isalnum()]
    if unknown:
        raise Unsupported(f"{listed.place}.{unknown[0]}")
    return prices, PRICES[name]


def _token_counts(given: Fields, prices: Mapping[str, Decimal]) -> dict[str, int]:
    """Return the tokens of each dimension, each counted once."""
    told = [name.removesuffix(TOKENS) for name in given.names() if name.endswith(TOKENS)]
    counts = {name: given.integer(f"{name}{TOKENS}", 0) for name in {*prices, *told}}
    cached = sum(counts.get(name, 0) for name in CACHED)
    if given.flag("input_tokens_include_cached", None if cached else True):
        counts["input"] = counts.get("input", 0) - cached
    if REASONING in counts and given.flag(
        "output_tokens_include_reasoning", None if counts[REASONING] else True
    ):
        counts["output"] = counts.get("output", 0) - counts[REASONING]
        if REASONING not in prices:
            # Reasoning without a price of its own is output.
            counts["output"] += counts.pop(REASONING)
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
    figures = ("amount", "lines", "multiplier")
    return plan_quote(Question(phase, quantities, properties, figures), expected, playing)


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
