"""Splitting counts that hold others: what is left of a prompt and of an answer without the parts inside them.

OpenAI and OpenTelemetry count everything inside two totals. Audio and images are parts of a prompt; so is what
was read from a cache, which may itself be text, audio or images, and what was written to one, which is text.
"""

from __future__ import annotations

from rating_service.domain.agreements.agreement import Record
from rating_service.domain.intake.fields import less
from rating_service.domain.intake.normalised import (
    AUDIO_INPUT,
    AUDIO_OUTPUT,
    CACHE_WRITE_5M,
    CACHED_AUDIO_INPUT,
    CACHED_IMAGE_INPUT,
    CACHED_INPUT,
    IMAGE_INPUT,
    IMAGE_OUTPUT,
    INPUT,
    OUTPUT,
    REASONING,
)


class Part(Record, frozen=True):
    """A count inside another, and the field that says it."""

    tokens: int
    field: str


class PromptParts(Record, frozen=True):
    """What a prompt holds. `cached` counts `cached_audio` and `cached_image`, and so do `audio` and `image`."""

    cached: Part
    written: Part
    audio: Part
    image: Part
    cached_audio: Part
    cached_image: Part


class AnswerParts(Record, frozen=True):
    """What an answer holds."""

    reasoning: Part
    audio: Part
    image: Part


def split_prompt(whole: int, parts: PromptParts) -> dict[str, int]:
    """Return the disjoint quantities of a prompt; they add up to the whole. Refuses INCONSISTENT_USAGE."""
    cached_text = _without(_without(parts.cached.tokens, parts.cached_audio), parts.cached_image)
    audio, image = (
        _without(parts.audio.tokens, parts.cached_audio),
        _without(parts.image.tokens, parts.cached_image),
    )
    uncached = _without(whole, parts.cached)
    unwritten = _without(uncached, parts.written)
    spoken = less(unwritten, audio, parts.audio.field)
    return {
        INPUT: less(spoken, image, parts.image.field),
        CACHED_INPUT: cached_text,
        CACHED_AUDIO_INPUT: parts.cached_audio.tokens,
        CACHED_IMAGE_INPUT: parts.cached_image.tokens,
        CACHE_WRITE_5M: parts.written.tokens,
        AUDIO_INPUT: audio,
        IMAGE_INPUT: image,
    }


def split_answer(whole: int, parts: AnswerParts) -> dict[str, int]:
    """Return the disjoint quantities of an answer; they add up to the whole. Refuses INCONSISTENT_USAGE."""
    text_and_image = _without(_without(whole, parts.reasoning), parts.audio)
    return {
        OUTPUT: _without(text_and_image, parts.image),
        REASONING: parts.reasoning.tokens,
        AUDIO_OUTPUT: parts.audio.tokens,
        IMAGE_OUTPUT: parts.image.tokens,
    }


def _without(whole: int, part: Part) -> int:
    return less(whole, part.tokens, part.field)
