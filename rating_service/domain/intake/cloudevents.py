"""CloudEvents 1.0 in structured JSON, around any other form or a usage of this service.

Whose form the data has is told by its members, or else by the names in the event's type and source; where
neither tells it, the event is refused rather than guessed at. An id is unique for its source only, so the
source becomes a property: the same id from another source is another usage, which the ledger then refuses by
name instead of taking it for a retry.
"""

from __future__ import annotations

from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Record
from rating_service.domain.intake.anthropic import read_anthropic
from rating_service.domain.intake.fields import RawObject, malformed, parse_time
from rating_service.domain.intake.normalised import Normalised
from rating_service.domain.intake.openai import read_openai
from rating_service.domain.intake.opentelemetry import read_opentelemetry

_REQUIRED: Final = ("id", "source", "type")
_OPENAI_ONLY: Final = (
    "prompt_tokens",
    "completion_tokens",
    "input_tokens_details",
    "input_token_details",
    "output_token_details",
    "total_tokens",
)
_ANTHROPIC_ONLY: Final = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "server_tool_use",
    "iterations",
    "inference_geo",
    "speed",
)


class _OwnForm(Record, frozen=True, forbid_unknown_fields=True):
    """A usage in the words of this service."""

    quantities: dict[str, int]
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    id: str = ""
    contract: str = ""
    effective_time: str = ""
    feature: str = ""
    api_key: str = ""
    user: str = ""


def read_cloudevent(event: RawObject) -> Normalised:
    """Return what an event says. Refuses MALFORMED_USAGE, INCONSISTENT_USAGE."""
    if event.text("specversion") != "1.0":
        raise malformed("specversion", "is not 1.0")
    for name in _REQUIRED:
        if not event.text(name):
            raise malformed(name, "is missing")
    if not event.has("data"):
        raise malformed("data", "is missing, or not given as JSON")
    read = _data(event)
    time = event.text("time")
    return msgspec.structs.replace(
        read,
        properties={"source": event.text("source"), **read.properties},
        # The event, not the provider's response inside it, is what a bus delivers again.
        id=event.text("id"),
        contract=read.contract or _contract_of(event.text("subject")),
        effective_time=read.effective_time or (parse_time(time, "time") if time else None),
    )


def _data(event: RawObject) -> Normalised:
    data = event.part("data")
    usage = data.part("usage") if data.has("usage") else data
    if data.has("quantities"):
        return _own(data)
    if data.has("attributes") or any(name.startswith("gen_ai.") for name in data.members):
        return read_opentelemetry(data)
    if any(usage.has(name) for name in _ANTHROPIC_ONLY):
        return read_anthropic(data)
    if any(usage.has(name) for name in _OPENAI_ONLY):
        return read_openai(data)
    named = f"{event.text('type')} {event.text('source')}".lower()
    if ("openai" in named) != ("anthropic" in named):
        return read_openai(data) if "openai" in named else read_anthropic(data)
    raise malformed("data", "is of no known form")


def _own(data: RawObject) -> Normalised:
    try:
        own = msgspec.convert(data.members, _OwnForm)
    except msgspec.ValidationError as cause:
        raise malformed("data", f"is no usage: {cause}") from None
    for name in own.quantities:
        data.part("quantities").count(name)
    return Normalised(
        own.quantities,
        own.properties,
        contract=own.contract,
        effective_time=parse_time(own.effective_time, "data.effective_time") if own.effective_time else None,
        feature=own.feature,
        api_key=own.api_key,
        user=own.user,
    )


def names_in(event: RawObject) -> tuple[str, str]:
    """Return the id and contract that an event gives, "" for neither. Refuses MALFORMED_USAGE."""
    return event.text("id"), _contract_of(event.text("subject"))


def _contract_of(subject: str) -> str:
    """Return the contract that a subject names, by its full name or its id alone."""
    return subject if "/" in subject or not subject else f"contracts/{subject}"
