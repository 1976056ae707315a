"""Attributes of the OpenTelemetry GenAI conventions, as one flat object or under `attributes`.

Input counts what was read from and written to a cache, audio and images; output counts reasoning. The model is
the one that answered, else the one that was asked for. A count of `gen_ai.usage.` that is not known is refused,
for it may be priced apart.
"""

from __future__ import annotations

from typing import Final

from rating_service.domain.intake.fields import RawObject, inconsistent
from rating_service.domain.intake.normalised import Normalised, counted, known, prompt_tokens, tier_named
from rating_service.domain.intake.token_parts import (
    AnswerParts,
    Part,
    PromptParts,
    split_answer,
    split_prompt,
)

RESPONSE_ID: Final = "gen_ai.response.id"
_USAGE: Final = "gen_ai.usage."
_INPUT: Final = ("input_tokens", "prompt_tokens")
_OUTPUT: Final = ("output_tokens", "completion_tokens")
_WRITTEN: Final = ("cache_write.input_tokens", "cache_creation.input_tokens")
"""Names that the conventions gave to one count, the newest first."""
_KNOWN: Final = frozenset(
    _USAGE + name
    for name in (
        *_INPUT,
        *_OUTPUT,
        *_WRITTEN,
        "cache_read.input_tokens",
        "reasoning.output_tokens",
        "audio.input_tokens",
        "image.input_tokens",
        "audio.cache_read.input_tokens",
        "image.cache_read.input_tokens",
        "audio.output_tokens",
        "image.output_tokens",
        # What the others leave, said once more.
        "text.input_tokens",
        "text.cache_read.input_tokens",
        "text.output_tokens",
        "total_tokens",
    )
)


def read_opentelemetry(whole: RawObject) -> Normalised:
    """Return what the attributes say. Refuses MALFORMED_USAGE, INCONSISTENT_USAGE."""
    said = attributes_of(whole)
    said.refuse_unknown(_KNOWN, prefix=_USAGE)
    quantities = counted(_quantities(said))
    properties = {
        "provider": said.text("gen_ai.provider.name", "gen_ai.system"),
        "model": said.text("gen_ai.response.model", "gen_ai.request.model"),
        "operation": said.text("gen_ai.operation.name"),
        "service_tier": tier_named(said.text("openai.response.service_tier", "openai.request.service_tier")),
        "region": said.text("cloud.region"),
    }
    return Normalised(quantities, known(properties, prompt_tokens(quantities)), id=said.text(RESPONSE_ID))


def attributes_of(whole: RawObject) -> RawObject:
    """Return the attributes, wherever they stand. Refuses MALFORMED_USAGE."""
    return whole.part("attributes") if whole.has("attributes") else whole


def _quantities(said: RawObject) -> dict[str, int]:
    said.require(*(_USAGE + name for name in (*_INPUT, *_OUTPUT)))
    prompt = PromptParts(
        cached=_part(said, "cache_read.input_tokens"),
        written=_part(said, *_WRITTEN),
        audio=_part(said, "audio.input_tokens"),
        image=_part(said, "image.input_tokens"),
        cached_audio=_part(said, "audio.cache_read.input_tokens"),
        cached_image=_part(said, "image.cache_read.input_tokens"),
    )
    answer = AnswerParts(
        reasoning=_part(said, "reasoning.output_tokens"),
        audio=_part(said, "audio.output_tokens"),
        image=_part(said, "image.output_tokens"),
    )
    return {
        **split_prompt(_part(said, *_INPUT).tokens, prompt),
        **split_answer(_part(said, *_OUTPUT).tokens, answer),
    }


def _part(said: RawObject, *names: str) -> Part:
    """Return the count that stands under one of these names. Refuses INCONSISTENT_USAGE if they differ."""
    found = [_USAGE + name for name in names if said.has(_USAGE + name)] or [_USAGE + names[0]]
    tokens = said.count(found[0])
    for name in found[1:]:
        if said.count(name) != tokens:
            raise inconsistent(said.path + name, f"is not the {tokens} of {found[0]}")
    return Part(tokens, said.path + found[0])
