"""A span as OpenTelemetry's own JSON writes it: attributes are a list of keys and typed values.

Whole numbers come as text there, and instants in nanoseconds since 1970. The source is the JSON mapping of OTLP:
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from rating_service.domain.intake.fields import JsonObject, RawObject, malformed

_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_PLAIN: Final = ("stringValue", "boolValue", "doubleValue")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def flat_attributes(span: RawObject) -> RawObject:
    """Return the listed attributes of a span by name. Refuses MALFORMED_USAGE."""
    found: JsonObject = {}
    for entry in span.members_of("attributes"):
        key = entry.text("key")
        if not key:
            raise malformed(f"{entry.path}key", "is missing")
        if key in found:
            raise malformed(f"{entry.path}key", f"names {key} a second time")
        found[key] = _value(entry.part("value"))
    return RawObject(found, f"{span.path}attributes.")


def end_of(span: RawObject) -> datetime | None:
    """Return when a span ended, None if it does not say so. Refuses MALFORMED_USAGE."""
    value = span.members.get("endTimeUnixNano")
    if value is None:
        return None
    nanos = _whole(value)
    try:
        if nanos is not None and nanos >= 0:
            return _EPOCH + timedelta(microseconds=nanos // 1_000)
    except OverflowError:
        pass
    raise malformed(f"{span.path}endTimeUnixNano", "is not an instant in nanoseconds since 1970")


def _value(value: RawObject) -> object:
    """Return a typed value; a list or an object stays as it is written."""
    if value.has("intValue"):
        whole = _whole(value.members["intValue"])
        if whole is None:
            raise malformed(f"{value.path}intValue", "is not a whole number")
        return whole
    return next((value.members[name] for name in _PLAIN if value.has(name)), value.members)


def _whole(value: object) -> int | None:
    """Return a whole number written as such or as text."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    return value if type(value) is int else None
