"""OpenAI's usage objects: chat completions and responses, bare or inside the response that holds them.

Input counts cached, audio and image tokens; output counts reasoning, audio and image tokens. Predicted tokens,
accepted or rejected, are output like any other.
"""

from __future__ import annotations

from typing import Final

from rating_service.domain.intake.fields import RawObject, from_epoch, inconsistent, less
from rating_service.domain.intake.normalised import (
    AUDIO_INPUT,
    AUDIO_OUTPUT,
    CACHED_INPUT,
    IMAGE_INPUT,
    IMAGE_OUTPUT,
    INPUT,
    OUTPUT,
    REASONING,
    Normalised,
    counted,
    known,
)

_OPERATIONS: Final = {
    "chat.completion": "chat",
    "chat.completion.chunk": "chat",
    "response": "chat",
    "text_completion": "text_completion",
    "list": "embeddings",
}


def read_openai(whole: RawObject) -> Normalised:
    """Return what a usage or a response says. Refuses MALFORMED_USAGE, INCONSISTENT_USAGE."""
    usage = whole.part("usage") if whole.has("usage") else whole
    quantities = counted(_quantities(usage))
    created = "created" if whole.has("created") else "created_at"
    properties = {
        "provider": "openai",
        "model": whole.text("model"),
        "operation": _OPERATIONS.get(whole.text("object"), ""),
        "service_tier": whole.text("service_tier") or usage.text("service_tier"),
    }
    return Normalised(
        quantities,
        known(properties, quantities),
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
    of_input = usage.part(f"{whole_input}_details")
    of_output = usage.part(f"{whole_output}_details")
    counts_in, counts_out = usage.count(whole_input), usage.count(whole_output)
    cached, audio_in = of_input.count("cached_tokens"), of_input.count("audio_tokens")
    image_in = of_input.count("image_tokens")
    reasoning, audio_out = of_output.count("reasoning_tokens"), of_output.count("audio_tokens")
    image_out = of_output.count("image_tokens")
    if usage.has("total_tokens") and usage.count("total_tokens") != counts_in + counts_out:
        raise inconsistent(
            f"{usage.path}total_tokens", f"is not the {counts_in + counts_out} of input and output"
        )
    uncached = less(counts_in, cached, f"{of_input.path}cached_tokens")
    text_in = less(uncached, audio_in, f"{of_input.path}audio_tokens")
    answered = less(counts_out, reasoning, f"{of_output.path}reasoning_tokens")
    text_out = less(answered, audio_out, f"{of_output.path}audio_tokens")
    return {
        INPUT: less(text_in, image_in, f"{of_input.path}image_tokens"),
        CACHED_INPUT: cached,
        AUDIO_INPUT: audio_in,
        IMAGE_INPUT: image_in,
        OUTPUT: less(text_out, image_out, f"{of_output.path}image_tokens"),
        REASONING: reasoning,
        AUDIO_OUTPUT: audio_out,
        IMAGE_OUTPUT: image_out,
    }
