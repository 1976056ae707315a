"""The arithmetic of a charge line, written out for people: what was multiplied, and what it came to."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import msgspec

from ledger_service.domain.events import ChargeLine, ChargePart
from ledger_service.domain.exact import fraction_text

_SHARES: Final = frozenset({"percentage", "graduated_percentage"})
"""Models whose price is a percentage of the quantity."""


class PartStep(msgspec.Struct, frozen=True):
    """One part of a line, its arithmetic, and the sum of the parts up to it."""

    part: ChargePart
    arithmetic: str
    running_units: str


def line_arithmetic(line: ChargeLine, *, scale: int) -> str:
    """Return what a line came to: the product that it is, or the sum of its parts. `scale` is that of the asset."""
    units = f"{line.exact_units} units"
    if line.parts:
        terms = (
            " + ".join(_grouped(part.exact_units) for part in line.parts if part.exact_units != "0") or "0"
        )
        return f"{terms.replace('+ -', '- ')} = {_grouped(line.exact_units)} units"
    if not line.unit_price:
        return f"nothing due = {units}"
    product = f"{line.quantity:,} / {line.unit_size:,} x {line.unit_price}{_scaling(line)}"
    return f"{product} = {_whole(line.exact_units, scale)} = {_grouped(line.exact_units)} units"


def part_steps(line: ChargeLine, *, scale: int) -> Iterator[PartStep]:
    """Yield the parts of a line in order, each with its arithmetic."""
    running = Fraction(0)
    for part in line.parts:
        running += Fraction(part.exact_units)
        came_to = f" = {_whole(part.exact_units, scale)} = {_grouped(part.exact_units)} units"
        text = _part_text(line, part)
        yield PartStep(part, text if part.kind == "FREE" else text + came_to, fraction_text(running))


def _part_text(line: ChargeLine, part: ChargePart) -> str:
    match part.kind:
        case "QUANTITY" if line.model in _SHARES:
            return f"{part.quantity:,} / {line.unit_size:,} x {part.price} %{_scaling(line)}"
        case "QUANTITY":
            return f"{part.quantity:,} / {line.unit_size:,} x {part.price}{_scaling(line)}"
        case "PACKAGES":
            return f"{part.quantity:,} packages of {line.unit_size:,} x {part.price}{_scaling(line)}"
        case "FEE":
            return f"fee {part.price}{_scaling(line)}"
        case "FREE":
            return f"{part.quantity:,} free"
        case "EARLIER":
            return f"less what {part.quantity:,} had cost before"
        case "MINIMUM":
            return "what lacks to the minimum"
        case _:
            return "what exceeds the maximum"


def _scaling(line: ChargeLine) -> str:
    return "" if line.multiplier == "1" else f" x {line.multiplier}"


def _whole(units: str, scale: int) -> str:
    return _grouped(fraction_text(Fraction(units) / 10**scale))


def _grouped(text: str) -> str:
    """Return decimal text with thousands set apart."""
    whole, dot, decimals = text.partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{abs(int(whole)):,}{dot}{decimals}"
