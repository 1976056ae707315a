"""Reading JSON objects that others wrote: what is there, of the right kind, and consistent.

Everything that is wrong is refused by the path of its field. A member that is null counts as absent, as
providers write it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final, cast

import msgspec

from rating_service.domain.agreements.agreement import Record
from rating_service.domain.refusals import Reason, Refusal

TEXT_LENGTH_MAX: Final = 65_536
"""Characters of one raw usage; those of providers take a few hundred."""
QUANTITY_MAX: Final = 2**63 - 1

JsonObject = dict[str, object]


class RawObject(Record, frozen=True):
    """A JSON object and where it stands in the whole, for instance `usage.`."""

    members: JsonObject
    path: str = ""

    def has(self, name: str) -> bool:
        """Tell whether a member is there and not null."""
        return self.members.get(name) is not None

    def count(self, name: str) -> int:
        """Return a quantity, 0 if it is absent. Refuses MALFORMED_USAGE."""
        value = self.members.get(name)
        if value is None:
            return 0
        if type(value) is not int or not 0 <= value <= QUANTITY_MAX:
            raise malformed(self.path + name, "is not a whole number from 0 to 2^63-1")
        return value

    def text(self, *names: str) -> str:
        """Return the first of these members that is there, "" if none is. Refuses MALFORMED_USAGE."""
        for name in names:
            value = self.members.get(name)
            if value is None:
                continue
            if not isinstance(value, str):
                raise malformed(self.path + name, "is not text")
            if value:
                return value
        return ""

    def part(self, name: str) -> RawObject:
        """Return a member that is an object, an empty one if it is absent. Refuses MALFORMED_USAGE."""
        value = self.members.get(name)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise malformed(self.path + name, "is not an object")
        return RawObject(cast(JsonObject, value), f"{self.path}{name}.")

    def members_of(self, name: str) -> tuple[RawObject, ...]:
        """Return the objects of a list, none if it is absent. Refuses MALFORMED_USAGE."""
        value = self.members.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise malformed(self.path + name, "is not a list")
        entries = cast(list[object], value)
        numbered = {f"{name}[{index}]": entry for index, entry in enumerate(entries)}
        return tuple(RawObject(numbered, self.path).part(each) for each in numbered)

    def refuse_unknown(self, known: Collection[str], *, prefix: str = "", holding: str = "") -> None:
        """Refuse MALFORMED_USAGE if a member that nobody reads counts something.

        It may be a part of what is read or come on top of it, so that both dropping and adding it could be
        wrong. What is 0, a fraction, text or true counts nothing. Only names with this prefix that hold this
        text are looked at.
        """
        for name, value in self.members.items():
            if name not in known and name.startswith(prefix) and holding in name and _counts(value):
                raise malformed(self.path + name, "counts something that is not known")

    def require(self, *names: str) -> None:
        """Refuse MALFORMED_USAGE unless one of these members is there."""
        if not any(self.has(name) for name in names):
            raise malformed(self.path + names[0], "is missing")


def _counts(value: object) -> bool:
    """Tell whether a JSON value is, or holds, a whole number above 0."""
    if isinstance(value, dict):
        return any(_counts(each) for each in cast(JsonObject, value).values())
    if isinstance(value, list):
        return any(_counts(each) for each in cast(list[object], value))
    return type(value) is int and value > 0


def parse_object(text: str) -> RawObject:
    """Return the object that a JSON text holds. Refuses MALFORMED_USAGE."""
    if len(text) > TEXT_LENGTH_MAX:
        raise malformed("raw.json", f"has {len(text)} characters, more than {TEXT_LENGTH_MAX}")
    try:
        return RawObject(msgspec.json.decode(text, type=dict[str, object]))
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise malformed("raw.json", "is not a JSON object") from None


def parse_time(text: str, field: str) -> datetime:
    """Return the instant behind RFC 3339 text, in UTC. Refuses MALFORMED_USAGE."""
    try:
        instant = msgspec.convert(text, datetime)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        pass
    raise malformed(field, "is not an instant with its zone, as in RFC 3339")


def from_epoch(seconds: int, field: str) -> datetime:
    """Return the instant this many seconds after 1970. Refuses MALFORMED_USAGE."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise malformed(field, "is not an instant of the years 1 to 9999") from None


def less(whole: int, parts: int, field: str) -> int:
    """Return what is left of a count without the parts inside it. Refuses INCONSISTENT_USAGE."""
    if parts > whole:
        raise inconsistent(field, f"is {parts}, more than the {whole} it is a part of")
    return whole - parts


def malformed(field: str, what: str) -> Refusal:
    """Return the refusal of a field that cannot be read."""
    return Refusal(Reason.MALFORMED_USAGE, f"{field} {what}", field=field)


def inconsistent(field: str, what: str) -> Refusal:
    """Return the refusal of a field that contradicts others."""
    return Refusal(Reason.INCONSISTENT_USAGE, f"{field} {what}", field=field)
