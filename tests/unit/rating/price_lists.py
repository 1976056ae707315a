"""Small price lists, written by hand in the form of real ones, and the way from them to a pricer."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

import msgspec

from credits.ledger.v1 import rate_card_service_pb2
from ledger_service.domain.agreement.rate_card import RateCard, publish_phase
from ledger_service.domain.values import Asset
from ledger_service.rpc.agreements.agreement_messages import read_publish_phase
from rating_service.cli.cards.card_file import read_rate_card
from rating_service.cli.cards.card_text import card_text
from rating_service.cli.cards.list_card import CardTerms, ListCard, make_card
from rating_service.cli.cards.litellm_list import read_list
from rating_service.domain.agreements.agreement import RateCardPhase
from rating_service.domain.prices.pricing import Pricer, compile_phase, price
from rating_service.domain.usage import Charge, Usage

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
LIST: Final = b"""{
  "sample_spec": {"input_cost_per_token": 9, "mode": "one of: chat, embedding"},
  "short": {"litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 1.5e-07,
    "output_cost_per_token": 6E-7, "cache_read_input_token_cost": 7.5e-08, "max_tokens": 16384,
    "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.02}},
  "long": {"litellm_provider": "acme", "mode": "chat",
    "input_cost_per_token": 7.5e-08, "input_cost_per_token_above_128k_tokens": 1.5e-07,
    "output_cost_per_token": 3e-07, "output_cost_per_token_above_128k_tokens": 6e-07,
    "cache_creation_input_token_cost": 1e-06, "cache_creation_input_token_cost_above_1hr": 2e-06,
    "input_cost_per_token_batches": 3.75e-08, "input_cost_per_token_priority": 1e-07,
    "input_cost_per_token_priority_above_128k_tokens": 5e-07,
    "input_cost_per_token_above_128k_tokens_priority": 3e-07},
  "steps": {"litellm_provider": "bolt", "mode": "chat", "supports_reasoning": true, "tiered_pricing": [
    {"range": [0, 32e3], "input_cost_per_token": 1e-06, "output_cost_per_token": 5e-06},
    {"range": [32e3, 256000.0], "input_cost_per_token": 3e-06, "output_cost_per_token": 15e-06}]},
  "thinks": {"litellm_provider": "bolt", "mode": "chat", "supports_reasoning": true,
    "input_cost_per_token": 0, "output_cost_per_token": 4e-07, "output_cost_per_reasoning_token": 2.5e-06},
  "draws": {"litellm_provider": "bolt", "mode": "image_generation", "output_cost_per_image": 0.04},
  "free": {"litellm_provider": "bolt", "mode": "moderation"}
}"""


def terms(**changes: Any) -> CardTerms:
    """Return the terms of a card in USD at cost."""
    values: dict[str, Any] = {
        "rate_card": "llm",
        "display_name": "Prices",
        "asset_code": "USD",
        "asset_scale": 9,
        "from_time": "2026-01-01T00:00:00Z",
    }
    return CardTerms(**values | changes)


def card_of_list(content: bytes = LIST, **changes: Any) -> ListCard:
    """Return the card of all models of a list."""
    return make_card(read_list(content, file="list.json").models, terms(**changes))


def pricer_of(card: ListCard) -> Pricer:
    """Write a card as a file, read it, publish it by the ledger's rules, and make it ready for pricing."""
    asked = read_rate_card(card_text(card.tree), file="card.yaml")
    request = rate_card_service_pb2.PublishRateCardPhaseRequest(
        name="rateCards/llm", idempotency_key="k", phase=asked.phases[0]
    )
    asset = Asset(asked.rate_card.asset.code, asked.rate_card.asset.scale)
    command = read_publish_phase(request)
    (draft,) = publish_phase(RateCard(asset, "", {}), command, datetime(2025, 12, 1, tzinfo=UTC))
    stored: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(draft.event))
    members: dict[str, Any] = {name: stored[name] for name in ("rates", "brackets") if name in stored}
    members |= {"name": "rateCards/llm/phases/1", "from_time": START, "cost_currency": "USD"}
    return compile_phase(msgspec.convert(members, RateCardPhase), scale=asset.scale)


def charge(pricer: Pricer, quantities: dict[str, int], **properties: str) -> Charge:
    """Return what a usage costs."""
    return price(pricer, Usage(START, quantities, properties))


def units(amount: Fraction | str, scale: int = 9) -> Fraction:
    """Return an amount in whole assets as units."""
    return Fraction(amount) * Fraction(10**scale)
