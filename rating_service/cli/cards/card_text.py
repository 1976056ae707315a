"""A rate card as the text of a card file, a rate a line, in the order given: equal cards are equal text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def card_text(tree: dict[str, Any], *, heading: str = "") -> str:
    """Return YAML that `read_rate_card` reads as this tree; each line of the heading becomes a comment."""
    return "\n".join([*(f"# {line}" for line in heading.splitlines()), *_lines(tree), ""])


def _lines(tree: dict[str, Any]) -> Iterator[str]:
    for key, value in tree.items():
        if key not in ("unit_definitions", "phases"):
            yield f"{key}: {_flow(value)}"
    if tree.get("unit_definitions"):
        yield "unit_definitions:"
        yield from (f"  {name}: {_flow(text)}" for name, text in tree["unit_definitions"].items())
    yield "phases:"
    for phase in tree["phases"]:
        yield from _phase_lines(phase)


def _phase_lines(phase: dict[str, Any]) -> Iterator[str]:
    mark = "  - "
    for key, value in phase.items():
        if isinstance(value, list):
            yield f"{mark}{key}:"
            yield from (f"      - {_flow(each)}" for each in value)
        else:
            yield f"{mark}{key}: {_flow(value)}"
        mark = "    "


def _flow(value: Any) -> str:
    """Return a value on one line. All text is in quotes, so that nothing in it is read as something else."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value)
