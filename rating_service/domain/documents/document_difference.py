"""Where two documents differ: the first member, in the order of their canonical text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

TEXT_LENGTH_MAX: Final = 60
"""Characters of a value that a sentence shows."""


def first_difference(stored: bytes, computed: bytes) -> str:
    """Return one phrase about the first member that differs, with both values; "" if the bytes are equal."""
    if stored == computed:
        return ""
    found = _difference(msgspec.json.decode(stored), msgspec.json.decode(computed), "")
    return found or "the same members in other bytes"


def _difference(stored: Any, computed: Any, path: str) -> str:
    if isinstance(stored, dict) and isinstance(computed, dict):
        names = sorted(stored.keys() | computed.keys())
        return _first(
            _difference(stored.get(name), computed.get(name), f"{path}.{name}".lstrip(".")) for name in names
        )
    if isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed):
        return _first(
            _difference(left, right, f"{path}[{place}]")
            for place, (left, right) in enumerate(zip(stored, computed, strict=True))
        )
    if stored == computed:
        return ""
    return f"{path or 'document'} is {_text(stored)}, computed again {_text(computed)}"


def _first(differences: Iterator[str]) -> str:
    return next((each for each in differences if each), "")


def _text(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= TEXT_LENGTH_MAX else f"{text[:TEXT_LENGTH_MAX]}…"
