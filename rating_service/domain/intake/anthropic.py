"""Anthropic's usage objects, bare or inside the message that holds them.

Input counts neither what was read from a cache nor what was written to one. A cache write is for five minutes
unless its parts say otherwise. Output counts thinking, which is not told apart.
"""

from __future__ import annotations

from rating_service.domain.intake.fields import RawObject, inconsistent
from rating_service.domain.intake.normalised import (
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    CACHED_INPUT,
    INPUT,
    OUTPUT,
    WEB_SEARCHES,
    Normalised,
    counted,
    known,
)


def read_anthropic(whole: RawObject) -> Normalised:
    """Return what a usage or a message says. Refuses MALFORMED_USAGE, INCONSISTENT_USAGE."""
    usage = whole.part("usage") if whole.has("usage") else whole
    usage.require("input_tokens", "output_tokens")
    five_minutes, one_hour = _cache_writes(usage)
    quantities = counted(
        {
            INPUT: usage.count("input_tokens"),
            CACHED_INPUT: usage.count("cache_read_input_tokens"),
            CACHE_WRITE_5M: five_minutes,
            CACHE_WRITE_1H: one_hour,
            OUTPUT: usage.count("output_tokens"),
            WEB_SEARCHES: usage.part("server_tool_use").count("web_search_requests"),
        }
    )
    properties = {
        "provider": "anthropic",
        "model": whole.text("model"),
        "operation": "chat" if whole.text("type") == "message" else "",
        "service_tier": usage.text("service_tier"),
        "region": usage.text("inference_geo"),
    }
    return Normalised(quantities, known(properties, quantities), id=whole.text("id"))


def _cache_writes(usage: RawObject) -> tuple[int, int]:
    """Return the tokens written to a cache for five minutes and for an hour."""
    total = usage.count("cache_creation_input_tokens")
    if not usage.has("cache_creation"):
        return total, 0
    parts = usage.part("cache_creation")
    five_minutes = parts.count("ephemeral_5m_input_tokens")
    one_hour = parts.count("ephemeral_1h_input_tokens")
    if usage.has("cache_creation_input_tokens") and five_minutes + one_hour != total:
        raise inconsistent(
            f"{usage.path}cache_creation_input_tokens", f"is not the {five_minutes + one_hour} of its parts"
        )
    return five_minutes, one_hour
