"""Plays acceptance cases against a running pair of services, over gRPC, on the manual sandbox clock.

    python -m tests.acceptance.run_cases FILE...

Prints one line a case, in the order of the files, and `N passed, N failed, N skipped` last. Exit code 0: none
failed; 1: some did; 2: a file cannot be read or the services cannot be started. CASES_DATA names the folder of
traces; by default it is `data` beside the folder that a file is in.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.stack.interruption import Interrupted, Interruption
from deploy.stack.processes import StackError
from deploy.stack.supervisor import Plan, Stack, free_address
from tests.acceptance.cases.case_files import Case, CaseFileError, read_cases
from tests.acceptance.cases.plans import Planned, plan_all
from tests.acceptance.cases.services import connected
from tests.acceptance.cases.timeline import Script, Tell, first_instant, play
from tests.acceptance.cases.verdicts import Outcome, Verdict

DATA_VARIABLE: Final = "CASES_DATA"
OWN_SETTINGS: Final = ("LEDGER_", "RATING_")
"""Settings of the caller's own services must not reach the fresh ones."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the files and return the exit code."""
    parser = argparse.ArgumentParser(prog="run_cases", description="Play acceptance cases.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="case file (JSON)")
    named = parser.parse_args(arguments)
    folder = os.environ.get(DATA_VARIABLE)
    try:
        cases = [
            case
            for file in named.files
            for case in read_cases(file, data_folder=Path(folder) if folder else None)
        ]
        outcomes = play_cases(cases)
    except (CaseFileError, StackError) as failure:
        print(f"cases: {failure}", file=sys.stderr)
        return 2
    except Interrupted as interrupted:
        return interrupted.exit_code
    return report(outcomes)


def play_cases(cases: Sequence[Case]) -> list[Outcome]:
    """Return the outcome of each case, in order. Raises StackError, Interrupted."""
    planned = plan_all(cases)
    played = _play_planned(planned) if planned.scripts else {}
    by_place = planned.outcomes | played
    return [by_place[place] for place in range(len(cases))]


def _play_planned(planned: Planned) -> dict[int, Outcome]:
    places, scripts = list(planned.scripts), list(planned.scripts.values())
    plan_of = _plan_of_services(first_instant(scripts))
    with (
        progress(sum(len(script.steps) for script in scripts)) as tell,
        tempfile.TemporaryDirectory(prefix="cases-", ignore_cleanup_errors=True) as directory,
        Interruption() as interruption,
        Stack(plan_of(Path(directory)), interruption) as stack,
    ):
        outcomes = asyncio.run(_play_on(plan_of(Path(directory)), scripts, tell))
        stack.check_running()
    return dict(zip(places, outcomes, strict=True))


def _plan_of_services(start: datetime) -> Callable[[Path], Plan]:
    """Return how to run the services in a directory, on a manual clock that begins at an instant."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OWN_SETTINGS)}
    environment |= {
        "LEDGER_SANDBOX": "true",
        "LEDGER_SANDBOX_START_TIME": start.isoformat(),
        "RATING_SANDBOX": "true",
        "LEDGER_LOG_LEVEL": "warning",
        "RATING_LOG_LEVEL": "warning",
    }
    ledger, rating = free_address(), free_address()
    return lambda directory: Plan(
        data_directory=directory / "credits",
        ledger_listen=ledger,
        rating_listen=rating,
        environment=environment,
    )


async def _play_on(plan: Plan, scripts: Sequence[Script], tell: Tell) -> list[Outcome]:
    async with connected(ledger_address=plan.ledger_listen, rating_address=plan.rating_listen) as services:
        return await play(scripts, services, advance=services.advance, on_steps=tell)


@contextmanager
def progress(total: int) -> Iterator[Tell]:
    """Lend a function that advances a bar on stderr; there is no bar unless stderr is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("playing cases"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("steps", total=total)
        yield lambda steps: bar.advance(task, steps)


def report(outcomes: Sequence[Outcome]) -> int:
    """Print a line a case and the sums, and return the exit code."""
    for outcome in outcomes:
        print(outcome.line())
    count = Counter(outcome.verdict for outcome in outcomes)
    print(f"{count[Verdict.PASS]} passed, {count[Verdict.FAIL]} failed, {count[Verdict.UNSUPPORTED]} skipped")
    return 1 if count[Verdict.FAIL] else 0


if __name__ == "__main__":
    sys.exit(main())
