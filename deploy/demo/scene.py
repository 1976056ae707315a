"""What is played and where: the source of the usages, and the running services."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from deploy.demo.customers import all_customers
from deploy.demo.services import SandboxClock, Services
from deploy.demo.stages import Stages
from deploy.demo.timeline import (
    MONTH_DEFAULT,
    PREPARATION,
    Timeline,
    timeline_of_month,
    timeline_of_trace,
)
from deploy.demo.trace import TraceRefused, read_trace
from deploy.demo.traffic import Usage, assign, generate

MONTHS_MAX: Final = 12
"""Months that a trace may span: each costs an invoice and a grant for every customer."""


class Source(NamedTuple):
    """The usages to play. `served` ones happened already, so that they are recorded in every mode."""

    name: str
    seed: int
    usages: list[Usage]
    timeline: Timeline
    served: bool


class World(NamedTuple):
    """Where the play takes place."""

    services: Services
    clock: SandboxClock
    ledger: str
    directory: Path
    stages: Stages


def generated(count: int, *, seed: int) -> Source:
    """Return a month of made-up usage."""
    timeline = timeline_of_month(MONTH_DEFAULT)
    usages = generate(all_customers(), start=timeline.start, end=timeline.end, count=count, seed=seed)
    return Source("generator", seed, usages, timeline, served=False)


def traced(path: Path, *, seed: int) -> Source:
    """Return the usage of a trace, every row of it. Raises TraceRefused."""
    requests = read_trace(path)
    timeline = timeline_of_trace(requests[0].time, requests[-1].time)
    months = len(timeline.cycle_starts) - 1
    if months > MONTHS_MAX:
        raise TraceRefused(
            f"{path}: TIMESTAMP: the rows lie in {months} months; at most {MONTHS_MAX} are played"
        )
    return Source(path.name, seed, assign(requests, all_customers(), seed=seed), timeline, served=True)


def clock_start(source: Source) -> datetime:
    """Return the instant at which the clock begins: before the month, so that all is published in time."""
    return source.timeline.start - PREPARATION
