"""`make run`: both services and the projector, until Ctrl-C.

Without LEDGER_DATABASE_URL and RATING_DATABASE_URL the data is kept by an embedded PostgreSQL in the data
directory. The first Ctrl-C (or SIGTERM) lets calls finish and stops everything; a second one does not wait.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from deploy.stack.interruption import Interrupted, Interruption
from deploy.stack.processes import StackError
from deploy.stack.supervisor import Plan, Stack

WATCH_SECONDS: Final = 0.5
"""How often the processes are looked at: an ended one is noticed before people wonder."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    data_directory: Annotated[
        Path, typer.Option(envvar="CREDITS_DATA_DIRECTORY", help="Where data and logs are kept.")
    ] = Path(".data"),
    ledger_listen: Annotated[
        str, typer.Option(envvar="LEDGER_LISTEN", help="Where the ledger serves, host:port.")
    ] = "127.0.0.1:7401",
    rating_listen: Annotated[
        str, typer.Option(envvar="RATING_LISTEN", help="Where the rating service serves, host:port.")
    ] = "127.0.0.1:7402",
    ledger_database_url: Annotated[
        str, typer.Option(envvar="LEDGER_DATABASE_URL", help="PostgreSQL 15 or newer; default: embedded.")
    ] = "",
    rating_database_url: Annotated[
        str, typer.Option(envvar="RATING_DATABASE_URL", help="PostgreSQL 15 or newer; default: embedded.")
    ] = "",
) -> None:
    """Start the ledger, its projector and the rating service, and keep serving until Ctrl-C.

    All other LEDGER_ and RATING_ variables reach the services as they are.
    """
    plan = Plan(
        data_directory=data_directory.expanduser().resolve(),
        ledger_listen=ledger_listen,
        rating_listen=rating_listen,
        ledger_database_url=ledger_database_url,
        rating_database_url=rating_database_url,
        environment=dict(os.environ),
    )
    sys.exit(serve(plan, Console(highlight=False)))


def serve(plan: Plan, console: Console) -> int:
    """Serve until a signal comes; return the exit code."""
    say = lambda step: console.print(f"[dim]{step}[/]")  # noqa: E731
    with Interruption() as interruption:
        try:
            with Stack(plan, interruption, on_step=say) as stack:
                console.print(address_table(plan, stack))
                console.print(f"Data and logs are in {plan.data_directory}", soft_wrap=True)
                console.print("Serving. Ctrl-C stops everything.")
                watch(stack)
        except Interrupted:
            console.print("Everything is stopped.")
            return 0
        except StackError as failure:
            Console(stderr=True, highlight=False).print(f"run: {failure}", markup=False, soft_wrap=True)
            return 1
    return 0


def watch(stack: Stack) -> None:
    """Return never. Raises StackError as soon as a process has ended by itself."""
    while True:
        stack.check_running()
        time.sleep(WATCH_SECONDS)


def address_table(plan: Plan, stack: Stack) -> Table:
    """Return what runs and where it is reached."""
    addresses = {"ledger": f"grpc {plan.ledger_listen}", "rating": f"grpc {plan.rating_listen}"}
    table = Table(box=None, pad_edge=False)
    table.add_column("process")
    table.add_column("pid", justify="right")
    table.add_column("reached at")
    for child in stack.children:
        name = child.program.name
        table.add_row(name, str(child.pid), addresses.get(name, ""))
    return table


if __name__ == "__main__":
    app()
