"""Laws of reading raw usage: the parts add up to what the provider counted."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rating_service.domain.intake.normalise import fold, normalise
from rating_service.domain.intake.normalised import PROMPT, UsageFormat
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Usage
from tests.unit.rating.builders import JANUARY

COUNTS = st.integers(0, 10**6)
DIMENSIONS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens_5m",
    "cache_write_tokens_1h",
    "output_tokens",
    "reasoning_tokens",
)


def prompt_and_answer(form: UsageFormat, value: dict[str, Any]) -> tuple[int, int]:
    quantities = normalise(form, json.dumps(value)).quantities
    prompt = sum(quantities.get(name, 0) for name in PROMPT)
    return prompt, sum(quantities.values()) - prompt


@given(st.lists(COUNTS, min_size=4, max_size=4), st.lists(COUNTS, min_size=4, max_size=4))
def test_what_openai_counts_is_split_and_nothing_else(prompt: list[int], answer: list[int]) -> None:
    value = {
        "prompt_tokens": sum(prompt),
        "completion_tokens": sum(answer),
        "prompt_tokens_details": dict(
            zip(("cached_tokens", "audio_tokens", "image_tokens"), prompt, strict=False)
        ),
        "completion_tokens_details": dict(
            zip(("reasoning_tokens", "audio_tokens", "image_tokens"), answer, strict=False)
        ),
    }

    assert prompt_and_answer(UsageFormat.OPENAI, value) == (sum(prompt), sum(answer))


@given(st.lists(COUNTS, min_size=5, max_size=5))
def test_what_anthropic_counts_apart_stays_apart(counts: list[int]) -> None:
    fresh, read, five, hour, answer = counts
    value = {
        "input_tokens": fresh,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": five + hour,
        "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
        "output_tokens": answer,
    }

    assert prompt_and_answer(UsageFormat.ANTHROPIC, value) == (fresh + read + five + hour, answer)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_a_span_is_split_exactly_or_refused(
    whole: int, read: int, written: int, answer: int, reasoning: int
) -> None:
    value = {
        "gen_ai.usage.input_tokens": whole,
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.usage.cache_creation.input_tokens": written,
        "gen_ai.usage.output_tokens": answer,
        "gen_ai.usage.reasoning.output_tokens": reasoning,
    }
    try:
        found = prompt_and_answer(UsageFormat.OPENTELEMETRY, value)
    except Refusal:
        assert read + written > whole or reasoning > answer
    else:
        assert found == (whole, answer)
        assert read + written <= whole
        assert reasoning <= answer


@given(st.dictionaries(st.sampled_from(DIMENSIONS), COUNTS, min_size=1), st.sets(st.sampled_from(DIMENSIONS)))
def test_folding_moves_tokens_and_neither_adds_nor_drops_any(
    quantities: dict[str, int], priced: set[str]
) -> None:
    folded = fold(Usage(JANUARY, quantities), priced.__contains__).quantities

    assert sum(folded.values()) == sum(quantities.values())
    assert folded.keys() <= priced | {"input_tokens", "output_tokens"}
