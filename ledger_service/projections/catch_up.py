"""One step of a projector: read a run of events, fold it once for each projection, store effect and position.

Projections at the same position share the run; one that is behind (a new one, say) goes alone until it has
caught up with the next. A run ends after some events or touched rows, or where the log ends. The more events
a run holds, the fewer writes an event costs: a wallet that is debited a hundred times is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import psycopg

from ledger_service.projections.events.book_events import read_page_events
from ledger_service.projections.log_pages import PAGE_EVENTS_MAX, POSITION_MAX, read_page
from ledger_service.projections.projection import Projection, Run
from ledger_service.projections.tracking import move_position, read_positions

RUN_EVENTS_MAX: Final = 50_000
"""Events in one transaction: about half a second of work, which a stop waits for and a crash repeats."""

RUN_ROWS_MAX: Final = 50_000
"""Rows that one projection holds in memory before it stores them: about 50 MB."""


class RunLimits(msgspec.Struct, frozen=True):
    """How much is read at once, and when a run ends before the log does."""

    page_events_max: int = PAGE_EVENTS_MAX
    run_events_max: int = RUN_EVENTS_MAX
    run_rows_max: int = RUN_ROWS_MAX


LIMITS_DEFAULT: Final = RunLimits()


class Plan(msgspec.Struct, frozen=True):
    """Which projections go next, and over which events: (after, through]."""

    projections: tuple[Projection, ...]
    after: int
    through: int


def ignore_page(position: int) -> None:
    """Report nothing."""


def plan_step(
    projections: Sequence[Projection], positions: Mapping[str, int], *, through: int = POSITION_MAX
) -> Plan:
    """Choose the projections that are furthest behind; they stop where the next one is."""
    after = min(positions[projection.name] for projection in projections)
    behind = tuple(projection for projection in projections if positions[projection.name] == after)
    ahead = [position for position in positions.values() if position > after]
    return Plan(behind, after, min([*ahead, through]))


def catch_up_once(
    connection: psycopg.Connection[Any],
    projections: Sequence[Projection],
    *,
    limits: RunLimits = LIMITS_DEFAULT,
    through: int = POSITION_MAX,
    on_page: Callable[[int], None] = ignore_page,
) -> int:
    """Take one step in one transaction and return how many events it covered, 0 when there are none left.

    `on_page` is told the position after each page, before anything is stored.
    Raises PositionMovedError when another projector was first, psycopg.Error.
    """
    positions = read_positions(connection, [projection.name for projection in projections])
    plan = plan_step(projections, positions, through=through)
    runs = [projection.begin(connection) for projection in plan.projections]
    end = _fold_run(connection, plan, runs, limits, on_page)
    if end > plan.after:
        with connection.transaction():
            for projection in plan.projections:
                move_position(connection, projection.name, after=plan.after, through=end)
            for run in runs:
                run.store(connection)
    return end - plan.after


def _fold_run(
    connection: psycopg.Connection[Any],
    plan: Plan,
    runs: Sequence[Run],
    limits: RunLimits,
    on_page: Callable[[int], None],
) -> int:
    """Fold pages until the run, the plan or the log ends; return the last position folded."""
    position = plan.after
    while position < plan.through:
        page = read_page(connection, after=position, through=plan.through, events_max=limits.page_events_max)
        events = read_page_events(page.events)
        for run in runs:
            run.fold(events)
        position = page.through
        on_page(position)
        log_ends = len(page.events) < limits.page_events_max
        full = position - plan.after >= limits.run_events_max
        if log_ends or full or any(run.row_count() >= limits.run_rows_max for run in runs):
            break
    return position
