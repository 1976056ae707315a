"""Figures: a value beside its floor, over several rounds; how they are judged, shown and written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from rich.table import Table

RATIO_DECIMALS: Final = 3


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a figure must reach: a ratio to its floor, or a value where there is no floor."""

    unit: str
    ratio_min: float | None = None
    ratio_max: float | None = None
    value_max: float | None = None

    def __str__(self) -> str:
        """Return the target as the table shows it."""
        if self.ratio_min is not None:
            return f"ratio ≥ {self.ratio_min:g}"
        if self.ratio_max is not None:
            return f"ratio ≤ {self.ratio_max:g}"
        return f"≤ {self.value_max:g} {self.unit}"

    def is_met(self, value: float, ratio: float | None) -> bool:
        """Say whether a figure reaches the target."""
        if self.value_max is not None:
            return value <= self.value_max
        assert ratio is not None, "a target without value_max is about the ratio"
        if self.ratio_min is not None:
            return ratio >= self.ratio_min
        assert self.ratio_max is not None
        return ratio <= self.ratio_max


TARGETS: Final[dict[str, Target]] = {
    "unary_debit": Target(unit="debits/s", ratio_min=0.85),
    "batch_debit": Target(unit="debits/s", ratio_min=0.70),
    "debit_latency_p99": Target(unit="ms", ratio_max=1.5),
    "wallet_age": Target(unit="ms", ratio_max=1.1),
    "wallet_age_cold": Target(unit="ms", ratio_max=1.1),
    "store_size": Target(unit="ms", ratio_max=1.3),
    "store_size_cold": Target(unit="ms", ratio_max=1.3),
    "price_usage": Target(unit="usages/s", ratio_min=1.0),
    "simulate": Target(unit="usages/s", ratio_min=1.0),
    "record_usage": Target(unit="usages/s", ratio_min=0.6),
    "rerate": Target(unit="usages/s", ratio_min=0.1),
    "billing_run": Target(unit="contracts/s", ratio_min=1.0),
    "project": Target(unit="events/s", ratio_min=1.5),
    "follow": Target(unit="events/s", ratio_min=0.2),
    "verify": Target(unit="events/s", ratio_min=3),
    "report": Target(unit="events/s", ratio_min=1.0),
    "memory": Target(unit="MB", value_max=400),
}
"""In the order of the table; what each measures is told in README.md."""


class Round(msgspec.Struct, frozen=True):
    """One value and the floor measured next to it."""

    value: float
    floor: float | None = None


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. `value` and `floor` are medians over the rounds, `ratio` is their quotient."""

    value: float
    floor: float | None
    ratio: float | None
    unit: str
    ratio_low: float | None
    """Lowest ratio of any round; with `ratio_high` the spread that the machine's noise explains."""
    ratio_high: float | None
    target: str
    is_met: bool
    rounds: tuple[Round, ...]
    note: str = ""
    details: dict[str, float] = {}


def figure(
    name: str, rounds: Sequence[Round], *, note: str = "", details: dict[str, float] | None = None
) -> Figure:
    """Return the figure of a benchmark from its rounds."""
    target = TARGETS[name]
    value = median(each.value for each in rounds)
    floors = [each.floor for each in rounds if each.floor is not None]
    ratios = [each.value / each.floor for each in rounds if each.floor is not None]
    floor = median(floors) if floors else None
    ratio = value / floor if floor is not None else None
    return Figure(
        value=_rounded(value),
        floor=None if floor is None else _rounded(floor),
        ratio=None if ratio is None else round(ratio, RATIO_DECIMALS),
        unit=target.unit,
        ratio_low=round(min(ratios), RATIO_DECIMALS) if ratios else None,
        ratio_high=round(max(ratios), RATIO_DECIMALS) if ratios else None,
        target=str(target),
        is_met=target.is_met(value, ratio),
        rounds=tuple(rounds),
        note=note,
        details={key: _rounded(number) for key, number in (details or {}).items()},
    )


def with_note(figure: Figure, note: str) -> Figure:
    """Return the figure with a remark for the table."""
    return msgspec.structs.replace(figure, note=note)


def write_figures(figures: dict[str, Figure], file: Path) -> None:
    """Write the figures as one JSON object by name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")


def figure_table(figures: dict[str, Figure]) -> Table:
    """Return the table for people."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "value", "unit", "floor", "ratio", "spread", "target", "met", "note"):
        number = column in ("value", "floor", "ratio", "spread")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for name, each in figures.items():
        spread = "–" if each.ratio_low is None else f"{each.ratio_low:.2f}–{each.ratio_high:.2f}"
        met = "[green]✓[/]" if each.is_met else "[red]✗[/]"
        ratio = "–" if each.ratio is None else f"{each.ratio:.2f}"
        table.add_row(
            name,
            _shown(each.value),
            each.unit,
            _shown(each.floor),
            ratio,
            spread,
            each.target,
            met,
            each.note,
        )
    return table


def _shown(number: float | None) -> str:
    if number is None:
        return "–"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.2f}"


def _rounded(number: float) -> float:
    """Return four significant digits and whatever stands before the point: more would be noise."""
    if number == 0 or not math.isfinite(number):
        return number
    return round(number, max(0, 3 - math.floor(math.log10(abs(number)))))
