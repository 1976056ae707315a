"""What a raw usage says, in this service's own words.

The dimensions are disjoint: a token is in exactly one of them, so that their sum is what the provider counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Record
from rating_service.domain.intake.fields import QUANTITY_MAX, malformed

INPUT: Final = "input_tokens"
CACHED_INPUT: Final = "cached_input_tokens"
CACHE_WRITE_5M: Final = "cache_write_tokens_5m"
CACHE_WRITE_1H: Final = "cache_write_tokens_1h"
OUTPUT: Final = "output_tokens"
REASONING: Final = "reasoning_tokens"
AUDIO_INPUT: Final = "audio_input_tokens"
AUDIO_OUTPUT: Final = "audio_output_tokens"
IMAGE_INPUT: Final = "image_input_tokens"
IMAGE_OUTPUT: Final = "image_output_tokens"
CACHED_AUDIO_INPUT: Final = "cached_audio_input_tokens"
CACHED_IMAGE_INPUT: Final = "cached_image_input_tokens"
WEB_SEARCHES: Final = "web_search_requests"
WEB_FETCHES: Final = "web_fetch_requests"

PROMPT: Final = (
    INPUT,
    CACHED_INPUT,
    CACHE_WRITE_5M,
    CACHE_WRITE_1H,
    AUDIO_INPUT,
    IMAGE_INPUT,
    CACHED_AUDIO_INPUT,
    CACHED_IMAGE_INPUT,
)
"""Dimensions that make up the prompt, whose size is the property context_tokens."""


class UsageFormat(Enum):
    """Whose form a raw usage has."""

    OPENTELEMETRY = "opentelemetry"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    CLOUDEVENTS = "cloudevents"


class Normalised(Record, frozen=True):
    """A raw usage as read. What it does not say is empty."""

    quantities: dict[str, int]
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    id: str = ""
    contract: str = ""
    effective_time: datetime | None = None
    feature: str = ""
    api_key: str = ""
    user: str = ""


def counted(quantities: Mapping[str, int]) -> dict[str, int]:
    """Return the quantities without those of 0; of a usage that counts nothing, 0 input tokens remain."""
    return {name: number for name, number in quantities.items() if number} or {INPUT: 0}


def tier_named(name: str) -> str:
    """Return the service tier that a provider sells under a name: it renamed priority to fast."""
    return "priority" if name == "fast" else name


def prompt_tokens(quantities: Mapping[str, int]) -> int:
    """Return the size of a prompt. Refuses MALFORMED_USAGE."""
    tokens = sum(quantities.get(name, 0) for name in PROMPT)
    if tokens > QUANTITY_MAX:
        raise malformed("usage", "counts more than 2^63-1 tokens of input")
    return tokens


def known(properties: Mapping[str, str], context_tokens: int) -> dict[str, str]:
    """Return the properties without empty ones, with the size of the prompt."""
    found = {name: value for name, value in properties.items() if value}
    return {**found, "context_tokens": str(context_tokens)}
