"""OpenAI's usage objects: of chat completions, responses, realtime, transcriptions and images.

They come bare or inside the response that holds them. Input counts cached, cache-writing, audio and image
tokens; output counts reasoning, audio and image tokens. Predicted tokens, accepted or rejected, are output like
any other. A count that is not known is refused, for it may be priced apart.
"""

from __future__ import annotations

from typing import Final

from rating_service.domain.intake.fields import RawObject, from_epoch, inconsistent
from rating_service.domain.intake.normalised import Normalised, counted, known, prompt_tokens, tier_named
from rating_service.domain.intake.token_parts import (
    AnswerParts,
    Part,
    PromptParts,
    split_answer,
    split_prompt,
)

_OPERATIONS: Final = {
    "chat.completion": "chat",
    "chat.completion.chunk": "chat",
    "response": "chat",
    "realtime.response": "chat",
    "text_completion": "text_completion",
    "list": "embeddings",
}
_WHOLE: Final = frozenset(("id", "object", "created", "created_at", "model", "service_tier", "usage"))
_DETAILS: Final = (
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "input_token_details",
    "output_token_details",
)
_USAGE: Final = frozenset(
    ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens", *_DETAILS)
)
_OF_INPUT: Final = frozenset(
    (
        "cached_tokens",
        "cache_write_tokens",
        "audio_tokens",
        "image_tokens",
        "text_tokens",
        "cached_tokens_details",
    )
)
_OF_CACHED: Final = frozenset(("audio_tokens", "image_tokens", "text_tokens"))
_OF_OUTPUT: Final = frozenset(
    (
        "reasoning_tokens",
        "audio_tokens",
        "image_tokens",
        "text_tokens",
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
    )
)


def read_openai(whole: RawObject) -> Normalised:
    """Return what a usage or a response says. Refuses MALFORMED_USAGE, INCONSISTENT_USAGE."""
    usage = whole.part("usage") if whole.has("usage") else whole
    # Beside a bare usage may stand anything; inside a usage everything tells how much there was.
    usage.refuse_unknown(_USAGE | _WHOLE, holding="" if whole.has("usage") else "token")
    quantities = counted(_quantities(usage))
    created = "created" if whole.has("created") else "created_at"
    properties = {
        "provider": "openai",
        "model": whole.text("model"),
        "operation": _OPERATIONS.get(whole.text("object"), ""),
        "service_tier": tier_named(whole.text("service_tier") or usage.text("service_tier")),
    }
    return Normalised(
        quantities,
        known(properties, prompt_tokens(quantities)),
        id=whole.text("id"),
        effective_time=from_epoch(whole.count(created), created) if whole.has(created) else None,
    )


def _quantities(usage: RawObject) -> dict[str, int]:
    """Return the disjoint quantities of either form."""
    chat = usage.has("prompt_tokens") or usage.has("completion_tokens")
    whole_input, whole_output = (
        ("prompt_tokens", "completion_tokens") if chat else ("input_tokens", "output_tokens")
    )
    usage.require(whole_input, whole_output)
    counts_in, counts_out = usage.count(whole_input), usage.count(whole_output)
    if usage.has("total_tokens") and usage.count("total_tokens") != counts_in + counts_out:
        raise inconsistent(
            f"{usage.path}total_tokens", f"is not the {counts_in + counts_out} of input and output"
        )
    return {
        **split_prompt(counts_in, _prompt_parts(_details(usage, whole_input))),
        **split_answer(counts_out, _answer_parts(_details(usage, whole_output))),
    }


def _details(usage: RawObject, whole: str) -> RawObject:
    """Return the parts of a total, which realtime sessions and transcriptions name in the singular."""
    singular = f"{whole.removesuffix('s')}_details"
    return usage.part(singular if usage.has(singular) else f"{whole}_details")


def _prompt_parts(said: RawObject) -> PromptParts:
    of_cached = said.part("cached_tokens_details")
    said.refuse_unknown(_OF_INPUT)
    of_cached.refuse_unknown(_OF_CACHED)
    return PromptParts(
        cached=_part(said, "cached_tokens"),
        written=_part(said, "cache_write_tokens"),
        audio=_part(said, "audio_tokens"),
        image=_part(said, "image_tokens"),
        cached_audio=_part(of_cached, "audio_tokens"),
        cached_image=_part(of_cached, "image_tokens"),
    )


def _answer_parts(said: RawObject) -> AnswerParts:
    said.refuse_unknown(_OF_OUTPUT)
    return AnswerParts(
        reasoning=_part(said, "reasoning_tokens"),
        audio=_part(said, "audio_tokens"),
        image=_part(said, "image_tokens"),
    )


def _part(said: RawObject, name: str) -> Part:
    return Part(said.count(name), said.path + name)
