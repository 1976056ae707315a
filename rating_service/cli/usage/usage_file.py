"""Recording a file of raw usage: one JSON object a line, as a provider or an event bus writes it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import typer
from google.rpc import error_details_pb2, status_pb2
from rich.console import Console
from rich.progress import Progress

from credits.rating.v1 import rating_service_pb2, rating_service_pb2_grpc, raw_usage_pb2
from rating_service.cli.connection import CALL_SECONDS_MAX, open_service

FORMATS: Final = {
    "opentelemetry": raw_usage_pb2.USAGE_FORMAT_OPENTELEMETRY,
    "openai": raw_usage_pb2.USAGE_FORMAT_OPENAI,
    "anthropic": raw_usage_pb2.USAGE_FORMAT_ANTHROPIC,
    "cloudevents": raw_usage_pb2.USAGE_FORMAT_CLOUDEVENTS,
}
LINES_AT_A_TIME: Final = 500
"""Usages in one call; well within the time and the size that a call may have."""
SHOWN_MAX: Final = 1_000
"""Lines that a report names; it counts them all."""


class Line(NamedTuple):
    """A line of the file, by its number from 1, and where it ends in bytes."""

    number: int
    text: str
    end: int


class Problem(NamedTuple):
    """A line that was not debited."""

    line: int
    outcome: str
    reason: str
    message: str


class Report:
    """What became of the lines."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self.counts = {"recorded": 0, "replayed": 0, "quarantined": 0, "refused": 0}
        self.problems: list[Problem] = []

    def add(self, line: Line, result: rating_service_pb2.BatchRecordUsageResult) -> None:
        """Count a line's outcome."""
        if result.HasField("response"):
            self.counts["replayed" if result.response.replayed else "recorded"] += 1
            return
        if result.HasField("quarantined"):
            entry = result.quarantined
            problem = Problem(line.number, "quarantined", entry.reason, f"{entry.name}: {entry.message}")
        else:
            problem = Problem(line.number, "refused", _reason(result.error), result.error.message)
        self.counts[problem.outcome] += 1
        if len(self.problems) < SHOWN_MAX:
            self.problems.append(problem)

    def as_dict(self) -> dict[str, object]:
        """Return the report as JSON takes it."""
        return {**self.counts, "problems": [problem._asdict() for problem in self.problems]}


def record_file(
    path: Path, template: rating_service_pb2.Usage, *, id_prefix: str, refuse_when_short: bool
) -> Report:
    """Record every line; the template says what all of them share. Raises typer.BadParameter, grpc.RpcError.

    With a prefix, usages are named by it and their line's number, else by what each line says. Running it again
    records nothing twice.
    """
    report = Report()
    lines = _lines(path)
    with (
        open_service() as channel,
        Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
    ):
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        bar = progress.add_task("Recording", total=os.path.getsize(path))
        while batch := list(islice(lines, LINES_AT_A_TIME)):
            request = rating_service_pb2.BatchRecordUsageRequest(
                usages=[_usage(line, template, id_prefix) for line in batch],
                refuse_when_short=refuse_when_short,
            )
            answer = stub.BatchRecordUsage(request, timeout=CALL_SECONDS_MAX)
            for line, result in zip(batch, answer.results, strict=True):
                report.add(line, result)
            progress.update(bar, completed=batch[-1].end)
    return report


def _lines(path: Path) -> Iterator[Line]:
    """Yield the lines that are not blank. Raises typer.BadParameter."""
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            end += len(line)
            try:
                text = line.decode().strip()
            except UnicodeDecodeError:
                raise typer.BadParameter(f"{path}:{number}: not UTF-8") from None
            if text:
                yield Line(number, text, end)


def _usage(line: Line, template: rating_service_pb2.Usage, id_prefix: str) -> rating_service_pb2.Usage:
    usage = rating_service_pb2.Usage()
    usage.CopyFrom(template)
    usage.raw.json = line.text
    if id_prefix:
        usage.id = f"{id_prefix}{line.number}"
    return usage


def _reason(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    return info.reason if any(detail.Unpack(info) for detail in status.details) else ""
