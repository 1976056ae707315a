"""One JSON object of a case, read field by field; a field that nobody read is unsupported, not ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from google.protobuf.timestamp_pb2 import Timestamp

from tests.acceptance.cases.verdicts import Unsupported, number


class Fields:
    """A JSON object and where it stands in the case. Every reader raises Unsupported for another form."""

    def __init__(self, raw: object, *, place: str) -> None:
        """Read nothing yet."""
        if not isinstance(raw, Mapping):
            raise Unsupported(f"{place} is not an object")
        self.place = place
        self._raw: Mapping[str, object] = raw
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Say whether a field is there and not null."""
        return self._raw.get(name) is not None

    def afresh(self) -> Fields:
        """Return the same object with nothing read."""
        return Fields(self._raw, place=self.place)

    def names(self) -> list[str]:
        """Return the names of all fields."""
        return list(self._raw)

    def raw(self, name: str) -> object:
        """Return a field as it is, None if it is missing."""
        self._read.add(name)
        return self._raw.get(name)

    def ignore(self, *names: str) -> None:
        """Leave fields unread on purpose: they say nothing about what must happen."""
        self._read.update(names)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text."""
        value = self._needed(name, default)
        if not isinstance(value, str):
            raise self._malformed(name, "a text")
        return value

    def decimal(self, name: str, default: Decimal | None = None) -> Decimal:
        """Return a number, which may be written as text."""
        value = number(self._needed(name, default))
        if value is None:
            raise self._malformed(name, "a decimal")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number, which may be written as text."""
        value = self.decimal(name, None if default is None else Decimal(default))
        if value != int(value):
            raise self._malformed(name, "a whole number")
        return int(value)

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return true or false."""
        value = self._needed(name, default)
        if not isinstance(value, bool):
            raise self._malformed(name, "true or false")
        return value

    def instant(self, name: str) -> datetime:
        """Return an instant; a date is its first one."""
        return self._instant(name, self._needed(name, None))

    def optional_instant(self, name: str) -> datetime | None:
        """Return an instant, None if it is missing or null."""
        value = self.raw(name)
        return None if value is None else self._instant(name, value)

    def fields(self, name: str) -> Fields:
        """Return an object."""
        return Fields(self._needed(name, None), place=self._at(name))

    def optional_fields(self, name: str) -> Fields:
        """Return an object, an empty one if it is missing."""
        value = self.raw(name)
        return Fields({} if value is None else value, place=self._at(name))

    def values(self, name: str) -> Sequence[object]:
        """Return a list."""
        value = self._needed(name, None)
        if not isinstance(value, list):
            raise self._malformed(name, "a list")
        return value

    def objects(self, name: str) -> list[Fields]:
        """Return a list of objects."""
        return [
            Fields(each, place=f"{self._at(name)}[{index}]") for index, each in enumerate(self.values(name))
        ]

    def finish(self) -> None:
        """Raise Unsupported if a field was not read; one that is null says nothing."""
        unread = [name for name, value in self._raw.items() if value is not None and name not in self._read]
        if unread:
            raise Unsupported(f"field {self._at(unread[0])}")

    def _needed(self, name: str, default: object) -> object:
        value = self.raw(name)
        value = default if value is None else value
        if value is None:
            raise Unsupported(f"{self._at(name)} is missing")
        return value

    def _instant(self, name: str, value: object) -> datetime:
        if not isinstance(value, str):
            raise self._malformed(name, "an instant")
        try:
            return parse_instant(value)
        except (ValueError, OverflowError):
            raise self._malformed(name, "an instant") from None

    def _at(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name

    def _malformed(self, name: str, form: str) -> Unsupported:
        return Unsupported(f"{self._at(name)} {str(self._raw.get(name))[:60]!r} is not {form}")


def parse_instant(text: str) -> datetime:
    """Return the instant that a text names, UTC unless it says otherwise; a date is its first instant.

    Digits beyond microseconds are cut off. Raises ValueError.
    """
    instant = datetime.fromisoformat(text.strip())
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def timestamp(instant: datetime) -> Timestamp:
    """Return an instant as it travels."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message
