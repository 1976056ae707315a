"""Price lists in the format of LiteLLM: what each model's provider asks, read exactly.

The list is one JSON object: model name -> its prices, most of them per token, in US dollars. Numbers become
fractions of integers, never float. A key that this module does not place is counted, so that a summary can tell
what a card made of the list does not charge for. Source of the format: model_prices_and_context_window.json of
LiteLLM.

A prompt threshold (`..._above_200k_tokens`, or a range of `tiered_pricing`) prices the whole request, so it is
read as "holds when the prompt is larger", not as a tier of tokens.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

SAMPLE: Final = "sample_spec"
"""The entry that explains the format; it is no model."""
CURRENCY: Final = "USD"
MILLION: Final = 1_000_000
GZIP_MAGIC: Final = b"\x1f\x8b"
COST_DIGITS_MAX: Final = 40
"""Most digits before or after the point of a cost: far beyond any price, and small enough to write out."""

_TOKENS: Final[dict[str, str]] = {
    "input_cost_per_token": "input_tokens",
    "output_cost_per_token": "output_tokens",
    "cache_read_input_token_cost": "cached_input_tokens",
    "input_cost_per_token_cache_hit": "cached_input_tokens",
    "cache_creation_input_token_cost": "cache_write_tokens_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_tokens_1h",
    "output_cost_per_reasoning_token": "reasoning_tokens",
    "input_cost_per_image_token": "image_input_tokens",
    "output_cost_per_image_token": "image_output_tokens",
    "cache_read_input_image_token_cost": "cached_image_input_tokens",
    "input_cost_per_audio_token": "audio_input_tokens",
    "output_cost_per_audio_token": "audio_output_tokens",
    "cache_read_input_audio_token_cost": "cached_audio_input_tokens",
    "cache_creation_input_audio_token_cost": "audio_cache_write_tokens",
    "citation_cost_per_token": "citation_tokens",
    "input_cost_per_character": "input_characters",
    "output_cost_per_character": "output_characters",
    "input_cost_per_pixel": "input_pixels",
    "output_cost_per_pixel": "output_pixels",
}
_PIECES: Final[dict[str, str]] = {
    "input_cost_per_image": "input_images",
    "output_cost_per_image": "output_images",
    "input_cost_per_second": "input_seconds",
    "output_cost_per_second": "output_seconds",
    "input_cost_per_audio_per_second": "audio_input_seconds",
    "input_cost_per_video_per_second": "video_input_seconds",
    "output_cost_per_video_per_second": "video_output_seconds",
    "input_cost_per_query": "queries",
    "input_cost_per_request": "requests",
    "ocr_cost_per_page": "pages",
    "annotation_cost_per_page": "annotated_pages",
    "code_interpreter_cost_per_session": "code_interpreter_sessions",
    "search_context_cost_per_query": "web_search_requests",
}
PROMPT_DIMENSIONS: Final = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens_5m",
    "cache_write_tokens_1h",
    "image_input_tokens",
    "cached_image_input_tokens",
    "audio_input_tokens",
    "cached_audio_input_tokens",
    "audio_cache_write_tokens",
)
"""What a prompt consists of; their sum decides a threshold."""
_SERVICE_TIERS: Final = {
    "": "",
    "_batches": "batch",
    "_batch_requests": "batch",
    "_priority": "priority",
    "_flex": "flex",
}
_VARIANT: Final = re.compile(
    r"(?P<base>.+?)(?:_above_(?P<thousands>[1-9][0-9]{0,5})k_tokens)?"
    r"(?P<tier>_batches|_batch_requests|_priority|_flex)?"
)

NO_DIMENSION: Final = "no dimension for it"
SAID_BEFORE: Final = "another key says it"
NOT_ADJOINING: Final = "its ranges do not adjoin"


class ListRefused(Exception):
    """A file is no price list; the text says where."""


class ListedCost(NamedTuple):
    """What a provider asks for `unit_size` of a dimension, where the prompt is larger than `above` tokens."""

    dimension: str
    unit_size: int
    cost: Fraction
    above: int = 0
    service_tier: str = ""


class ListedModel(NamedTuple):
    """A model with its costs, by dimension, service tier and threshold."""

    name: str
    provider: str
    mode: str
    costs: tuple[ListedCost, ...]


class PriceList(NamedTuple):
    """The models of a list by name, and how often each key had no place, with the reason."""

    models: tuple[ListedModel, ...]
    skipped: Mapping[tuple[str, str], int]


def read_list(content: bytes, *, file: str) -> PriceList:
    """Return the models of a list, JSON or gzipped JSON; `file` names it in errors. Raises ListRefused."""
    try:
        text = gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
        tree = json.loads(text, parse_float=Decimal, parse_constant=Decimal)
    except (OSError, EOFError, ValueError) as error:
        raise ListRefused(f"{file}: not JSON: {error}") from None
    if not isinstance(tree, dict):
        raise ListRefused(f"{file}: must be an object of models")
    skipped: Counter[tuple[str, str]] = Counter()
    models = []
    for name, entry in sorted(tree.items()):
        if name == SAMPLE:
            continue
        if not isinstance(entry, dict):
            raise ListRefused(f"{file}: {name}: must be an object")
        models.append(_model(name, entry, skipped, where=f"{file}: {name}"))
    return PriceList(tuple(models), dict(skipped))


def read_list_file(file: Path) -> PriceList:
    """Return the models of a file. Raises ListRefused and OSError."""
    return read_list(file.read_bytes(), file=str(file))


def _model(name: str, entry: dict[str, Any], skipped: Counter[tuple[str, str]], *, where: str) -> ListedModel:
    found: dict[tuple[str, str, int], ListedCost] = {}
    for key, above, value in _price_keys(entry, skipped):
        place, value = _place(key), _single(value)
        if place is None or isinstance(value, dict | list):
            skipped[key, NO_DIMENSION] += 1
            continue
        dimension, unit_size, above_named, tier = place
        at = dimension, tier, above or above_named
        cost = _cost(value, where=f"{where}: {key}") * unit_size
        if at in found:
            skipped[key, SAID_BEFORE] += 1
        else:
            found[at] = ListedCost(dimension, unit_size, cost, at[2], tier)
    if entry.get("supports_reasoning") is True:
        found |= _reasoning_as_output(found)
    costs = tuple(found[at] for at in sorted(found))
    return ListedModel(name, str(entry.get("litellm_provider", "")), str(entry.get("mode", "")), costs)


def _reasoning_as_output(
    found: dict[tuple[str, str, int], ListedCost],
) -> dict[tuple[str, str, int], ListedCost]:
    """Return what reasoning costs where the list names no price of its own: it is output, and priced as such."""
    if any(dimension == "reasoning_tokens" for dimension, _, _ in found):
        return {}
    return {
        ("reasoning_tokens", tier, above): each._replace(dimension="reasoning_tokens")
        for (dimension, tier, above), each in found.items()
        if dimension == "output_tokens"
    }


def _price_keys(entry: dict[str, Any], skipped: Counter[tuple[str, str]]) -> Iterator[tuple[str, int, Any]]:
    """Yield the keys that are prices, those of ranges too: key, tokens above which it holds, value."""
    named = [key for key in (*_TOKENS, *_PIECES) if key in entry]
    variants = [key for key in entry if key not in named and "cost" in key]
    for key in (*named, *variants):
        if entry[key] is not None:
            yield key, 0, entry[key]
    ranges = entry.get("tiered_pricing")
    if ranges is None:
        return
    begins = _range_begins(ranges)
    if begins is None:
        skipped["tiered_pricing", NOT_ADJOINING] += 1
        return
    for begin, part in zip(begins, ranges, strict=True):
        for key, value in part.items():
            if key != "range":
                yield key, begin, value


def _range_begins(ranges: Any) -> list[int] | None:
    """Return where each range begins if the first begins at 0 and each where the one before it ends."""
    end = Decimal(0)
    begins = []
    for part in ranges if isinstance(ranges, list) else [None]:
        span = part.get("range") if isinstance(part, dict) else None
        if not isinstance(span, list) or [type(number) in (int, Decimal) for number in span] != [True, True]:
            return None
        begin, after = map(Decimal, span)
        if begin != end or not end < after < Decimal(2**63) or after % 1:
            return None
        begins.append(int(begin))
        end = after
    return begins


def _place(key: str) -> tuple[str, int, int, str] | None:
    """Return dimension, unit size, threshold and service tier of a key, or None if it has no place."""
    for name, above, tier in ((key, "", ""), _parts(key)):
        if name in _TOKENS:
            return _TOKENS[name], MILLION, int(above or 0) * 1_000, _SERVICE_TIERS[tier]
        if name in _PIECES:
            return _PIECES[name], 1, int(above or 0) * 1_000, _SERVICE_TIERS[tier]
    return None


def _single(value: Any) -> Any:
    """Return the one cost behind a cost by size, where every size costs the same; anything else as it is."""
    if isinstance(value, dict) and value and len(set(map(str, value.values()))) == 1:
        return next(iter(value.values()))
    return value


def _parts(key: str) -> tuple[str, str, str]:
    match = _VARIANT.fullmatch(key)
    assert match is not None, "the pattern's first part takes any text"
    return match["base"], match["thousands"] or "", match["tier"] or ""


def _cost(value: Any, *, where: str) -> Fraction:
    """Return a cost. Raises ListRefused for what is no amount."""
    if type(value) not in (int, Decimal):
        raise ListRefused(f"{where}: {value!r} is no number")
    cost = Decimal(value)
    if not cost.is_finite() or cost < 0:
        raise ListRefused(f"{where}: {value} is no amount")
    if cost and not (cost.adjusted() < COST_DIGITS_MAX and int(cost.as_tuple().exponent) >= -COST_DIGITS_MAX):
        raise ListRefused(f"{where}: {value} has too many digits")
    return Fraction(cost) if cost else Fraction(0)
