"""Every benchmark runs, in a tiny size, and the figures have the form that readers of the file rely on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.benchmarks.figures import TARGETS, Round, figure
from tests.benchmarks.run_bench import BENCHMARKS, run_benchmarks
from tests.benchmarks.sizes import SMOKE


class Written(msgspec.Struct, frozen=True):
    """What the file promises of each figure; it may hold more."""

    value: float
    floor: float | None
    ratio: float | None
    unit: str


def test_every_benchmark_gives_finite_figures_in_the_promised_form(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"

    run_benchmarks(list(BENCHMARKS), SMOKE, output=output, say=lambda _: None)

    written = msgspec.json.decode(output.read_bytes(), type=dict[str, Written])
    assert sorted(written) == sorted(TARGETS)
    for name, each in written.items():
        numbers = [number for number in (each.value, each.floor, each.ratio) if number is not None]
        assert len(numbers) == (1 if name == "memory" else 3), name
        assert all(math.isfinite(number) and number > 0 for number in numbers), (name, each)
        assert each.unit == TARGETS[name].unit


def test_a_figure_is_the_median_of_its_rounds_and_shows_their_spread() -> None:
    rounds = [Round(80.0, 100.0), Round(90.0, 100.0), Round(50.0, 100.0)]

    found = figure("unary_debit", rounds)

    assert (found.value, found.floor, found.ratio) == (80.0, 100.0, 0.8)
    assert (found.ratio_low, found.ratio_high) == (0.5, 0.9)


@pytest.mark.parametrize(
    ("name", "value", "floor", "is_met"),
    [
        ("unary_debit", 85.0, 100.0, True),
        ("unary_debit", 84.9, 100.0, False),
        ("debit_latency_p99", 1.5, 1.0, True),
        ("debit_latency_p99", 1.51, 1.0, False),
        ("memory", 400.0, None, True),
        ("memory", 400.1, None, False),
    ],
)
def test_a_target_is_met_exactly_up_to_its_limit(
    name: str, value: float, floor: float | None, is_met: bool
) -> None:
    assert figure(name, [Round(value, floor)]).is_met is is_met


def test_a_figure_with_a_floor_of_its_own_keeps_every_round() -> None:
    rounds = [Round(1.0, 2.0), Round(3.0, 4.0)]

    encoded: Any = msgspec.json.decode(msgspec.json.encode(figure("follow", rounds)))

    assert encoded["rounds"] == [{"value": 1.0, "floor": 2.0}, {"value": 3.0, "floor": 4.0}]
