"""Anthropic's usage objects, bare or inside the message that holds them.

Input counts neither what was read from a cache nor what was written to one. A cache write is for five minutes
unless its parts say otherwise. Output counts thinking. The totals leave out what compacting the conversation
took, which `iterations` tells; an iteration of another kind may be of another model and is refused. So is a
count that is not known, for it may be priced apart.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from rating_service.domain.intake.fields import RawObject, inconsistent, less, malformed
from rating_service.domain.intake.normalised import (
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    CACHED_INPUT,
    INPUT,
    OUTPUT,
    REASONING,
    WEB_FETCHES,
    WEB_SEARCHES,
    Normalised,
    counted,
    known,
    prompt_tokens,
)

_WHOLE: Final = frozenset(("id", "type", "model", "usage"))
_USAGE: Final = frozenset(
    (
        "input_tokens",
        "output_tokens",
        "output_tokens_details",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "server_tool_use",
        "iterations",
    )
)
_OF_WRITES: Final = frozenset(("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"))
_OF_TOOLS: Final = frozenset(("web_search_requests", "web_fetch_requests"))
_OF_OUTPUT: Final = frozenset(("thinking_tokens",))


def read_anthropic(whole: RawObject) -> Normalised:
    """Return what a usage or a message says. Refuses MALFORMED_USAGE, INCONSISTENT_USAGE."""
    usage = whole.part("usage") if whole.has("usage") else whole
    # Beside a bare usage may stand anything; inside a usage everything tells how much there was.
    usage.refuse_unknown(_USAGE | _WHOLE, holding="" if whole.has("usage") else "token")
    message = _tokens(usage)
    compactions = [_tokens(each) for each in usage.members_of("iterations") if _is_compaction(each)]
    tokens: Counter[str] = Counter(message)
    for each in compactions:
        tokens.update(each)
    quantities = counted({**tokens, **_tools(usage)})
    properties = {
        "provider": "anthropic",
        "model": whole.text("model"),
        "operation": "chat" if whole.text("type") == "message" else "",
        "service_tier": usage.text("service_tier"),
        "speed": usage.text("speed"),
        "region": usage.text("inference_geo"),
    }
    # Each iteration has a prompt of its own; the largest decides.
    context_tokens = max(prompt_tokens(each) for each in (message, *compactions))
    return Normalised(quantities, known(properties, context_tokens), id=whole.text("id"))


def _tokens(usage: RawObject) -> dict[str, int]:
    """Return the disjoint tokens of a usage or of one iteration."""
    usage.require("input_tokens", "output_tokens")
    five_minutes, one_hour = _cache_writes(usage)
    of_output = usage.part("output_tokens_details")
    of_output.refuse_unknown(_OF_OUTPUT)
    thinking = of_output.count("thinking_tokens")
    return {
        INPUT: usage.count("input_tokens"),
        CACHED_INPUT: usage.count("cache_read_input_tokens"),
        CACHE_WRITE_5M: five_minutes,
        CACHE_WRITE_1H: one_hour,
        OUTPUT: less(usage.count("output_tokens"), thinking, f"{of_output.path}thinking_tokens"),
        REASONING: thinking,
    }


def _cache_writes(usage: RawObject) -> tuple[int, int]:
    """Return the tokens written to a cache for five minutes and for an hour."""
    total = usage.count("cache_creation_input_tokens")
    if not usage.has("cache_creation"):
        return total, 0
    parts = usage.part("cache_creation")
    parts.refuse_unknown(_OF_WRITES)
    five_minutes = parts.count("ephemeral_5m_input_tokens")
    one_hour = parts.count("ephemeral_1h_input_tokens")
    if usage.has("cache_creation_input_tokens") and five_minutes + one_hour != total:
        raise inconsistent(
            f"{usage.path}cache_creation_input_tokens", f"is not the {five_minutes + one_hour} of its parts"
        )
    return five_minutes, one_hour


def _tools(usage: RawObject) -> dict[str, int]:
    used = usage.part("server_tool_use")
    used.refuse_unknown(_OF_TOOLS)
    return {
        WEB_SEARCHES: used.count("web_search_requests"),
        WEB_FETCHES: used.count("web_fetch_requests"),
    }


def _is_compaction(iteration: RawObject) -> bool:
    """Tell whether an iteration comes on top of the totals. Refuses MALFORMED_USAGE one of an unknown kind."""
    kind = iteration.text("type")
    if kind not in ("message", "compaction"):
        raise malformed(f"{iteration.path}type", "is neither message nor compaction: it has its own price")
    return kind == "compaction"
