"""`python -m deploy.demo`: start everything, play the months, print what was found, leave nothing behind.

Exits 0 if every check passed, 1 if one did not or the demo could not go on, 2 if its input will not do, and
128 + the signal's number if it was interrupted.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import grpc
import msgspec
import typer
from rich.console import Console

from deploy.demo.play import play
from deploy.demo.report import Report
from deploy.demo.scene import Source, World, clock_start, generated, traced
from deploy.demo.services import DemoFailed, SandboxClock, failure_line, open_services
from deploy.demo.show import print_report
from deploy.demo.stages import Stages
from deploy.demo.trace import TraceRefused
from deploy.stack.databases import temporary_database
from deploy.stack.interruption import Interrupted, Interruption
from deploy.stack.processes import StackError
from deploy.stack.supervisor import Plan, Stack, free_address

SEED_DEFAULT: Final = 7
USAGES_DEFAULT: Final = 20_000
USAGES_MAX: Final = 1_000_000
DIRECTORY_PREFIX: Final = "credits-demo-"
WIDTH_MIN: Final = 132
"""Columns of the report where stdout is no terminal: its tables need about so many."""
EXIT_FAILED: Final = 1
EXIT_INPUT: Final = 2

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def demo(
    trace: Annotated[
        Path | None,
        typer.Option(help="Replay this CSV file with the columns TIMESTAMP, ContextTokens, GeneratedTokens."),
    ] = None,
    usages: Annotated[int, typer.Option(min=1, max=USAGES_MAX, help="Usages to make up.")] = USAGES_DEFAULT,
    seed: Annotated[int, typer.Option(help="The same seed makes up the same usages.")] = SEED_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Play a month for a few dozen customers on the real services, and check the books independently.

    Everything runs on loopback in a temporary directory. With LEDGER_DATABASE_URL or RATING_DATABASE_URL the
    demo makes a database of its own on that server and drops it afterwards.
    """
    errors = Console(stderr=True, highlight=False)
    try:
        source = traced(trace, seed=seed) if trace is not None else generated(usages, seed=seed)
    except TraceRefused as refusal:
        errors.print(f"demo: {refusal}", markup=False, soft_wrap=True)
        sys.exit(EXIT_INPUT)
    with Interruption() as interruption:
        try:
            report = run(source, interruption, errors)
        except Interrupted as interrupted:
            errors.print("demo: interrupted; everything is stopped")
            sys.exit(interrupted.exit_code)
        except (DemoFailed, StackError) as failure:
            errors.print(f"demo: {failure}", markup=False, soft_wrap=True)
            sys.exit(EXIT_FAILED)
    print_result(report, as_json=as_json)
    sys.exit(0 if report.passed else EXIT_FAILED)


def run(source: Source, interruption: Interruption, console: Console) -> Report:
    """Start everything, play, and stop everything. Raises DemoFailed, StackError and Interrupted."""
    stages = Stages(console)
    with ExitStack() as house:
        directory = house.enter_context(temporary_directory())
        plan = plan_for(source, directory, house)
        house.enter_context(stages.shown())
        with stages.stage("PostgreSQL and the services started", total=4) as advance:
            stack = house.enter_context(Stack(plan, interruption, on_step=lambda _: advance(1)))
        services = house.enter_context(open_services(ledger=plan.ledger_listen, rating=plan.rating_listen))
        clock = SandboxClock(services, clock_start(source))
        try:
            return play(source, World(services, clock, plan.ledger_listen, directory, stages))
        except grpc.RpcError as failure:
            stack.check_running()
            raise DemoFailed(f"{failure_line(failure)}\n{stack.last_words()}") from failure
        except DemoFailed as failure:
            raise DemoFailed(f"{failure}\n{stack.last_words()}") from failure


def plan_for(source: Source, directory: Path, house: ExitStack) -> Plan:
    """Return what to start: a sandbox on free ports, whatever is set for services that run otherwise."""
    urls = {
        variable: house.enter_context(temporary_database(url, variable=variable))
        for variable in ("LEDGER_DATABASE_URL", "RATING_DATABASE_URL")
        if (url := os.environ.get(variable, ""))
    }
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("LEDGER_", "RATING_"))
    }
    return Plan(
        data_directory=directory / "data",
        ledger_listen=free_address(),
        rating_listen=free_address(),
        ledger_database_url=urls.get("LEDGER_DATABASE_URL", ""),
        rating_database_url=urls.get("RATING_DATABASE_URL", ""),
        environment={
            **environment,
            "LEDGER_SANDBOX": "true",
            "LEDGER_SANDBOX_START_TIME": clock_start(source).isoformat(),
            "RATING_SANDBOX": "true",
        },
    )


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """Lend a directory that is removed afterwards; first remove those of demos that were killed."""
    remove_leftovers(Path(tempfile.gettempdir()))
    directory = Path(tempfile.mkdtemp(prefix=f"{DIRECTORY_PREFIX}{os.getpid()}-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove the directories of demos of this user whose process is gone."""
    for directory in parent.glob(f"{DIRECTORY_PREFIX}*-*"):
        pid = directory.name.removeprefix(DIRECTORY_PREFIX).partition("-")[0]
        if pid.isdigit() and not is_alive(int(pid)) and directory.lstat().st_uid == os.geteuid():
            shutil.rmtree(directory, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Return whether a process lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def print_result(report: Report, *, as_json: bool) -> None:
    """Print the report for people, or as one JSON document."""
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
        return
    console = Console(highlight=False)
    if console.width < WIDTH_MIN and not console.is_terminal:
        console.width = WIDTH_MIN
    print_report(report, console)


if __name__ == "__main__":
    app()
