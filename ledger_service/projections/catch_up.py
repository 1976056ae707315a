"""One step of a projector: read a run of events, fold it once for each projection, store effect and position.

Projections at the same position share the run; one that is behind (a new one, say) goes alone until it has
caught up with the next. A run ends after some pages or touched rows, or where the log ends. The more events a
run holds, the fewer writes an event costs: a wallet that is debited a hundred times is written once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import psycopg

from ledger_service.projections.log_pages import LogPages
from ledger_service.projections.projection import Projection, Run
from ledger_service.projections.tracking import move_position, read_positions
from ledger_service.projections.wallet_events import read_wallet_events

RUN_EVENTS_MAX: Final = 50_000
"""Events in one transaction: about two seconds of work, which is what a stop or a crash may have to wait or lose."""

RUN_ROWS_MAX: Final = 50_000
"""Rows held in memory by one projection before they are stored: about 50 MB."""


class RunLimits(msgspec.Struct, frozen=True):
    """When a run ends before the log does."""

    events_max: int = RUN_EVENTS_MAX
    rows_max: int = RUN_ROWS_MAX


class Plan(msgspec.Struct, frozen=True):
    """Which projections go next, from where, and no further than `through` (None: to the end of the log)."""

    projections: tuple[Projection, ...]
    after: int
    through: int | None


class Step(msgspec.Struct, frozen=True):
    """What a step stored: events in (after, through]."""

    projections: tuple[Projection, ...]
    after: int
    through: int

    @property
    def event_count(self) -> int:
        """Return how many positions the step went over."""
        return self.through - self.after


def plan_step(
    projections: Sequence[Projection], positions: Mapping[str, int], *, through: int | None = None
) -> Plan:
    """Choose the projections that are furthest behind; they stop where the next one is."""
    after = min(positions[projection.name] for projection in projections)
    behind = tuple(projection for projection in projections if positions[projection.name] == after)
    ceilings = [position for position in positions.values() if position > after]
    if through is not None:
        ceilings.append(through)
    return Plan(behind, after, min(ceilings, default=None))


def catch_up_once(
    connection: psycopg.Connection[Any],
    log: LogPages,
    projections: Sequence[Projection],
    *,
    limits: RunLimits = RunLimits(),
    through: int | None = None,
) -> Step | None:
    """Take one step, in one transaction; None when there is nothing left to do (up to `through`, if given).

    Raises PositionMovedError when another projector was first, psycopg.Error.
    """
    positions = read_positions(connection, [projection.name for projection in projections])
    plan = plan_step(projections, positions, through=through)
    runs = [projection.begin() for projection in plan.projections]
    end = _fold_run(log, plan, runs, limits)
    if end == plan.after:
        return None
    with connection.transaction():
        for projection in plan.projections:
            move_position(connection, projection.name, after=plan.after, through=end)
        for run in runs:
            run.store(connection)
    return Step(plan.projections, plan.after, end)


def _fold_run(log: LogPages, plan: Plan, runs: Sequence[Run], limits: RunLimits) -> int:
    """Fold pages until the run, the plan or the log ends; return the last position folded."""
    position = plan.after
    while plan.through is None or position < plan.through:
        page = log.read(after=position)
        stored = page.events
        if plan.through is not None and page.through > plan.through:
            stored = [event for event in stored if event.position <= plan.through]
        events = read_wallet_events(stored)
        for run in runs:
            run.fold(events)
        position = stored[-1].position if stored else position
        if not log.has_more(page) or position - plan.after >= limits.events_max:
            break
        if any(run.row_count() >= limits.rows_max for run in runs):
            break
    return position
