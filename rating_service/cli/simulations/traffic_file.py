"""Traffic models as files: YAML text, checked against a schema, becomes the message that describes the traffic.

A segment may name a trace, CSV with the columns TIMESTAMP,ContextTokens,GeneratedTokens, beside the file. Of a longer
one so many rows are taken as a request may hold, evenly.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any, Final, NamedTuple

from credits.rating.v1 import simulation_traffic_pb2
from rating_service.cli.cards.card_file import checked_tree, refuse
from rating_service.cli.yaml_source import FileRefused, Path, Problem, read_source

TRACE_ROWS_MAX: Final = 200_000
CONTEXT: Final = "ContextTokens"
GENERATED: Final = "GeneratedTokens"


class TraceRows(NamedTuple):
    """The two columns of a trace."""

    context_tokens: list[int]
    generated_tokens: list[int]


def read_traffic(file: FilePath) -> simulation_traffic_pb2.TrafficModel:
    """Return the traffic that a file describes. Raises FileRefused, which names file, line and field; OSError."""
    source = read_source(file.read_text(encoding="utf-8"), file=str(file))
    tree = checked_tree(source, "traffic.schema.json")
    refuse(source, _problems(tree, file.parent))
    return simulation_traffic_pb2.TrafficModel(
        seed=tree["seed"], segments=[_segment(segment, file.parent) for segment in tree["segments"]]
    )


def read_trace(file: FilePath) -> TraceRows:
    """Return the rows of a trace. Raises FileRefused, OSError."""
    with file.open(newline="", encoding="utf-8") as opened:
        reader = csv.DictReader(opened)
        missing = {CONTEXT, GENERATED} - set(reader.fieldnames or ())
        if missing:
            raise FileRefused(
                [Problem(str(file), 1, "", f"there is no column {' and '.join(sorted(missing))}")]
            )
        rows = [
            (_tokens(row, CONTEXT, file, reader), _tokens(row, GENERATED, file, reader)) for row in reader
        ]
    if not rows:
        raise FileRefused([Problem(str(file), 1, "", "there is no row")])
    taken = min(len(rows), TRACE_ROWS_MAX)
    chosen = [rows[place * len(rows) // taken] for place in range(taken)]
    return TraceRows([context for context, _ in chosen], [generated for _, generated in chosen])


def _tokens(row: dict[str, str], column: str, file: FilePath, reader: csv.DictReader[str]) -> int:
    text = (row[column] or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise FileRefused(
            [Problem(str(file), reader.line_num, column, f"{text[:40]!r} is not a whole number")]
        )
    return int(text)


def _problems(tree: dict[str, Any], directory: FilePath) -> Iterable[tuple[Path, str]]:
    keys: set[str] = set()
    for at, segment in enumerate(tree["segments"]):
        path: Path = ("segments", at)
        if segment["key"] in keys:
            yield (*path, "key"), f"{segment['key']} is the key of an earlier segment, too"
        keys.add(segment["key"])
        if Decimal(segment["requests_per_day"]) <= 0:
            yield (*path, "requests_per_day"), "must be above 0"
        if Decimal(segment.get("growth_percent", "0")) <= -100:
            yield (*path, "growth_percent"), "must be above -100"
        for dimension, quantiles in segment.get("quantities", {}).items():
            yield from _quantile_problems(quantiles, (*path, "quantities", dimension))
        for name in ("weekdays", "hours"):
            if name in segment and not any(segment[name]):
                yield (*path, name), "one weight must be above 0"
        if "trace" in segment and not (directory / segment["trace"]["file"]).is_file():
            yield (*path, "trace", "file"), f"there is no file {segment['trace']['file']}"


def _quantile_problems(quantiles: dict[str, int], path: Path) -> Iterable[tuple[Path, str]]:
    percents = [Decimal(percent) for percent in quantiles]
    if percents[0] != 0 or percents[-1] != 100:
        yield path, "must begin at 0 per cent and end at 100"
    steps = list(zip(quantiles, percents, quantiles.values(), strict=True))
    for (_, low, less), (name, high, more) in pairwise(steps):
        if low >= high or less > more:
            yield (*path, name), "must ascend: a higher per cent, and no lower quantity"


def _segment(tree: dict[str, Any], directory: FilePath) -> simulation_traffic_pb2.TrafficSegment:
    message = simulation_traffic_pb2.TrafficSegment(
        key=tree["key"],
        customers=tree["customers"],
        requests_per_day=tree["requests_per_day"],
        growth_percent=tree.get("growth_percent", ""),
        quantities=[_distribution(*each) for each in tree.get("quantities", {}).items()],
        mix=[simulation_traffic_pb2.TrafficMix(**kind) for kind in tree.get("mix", [])],
        weekday_weights=tree.get("weekdays", []),
        hour_weights=tree.get("hours", []),
    )
    if "trace" in tree:
        rows = read_trace(directory / tree["trace"]["file"])
        message.trace.context_dimension = tree["trace"].get("context_dimension", "")
        message.trace.generated_dimension = tree["trace"].get("generated_dimension", "")
        message.trace.context_tokens.extend(rows.context_tokens)
        message.trace.generated_tokens.extend(rows.generated_tokens)
    return message


def _distribution(dimension: str, quantiles: dict[str, int]) -> simulation_traffic_pb2.TokenDistribution:
    return simulation_traffic_pb2.TokenDistribution(
        dimension=dimension,
        quantiles=[
            simulation_traffic_pb2.TokenQuantile(percent=percent, quantity=quantity)
            for percent, quantity in quantiles.items()
        ],
    )
