"""What a rating or recognition case expects, name by name; a name that its player does not offer is unsupported."""

from __future__ import annotations

from collections.abc import Mapping

from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.timeline import Playing


class Expected:
    """The expected figures of a case."""

    def __init__(self, fields: Fields) -> None:
        """Look at nothing yet."""
        self._fields = fields
        self._offered: tuple[str, ...] = ()

    def raw(self, name: str) -> object:
        """Return what is expected of a figure, None if nothing is."""
        return self._fields.raw(name)

    def names(self) -> list[str]:
        """Return the names of all figures that are expected."""
        return self._fields.names()

    def ignore(self, *names: str) -> None:
        """Leave figures out that say what must not happen."""
        self._fields.ignore(*names)

    def offer(self, *names: str) -> None:
        """Say which figures the player computes. Raises Unsupported if any other is expected."""
        self._fields.ignore(*names)
        self._fields.finish()
        self._offered = names

    def compare(self, playing: Playing, got: Mapping[str, object]) -> None:
        """Note where the offered figures differ from what is expected."""
        for name in self._offered:
            if name in self._fields:
                playing.expect(name, self._fields.raw(name), got[name])
