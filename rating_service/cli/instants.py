"""Instants as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime

import typer
from google.protobuf.timestamp_pb2 import Timestamp


def parse_instant(text: str) -> datetime:
    """Return an ISO 8601 instant or day; without an offset it is UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an ISO 8601 instant or day") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def as_timestamp(text: str) -> Timestamp:
    """Return an ISO 8601 instant or day as a message."""
    message = Timestamp()
    message.FromDatetime(parse_instant(text))
    return message


def day(message: Timestamp) -> str:
    """Return an instant as a day, with the time only if it is not midnight UTC."""
    instant = message.ToDatetime(tzinfo=UTC)
    midnight = instant == instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return f"{instant:%Y-%m-%d}" if midnight else f"{instant:%Y-%m-%d %H:%M:%S}"


def span(from_time: Timestamp, to_time: Timestamp) -> str:
    """Return a half-open span of time in words; its end is no part of it."""
    return f"{day(from_time)} until {day(to_time)}"
