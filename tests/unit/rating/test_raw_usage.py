"""Usage as providers report it becomes quantities that count no token twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from rating_service.domain.intake.fields import QUANTITY_MAX, TEXT_LENGTH_MAX
from rating_service.domain.intake.normalise import fold, normalise
from rating_service.domain.intake.normalised import Normalised, UsageFormat
from rating_service.domain.refusals import Reason, Refusal
from tests.unit.rating.builders import usage

OPENAI = UsageFormat.OPENAI
ANTHROPIC = UsageFormat.ANTHROPIC
OTEL = UsageFormat.OPENTELEMETRY
EVENT = UsageFormat.CLOUDEVENTS

CHAT = {
    "prompt_tokens": 1000,
    "completion_tokens": 300,
    "total_tokens": 1300,
    "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 100},
    "completion_tokens_details": {
        "reasoning_tokens": 120,
        "audio_tokens": 30,
        "rejected_prediction_tokens": 9,
    },
}
RESPONSES = {
    "input_tokens": 80,
    "output_tokens": 40,
    "total_tokens": 120,
    "input_tokens_details": {"cached_tokens": 64},
    "output_tokens_details": {"reasoning_tokens": 40},
}
CLAUDE = {
    "input_tokens": 21,
    "cache_read_input_tokens": 188,
    "cache_creation_input_tokens": 556,
    "cache_creation": {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100},
    "output_tokens": 393,
    "service_tier": "priority",
}
REALTIME = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
COMPACTED = {
    "input_tokens": 23_000,
    "output_tokens": 1_000,
    "output_tokens_details": {"thinking_tokens": 400},
    "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 2},
    "iterations": [
        {
            "type": "compaction",
            "input_tokens": 180_000,
            "cache_read_input_tokens": 500,
            "cache_creation_input_tokens": 40,
            "cache_creation": {"ephemeral_1h_input_tokens": 40},
            "output_tokens": 3_500,
        },
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
    ],
}
SPAN = {
    "gen_ai.usage.input_tokens": 500,
    "gen_ai.usage.cache_read.input_tokens": 200,
    "gen_ai.usage.cache_creation.input_tokens": 50,
    "gen_ai.usage.output_tokens": 90,
    "gen_ai.usage.reasoning.output_tokens": 70,
    "gen_ai.request.model": "asked",
    "gen_ai.response.model": "answered",
    "gen_ai.response.id": "r-1",
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "gcp.vertex_ai",
    "cloud.region": "eu",
}


def read(form: UsageFormat, value: Any) -> Normalised:
    return normalise(form, json.dumps(value))


def event(data: Any, **members: Any) -> dict[str, Any]:
    whole = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/gateway",
        "type": "usage",
        "subject": "contracts/acme",
        "time": "2026-01-02T03:04:05.000006+01:00",
        "data": data,
    }
    return {**whole, **members}


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        (
            OPENAI,
            CHAT,
            {
                "input_tokens": 300,
                "cached_input_tokens": 600,
                "audio_input_tokens": 100,
                "output_tokens": 150,
                "reasoning_tokens": 120,
                "audio_output_tokens": 30,
            },
        ),
        (OPENAI, RESPONSES, {"input_tokens": 16, "cached_input_tokens": 64, "reasoning_tokens": 40}),
        (OPENAI, {"prompt_tokens": 8, "total_tokens": 8}, {"input_tokens": 8}),
        (OPENAI, {"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 0}),
        (OPENAI, {"prompt_tokens": 5, "prompt_tokens_details": None}, {"input_tokens": 5}),
        (
            ANTHROPIC,
            CLAUDE,
            {
                "input_tokens": 21,
                "cached_input_tokens": 188,
                "cache_write_tokens_5m": 456,
                "cache_write_tokens_1h": 100,
                "output_tokens": 393,
            },
        ),
        (
            ANTHROPIC,
            {"input_tokens": 1, "cache_creation_input_tokens": 7, "output_tokens": 2},
            {"input_tokens": 1, "cache_write_tokens_5m": 7, "output_tokens": 2},
        ),
        (
            ANTHROPIC,
            {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": None, "cache_creation": None},
            {"input_tokens": 1, "output_tokens": 2},
        ),
        (
            ANTHROPIC,
            {"input_tokens": 1, "output_tokens": 2, "server_tool_use": {"web_search_requests": 3}},
            {"input_tokens": 1, "output_tokens": 2, "web_search_requests": 3},
        ),
        (
            OTEL,
            SPAN,
            {
                "input_tokens": 250,
                "cached_input_tokens": 200,
                "cache_write_tokens_5m": 50,
                "output_tokens": 20,
                "reasoning_tokens": 70,
            },
        ),
        (
            OPENAI,
            {
                "input_tokens": 9,
                "output_tokens": 0,
                "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
            },
            {"input_tokens": 4, "cached_input_tokens": 2, "cache_write_tokens_5m": 3},
        ),
        (
            OPENAI,
            REALTIME,
            {
                "input_tokens": 59,
                "cached_input_tokens": 60,
                "audio_input_tokens": 9,
                "cached_audio_input_tokens": 4,
                "output_tokens": 30,
                "audio_output_tokens": 91,
            },
        ),
        (
            OPENAI,
            {
                "prompt_tokens": 9,
                "prompt_tokens_details": {
                    "image_tokens": 6,
                    "cached_tokens": 5,
                    "cached_tokens_details": {"image_tokens": 4},
                },
            },
            {
                "input_tokens": 2,
                "cached_input_tokens": 1,
                "image_input_tokens": 2,
                "cached_image_input_tokens": 4,
            },
        ),
        (
            ANTHROPIC,
            COMPACTED,
            {
                "input_tokens": 203_000,
                "cached_input_tokens": 500,
                "cache_write_tokens_1h": 40,
                "output_tokens": 4_100,
                "reasoning_tokens": 400,
                "web_search_requests": 1,
                "web_fetch_requests": 2,
            },
        ),
        (
            OTEL,
            {
                "gen_ai.usage.prompt_tokens": 10,
                "gen_ai.usage.input_tokens": 10,
                "gen_ai.usage.completion_tokens": 3,
                "gen_ai.usage.total_tokens": 13,
                "gen_ai.usage.cache_write.input_tokens": 2,
                "gen_ai.usage.text.input_tokens": 6,
                "gen_ai.usage.audio.input_tokens": 4,
                "gen_ai.usage.cache_read.input_tokens": 1,
                "gen_ai.usage.audio.cache_read.input_tokens": 1,
            },
            {
                "input_tokens": 4,
                "cached_audio_input_tokens": 1,
                "cache_write_tokens_5m": 2,
                "audio_input_tokens": 3,
                "output_tokens": 3,
            },
        ),
        (EVENT, event(RESPONSES), {"input_tokens": 16, "cached_input_tokens": 64, "reasoning_tokens": 40}),
        (
            EVENT,
            event({"input_tokens": 4, "output_tokens_details": {"thinking_tokens": 0}, "speed": "standard"}),
            {"input_tokens": 4},
        ),
        (EVENT, event({"attributes": {"gen_ai.usage.input_tokens": 4}}), {"input_tokens": 4}),
        (EVENT, event({"quantities": {"seconds": 9}}), {"seconds": 9}),
        (EVENT, event({"input_tokens": 4}, type="com.anthropic.message"), {"input_tokens": 4}),
    ],
)
def test_a_raw_usage_is_read_into_disjoint_dimensions(
    form: UsageFormat, value: Any, expected: dict[str, int]
) -> None:
    assert read(form, value).quantities == expected


def test_an_openai_response_names_itself_its_model_and_its_time() -> None:
    found = read(
        OPENAI,
        {
            "id": "resp-1",
            "object": "response",
            "created_at": 1_767_225_600,
            "model": "gpt-x",
            "service_tier": "flex",
            "usage": RESPONSES,
        },
    )

    assert (found.id, found.effective_time) == ("resp-1", datetime(2026, 1, 1, tzinfo=UTC))
    assert found.properties == {
        "provider": "openai",
        "model": "gpt-x",
        "operation": "chat",
        "service_tier": "flex",
        "context_tokens": "80",
    }


def test_the_context_of_an_anthropic_message_counts_what_its_input_leaves_out() -> None:
    found = read(ANTHROPIC, {"id": "msg-1", "type": "message", "model": "claude-x", "usage": CLAUDE})

    assert found.properties == {
        "provider": "anthropic",
        "model": "claude-x",
        "operation": "chat",
        "service_tier": "priority",
        "context_tokens": str(21 + 188 + 556),
    }


def test_the_model_of_a_span_is_the_one_that_answered_else_the_one_asked_for() -> None:
    asked = {name: value for name, value in SPAN.items() if name != "gen_ai.response.model"}

    assert read(OTEL, SPAN).properties == {
        "provider": "gcp.vertex_ai",
        "model": "answered",
        "operation": "chat",
        "region": "eu",
        "context_tokens": "500",
    }
    assert read(OTEL, asked).properties["model"] == "asked"


def test_a_count_of_zero_or_beside_a_bare_usage_need_not_be_known() -> None:
    beside = {**RESPONSES, "latency_ms": 320, "input_tokens_details": {"cached_tokens": 64, "new_tokens": 0}}

    assert read(OPENAI, beside).quantities == {
        "input_tokens": 16,
        "cached_input_tokens": 64,
        "reasoning_tokens": 40,
    }
    assert read(OPENAI, {"usage": {**RESPONSES, "cost": 0.02, "is_byok": True}}).quantities


def test_what_decides_a_price_beside_the_counts_is_kept() -> None:
    fast = read(ANTHROPIC, {**COMPACTED, "speed": "fast", "inference_geo": "us", "model": "claude-x"})

    # The larger of the two prompts: 180,000 and what its iteration read from and wrote to a cache.
    assert fast.properties == {
        "provider": "anthropic",
        "model": "claude-x",
        "speed": "fast",
        "region": "us",
        "context_tokens": "180540",
    }
    assert read(OPENAI, {**RESPONSES, "service_tier": "fast"}).properties["service_tier"] == "priority"


def test_an_event_gives_id_time_and_contract_and_its_source_is_kept() -> None:
    found = read(EVENT, event({"id": "resp-1", "usage": RESPONSES}))

    assert (found.id, found.contract) == ("e-1", "contracts/acme")
    assert found.effective_time == datetime(2026, 1, 2, 2, 4, 5, 6, tzinfo=UTC)
    assert found.properties["source"] == "/gateway"
    assert read(EVENT, event(RESPONSES, subject="acme")).contract == "contracts/acme"


def test_what_a_usage_inside_an_event_says_of_itself_goes_first() -> None:
    own = {
        "quantities": {"seconds": 9},
        "contract": "contracts/other",
        "effective_time": "2026-02-01T00:00:00Z",
        "feature": "video",
    }
    found = read(EVENT, event(own))

    assert (found.contract, found.feature) == ("contracts/other", "video")
    assert found.effective_time == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "value", "reason", "field"),
    [
        (OPENAI, [], "MALFORMED_USAGE", "raw.json"),
        (OPENAI, {}, "MALFORMED_USAGE", "input_tokens"),
        (OPENAI, {"usage": 5}, "MALFORMED_USAGE", "usage"),
        (OPENAI, {"usage": {"prompt_tokens": -1}}, "MALFORMED_USAGE", "usage.prompt_tokens"),
        (OPENAI, {"prompt_tokens": 1.5}, "MALFORMED_USAGE", "prompt_tokens"),
        (OPENAI, {"prompt_tokens": True}, "MALFORMED_USAGE", "prompt_tokens"),
        (OPENAI, {"prompt_tokens": "7"}, "MALFORMED_USAGE", "prompt_tokens"),
        (OPENAI, {"prompt_tokens": QUANTITY_MAX + 1}, "MALFORMED_USAGE", "prompt_tokens"),
        (OPENAI, {"prompt_tokens": 1, "model": 4}, "MALFORMED_USAGE", "model"),
        (OPENAI, {"prompt_tokens": 1, "created": 10**15}, "MALFORMED_USAGE", "created"),
        (OPENAI, {**CHAT, "total_tokens": 1299}, "INCONSISTENT_USAGE", "total_tokens"),
        (
            OPENAI,
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 10}},
            "INCONSISTENT_USAGE",
            "prompt_tokens_details.cached_tokens",
        ),
        (
            OPENAI,
            {"output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 10}},
            "INCONSISTENT_USAGE",
            "output_tokens_details.reasoning_tokens",
        ),
        (
            OPENAI,
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 5}},
            "INCONSISTENT_USAGE",
            "prompt_tokens_details.audio_tokens",
        ),
        (ANTHROPIC, {"cache_read_input_tokens": 4}, "MALFORMED_USAGE", "input_tokens"),
        (
            ANTHROPIC,
            {**CLAUDE, "cache_creation_input_tokens": 557},
            "INCONSISTENT_USAGE",
            "cache_creation_input_tokens",
        ),
        (
            OTEL,
            {**SPAN, "gen_ai.usage.cache_creation.input_tokens": 301},
            "INCONSISTENT_USAGE",
            "gen_ai.usage.cache_creation.input_tokens",
        ),
        (
            OTEL,
            {**SPAN, "gen_ai.usage.reasoning.output_tokens": 91},
            "INCONSISTENT_USAGE",
            "gen_ai.usage.reasoning.output_tokens",
        ),
        (
            OPENAI,
            {"usage": {"prompt_tokens": 9, "prompt_tokens_details": {"video_tokens": 4}}},
            "MALFORMED_USAGE",
            "usage.prompt_tokens_details.video_tokens",
        ),
        (
            OPENAI,
            {"usage": {"prompt_tokens": 9, "num_search_queries": 1}},
            "MALFORMED_USAGE",
            "usage.num_search_queries",
        ),
        (
            OPENAI,
            {"prompt_tokens": 9, "prompt_cache_hit_tokens": 1},
            "MALFORMED_USAGE",
            "prompt_cache_hit_tokens",
        ),
        (
            OPENAI,
            {
                **REALTIME,
                "input_token_details": {"audio_tokens": 3, "cached_tokens_details": {"audio_tokens": 1}},
            },
            "INCONSISTENT_USAGE",
            "input_token_details.cached_tokens_details.audio_tokens",
        ),
        (
            ANTHROPIC,
            {"usage": {**CLAUDE, "server_tool_use": {"code_executions": 1}}},
            "MALFORMED_USAGE",
            "usage.server_tool_use.code_executions",
        ),
        (
            ANTHROPIC,
            {**CLAUDE, "cache_creation": {"ephemeral_24h_input_tokens": 556}},
            "MALFORMED_USAGE",
            "cache_creation.ephemeral_24h_input_tokens",
        ),
        (
            ANTHROPIC,
            {**CLAUDE, "output_tokens_details": {"thinking_tokens": 394}},
            "INCONSISTENT_USAGE",
            "output_tokens_details.thinking_tokens",
        ),
        (
            ANTHROPIC,
            {**CLAUDE, "iterations": [{"type": "advisor_message", "model": "m", "input_tokens": 4}]},
            "MALFORMED_USAGE",
            "iterations[0].type",
        ),
        (ANTHROPIC, {**CLAUDE, "iterations": 1}, "MALFORMED_USAGE", "iterations"),
        (
            OTEL,
            {**SPAN, "gen_ai.usage.video.input_tokens": 1},
            "MALFORMED_USAGE",
            "gen_ai.usage.video.input_tokens",
        ),
        (
            OTEL,
            {**SPAN, "gen_ai.usage.cache_write.input_tokens": 49},
            "INCONSISTENT_USAGE",
            "gen_ai.usage.cache_creation.input_tokens",
        ),
        (EVENT, event(CHAT, specversion="0.3"), "MALFORMED_USAGE", "specversion"),
        (EVENT, event(CHAT, id=""), "MALFORMED_USAGE", "id"),
        (EVENT, event(CHAT, source=None), "MALFORMED_USAGE", "source"),
        (EVENT, event(None, data_base64="e30="), "MALFORMED_USAGE", "data"),
        (EVENT, event({"input_tokens": 4}), "MALFORMED_USAGE", "data"),
        (EVENT, event({"quantities": {"seconds": -1}}), "MALFORMED_USAGE", "data.quantities.seconds"),
        (EVENT, event({"quantities": {"a": 1}, "surprise": 2}), "MALFORMED_USAGE", "data"),
        (EVENT, event(CHAT, time="yesterday"), "MALFORMED_USAGE", "time"),
        (EVENT, event(CHAT, time="2026-01-01T00:00:00"), "MALFORMED_USAGE", "time"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(
    form: UsageFormat, value: Any, reason: str, field: str
) -> None:
    with pytest.raises(Refusal) as caught:
        read(form, value)

    assert (caught.value.reason, caught.value.metadata["field"]) == (Reason(reason), field)


def test_parts_may_be_all_of_their_whole() -> None:
    exact = {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 6}}

    assert read(OPENAI, exact).quantities == {"cached_input_tokens": 4, "audio_input_tokens": 6}


@pytest.mark.parametrize(("length", "is_read"), [(TEXT_LENGTH_MAX, True), (TEXT_LENGTH_MAX + 1, False)])
def test_a_raw_usage_has_a_largest_length(length: int, is_read: bool) -> None:
    text = '{"prompt_tokens": 1}'.ljust(length)

    if is_read:
        assert normalise(OPENAI, text).quantities == {"input_tokens": 1}
    else:
        with pytest.raises(Refusal):
            normalise(OPENAI, text)


@pytest.mark.parametrize(
    ("priced", "expected"),
    [
        ({"input_tokens", "output_tokens"}, {"input_tokens": 1 + 2 + 4 + 8, "output_tokens": 16 + 32}),
        (
            {"input_tokens", "cache_write_tokens_5m", "output_tokens", "reasoning_tokens"},
            {
                "input_tokens": 1 + 2,
                "cache_write_tokens_5m": 4 + 8,
                "output_tokens": 16,
                "reasoning_tokens": 32,
            },
        ),
    ],
)
def test_a_dimension_without_a_rate_counts_in_the_wider_one(
    priced: set[str], expected: dict[str, int]
) -> None:
    whole = usage(
        input_tokens=1,
        cached_input_tokens=2,
        cache_write_tokens_5m=4,
        cache_write_tokens_1h=8,
        output_tokens=16,
        reasoning_tokens=32,
    )

    assert fold(whole, priced.__contains__).quantities == expected


def test_what_was_cached_counts_as_what_it_is_and_a_page_fetched_only_if_it_is_priced() -> None:
    whole = usage(
        input_tokens=1, cached_audio_input_tokens=2, cached_image_input_tokens=4, web_fetch_requests=8
    )

    assert fold(whole, {"input_tokens"}.__contains__).quantities == {
        "input_tokens": 1,
        "audio_input_tokens": 2,
        "image_input_tokens": 4,
    }
    assert fold(whole, lambda _: True) == whole


def test_audio_without_a_rate_is_not_counted_as_text() -> None:
    assert fold(usage(audio_input_tokens=5), lambda _: False).quantities == {"audio_input_tokens": 5}
