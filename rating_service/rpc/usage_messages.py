"""Usage as it is received: typed, or raw as a provider reports it."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Final

from credits.rating.v1 import rating_service_pb2, raw_usage_pb2
from rating_service.application.metering.quarantine import Received
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.intake.normalise import names_of, normalise
from rating_service.domain.intake.normalised import Normalised, UsageFormat
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Usage
from rating_service.rpc.messages import read_instant, read_usage

_FORMATS: Final = {
    raw_usage_pb2.USAGE_FORMAT_OPENTELEMETRY: UsageFormat.OPENTELEMETRY,
    raw_usage_pb2.USAGE_FORMAT_OPENAI: UsageFormat.OPENAI,
    raw_usage_pb2.USAGE_FORMAT_ANTHROPIC: UsageFormat.ANTHROPIC,
    raw_usage_pb2.USAGE_FORMAT_CLOUDEVENTS: UsageFormat.CLOUDEVENTS,
}


def received(message: rating_service_pb2.Usage) -> Received:
    """Return a usage as it came. Refuses a request that is wrong whatever the raw usage holds."""
    form = partial(message.SerializeToString, deterministic=True)
    if not message.HasField("raw"):
        usage = read_usage(message)
        return Received(usage.id, usage.contract, usage.effective_time, usage, form)
    kind = _FORMATS.get(message.raw.format)
    if kind is None:
        raise RequestRefused(
            RequestReason.FIELD_REQUIRED, "usage.raw.format is required", field="usage.raw.format"
        )
    try:
        read = normalise(kind, message.raw.json)
    except Refusal as flaw:
        usage_id, contract = names_of(kind, message.raw.json)
        return Received(message.id or usage_id, message.contract or contract, _own_time(message), flaw, form)
    usage = _merged(message, read)
    return Received(usage.id, usage.contract, usage.effective_time, usage, form)


def received_or_refusal(message: rating_service_pb2.Usage) -> Received | RequestRefused:
    """Return a usage as it came, or its refusal."""
    try:
        return received(message)
    except RequestRefused as refusal:
        return refusal


def read_stored(stored: bytes) -> Received:
    """Return a usage from the bytes that were kept of it."""
    return received(rating_service_pb2.Usage.FromString(stored))


def quoted(message: rating_service_pb2.Usage) -> Usage:
    """Return the usage to be quoted. Refuses what `received` does, and what cannot be read."""
    usage = received(message).usage
    if isinstance(usage, Refusal):
        raise usage
    return usage


def _merged(message: rating_service_pb2.Usage, read: Normalised) -> Usage:
    """Return what the message and its raw usage say together; the message goes first."""
    effective_time = _own_time(message) or read.effective_time
    if effective_time is None:
        raise RequestRefused(
            RequestReason.FIELD_REQUIRED, "usage.effective_time is required", field="usage.effective_time"
        )
    both = sorted(read.quantities.keys() & message.quantities.keys())
    if both:
        raise RequestRefused(
            RequestReason.FIELD_MALFORMED,
            f"usage.quantities and usage.raw both count {both[0]}",
            field="usage.quantities",
        )
    return Usage(
        effective_time,
        {**read.quantities, **message.quantities},
        {**read.properties, **message.properties},
        message.id or read.id,
        message.contract or read.contract,
        message.feature or read.feature,
        message.api_key or read.api_key,
        message.user or read.user,
        foldable=True,
    )


def _own_time(message: rating_service_pb2.Usage) -> datetime | None:
    if not message.HasField("effective_time"):
        return None
    return read_instant(message.effective_time, field="usage.effective_time")
