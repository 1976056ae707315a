"""The one place where a raw usage becomes quantities, and where quantities meet a card.

A card need not price every dimension: what it has no rate for is part of a wider dimension, as the provider
counted it. Audio and images have no such wider dimension, because they cost more: without a rate they cannot
be rated. Pages that were fetched count only if a card prices them: providers ask for the tokens alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from rating_service.domain.intake.anthropic import read_anthropic
from rating_service.domain.intake.cloudevents import names_in, read_cloudevent
from rating_service.domain.intake.fields import QUANTITY_MAX, RawObject, malformed, parse_object
from rating_service.domain.intake.normalised import (
    AUDIO_INPUT,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    CACHED_AUDIO_INPUT,
    CACHED_IMAGE_INPUT,
    CACHED_INPUT,
    IMAGE_INPUT,
    INPUT,
    OUTPUT,
    REASONING,
    WEB_FETCHES,
    Normalised,
    UsageFormat,
)
from rating_service.domain.intake.openai import read_openai
from rating_service.domain.intake.opentelemetry import RESPONSE_ID, attributes_of, read_opentelemetry
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Usage

_READERS: Final[Mapping[UsageFormat, Callable[[RawObject], Normalised]]] = {
    UsageFormat.OPENTELEMETRY: read_opentelemetry,
    UsageFormat.OPENAI: read_openai,
    UsageFormat.ANTHROPIC: read_anthropic,
    UsageFormat.CLOUDEVENTS: read_cloudevent,
}

WIDER: Final = (
    (CACHE_WRITE_1H, CACHE_WRITE_5M),
    (CACHE_WRITE_5M, INPUT),
    (CACHED_INPUT, INPUT),
    (CACHED_AUDIO_INPUT, AUDIO_INPUT),
    (CACHED_IMAGE_INPUT, IMAGE_INPUT),
    (REASONING, OUTPUT),
)
"""Dimensions and the wider one that each is part of, in the order in which they are folded."""


def normalise(form: UsageFormat, text: str) -> Normalised:
    """Return what a raw usage says. Refuses MALFORMED_USAGE, INCONSISTENT_USAGE."""
    return _READERS[form](parse_object(text))


def names_of(form: UsageFormat, text: str) -> tuple[str, str]:
    """Return the id and contract of a usage although the rest of it cannot be read, "" for what it does not say."""
    try:
        whole = parse_object(text)
        if form is UsageFormat.CLOUDEVENTS:
            return names_in(whole)
        if form is UsageFormat.OPENTELEMETRY:
            return attributes_of(whole).text(RESPONSE_ID), ""
        return whole.text("id"), ""
    except Refusal:
        return "", ""


def fold(usage: Usage, is_priced: Callable[[str], bool]) -> Usage:
    """Return the usage with each dimension that is not priced in the wider one. Refuses MALFORMED_USAGE."""
    quantities = dict(usage.quantities)
    for dimension, wider in WIDER:
        if dimension in quantities and not is_priced(dimension):
            quantities[wider] = quantities.get(wider, 0) + quantities.pop(dimension)
            if quantities[wider] > QUANTITY_MAX:
                raise malformed(wider, "is more than 2^63-1")
    if WEB_FETCHES in quantities and len(quantities) > 1 and not is_priced(WEB_FETCHES):
        del quantities[WEB_FETCHES]
    return msgspec.structs.replace(usage, quantities=quantities)
