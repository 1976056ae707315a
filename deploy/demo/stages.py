"""Progress for people while the demo works, and how long each stage took.

Everything here goes to stderr: bars on a terminal, one line a stage elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from deploy.demo.report import StageFigures

Advance = Callable[[int], None]


class Stages:
    """The stages so far."""

    def __init__(self, console: Console) -> None:
        """Show progress on a console."""
        self.figures: list[StageFigures] = []
        self._console = console
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw bars as long as the context is open."""
        with self._progress:
            yield

    @contextmanager
    def stage(self, name: str, *, total: int) -> Iterator[Advance]:
        """Time a stage and lend what tells its progress, in steps out of `total`."""
        begin = time.monotonic_ns()
        task = self._progress.add_task(name, total=total)
        done = False

        def advance(steps: int) -> None:
            if not done:
                self._progress.advance(task, steps)

        yield advance
        done = True
        milliseconds = (time.monotonic_ns() - begin) // 1_000_000
        self._progress.update(task, total=total, completed=total)
        self.figures.append(StageFigures(name, milliseconds))
        if not self._console.is_terminal:
            self._console.print(f"{name}: {milliseconds / 1000:.1f} s")
