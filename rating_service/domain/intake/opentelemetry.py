"""Attributes of the OpenTelemetry GenAI conventions, as one flat object or under `attributes`.

Input counts what was read from and written to a cache; output counts reasoning. The model is the one that
answered, else the one that was asked for.
"""

from __future__ import annotations

from rating_service.domain.intake.fields import RawObject, less
from rating_service.domain.intake.normalised import (
    CACHE_WRITE_5M,
    CACHED_INPUT,
    INPUT,
    OUTPUT,
    REASONING,
    Normalised,
    counted,
    known,
)

_USAGE = "gen_ai.usage."


def read_opentelemetry(whole: RawObject) -> Normalised:
    """Return what the attributes say. Refuses MALFORMED_USAGE, INCONSISTENT_USAGE."""
    said = whole.part("attributes") if whole.has("attributes") else whole
    quantities = counted(_quantities(said))
    properties = {
        "provider": said.text("gen_ai.provider.name", "gen_ai.system"),
        "model": said.text("gen_ai.response.model", "gen_ai.request.model"),
        "operation": said.text("gen_ai.operation.name"),
        "service_tier": said.text("openai.response.service_tier", "openai.request.service_tier"),
        "region": said.text("cloud.region"),
    }
    return Normalised(quantities, known(properties, quantities), id=said.text("gen_ai.response.id"))


def _quantities(said: RawObject) -> dict[str, int]:
    said.require(f"{_USAGE}input_tokens", f"{_USAGE}output_tokens")
    read_field, written_field = f"{_USAGE}cache_read.input_tokens", f"{_USAGE}cache_creation.input_tokens"
    reasoning_field = f"{_USAGE}reasoning.output_tokens"
    cached, written = said.count(read_field), said.count(written_field)
    reasoning = said.count(reasoning_field)
    uncached = less(said.count(f"{_USAGE}input_tokens"), cached, said.path + read_field)
    return {
        INPUT: less(uncached, written, said.path + written_field),
        CACHED_INPUT: cached,
        CACHE_WRITE_5M: written,
        OUTPUT: less(said.count(f"{_USAGE}output_tokens"), reasoning, said.path + reasoning_field),
        REASONING: reasoning,
    }
