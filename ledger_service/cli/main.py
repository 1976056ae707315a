"""The `ledger` command: the service's processes, and its reads for people and machines."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Annotated

import grpc
import msgspec
import typer
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.progress import Progress

from ledger_service.cli import (
    budgets,
    credit,
    entities,
    finance,
    finance_contracts,
    finance_export,
    finance_journal,
    finance_liability,
    finance_reports,
    finance_rows,
    history,
    holds,
    rules,
    sales,
    top_ups,
    totals,
    trace,
    transfers,
    wallets,
    watch,
)
from ledger_service.cli.client import ADDRESS_DEFAULT, Address, CaFile, connect, console, fail
from ledger_service.cli.finance_roll_forward import roll_forward
from ledger_service.settings import Settings, SettingsError, StartError, read_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
service = typer.Typer()
books = typer.Typer(no_args_is_help=True, help="Revenue, the journal, and all that finance reads of it.")


def _panel(onto: typer.Typer, title: str, *parts: typer.Typer) -> None:
    """Add the commands of some parts under one heading of the help."""
    for part in parts:
        for command in part.registered_commands:
            command.rich_help_panel = title
        for group in part.registered_groups:
            group.rich_help_panel = title
        onto.add_typer(part)


def main() -> None:
    """Run the command line; an error that its user can mend is one line and exit code 2."""
    try:
        app()
    except (SettingsError, StartError) as error:
        print(f"ledger: {error}", file=sys.stderr)
        sys.exit(2)


def _service() -> tuple[ModuleType, Settings]:
    """Return what builds the processes of the service, with the settings: half a second that no other command pays."""
    bootstrap = import_module("ledger_service.bootstrap")
    settings = read_settings(os.environ)
    bootstrap.configure_logs(settings)
    return bootstrap, settings


@service.command()
def serve() -> None:
    """Serve the ledger until SIGTERM or Ctrl-C."""
    bootstrap, settings = _service()
    uvloop.run(bootstrap.serve(settings))


@service.command()
def project() -> None:
    """Run the projector until SIGTERM or Ctrl-C."""
    bootstrap, settings = _service()
    bootstrap.project(settings)


@service.command()
def health(address: Address = ADDRESS_DEFAULT, ca_file: CaFile = "") -> None:
    """Say whether a ledger serves. Exit code 0 if it does, 1 if it does not."""
    with connect(address, ca_file) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            response = stub.Check(  # type: ignore[attr-defined]
                health_pb2.HealthCheckRequest(), timeout=5
            )
        except grpc.RpcError:
            fail(f"no ledger answers at {address}")
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)
    console.print(name)
    raise typer.Exit(0 if response.status == health_pb2.HealthCheckResponse.SERVING else 1)


@service.command()
def rebuild() -> None:
    """Rebuild every projection of the database in the settings from the first event, and put it in place."""
    bootstrap, settings = _service()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Rebuilding", total=None)
        positions = bootstrap.rebuild_projections(
            settings, lambda done, total: progress.update(task, completed=done, total=total)
        )
    for name, position in positions.items():
        console.print(f"{name} rebuilt at position {position:,}")


@service.command("check-history")
def check_history(
    json: Annotated[bool, typer.Option("--json", help="One JSON line a report.")] = False,
) -> None:
    """Verify the database in the settings, in this process. Exit code 1 if anything is not as it must be."""
    bootstrap, settings = _service()
    wrong = False
    for progress in bootstrap.verify_here(settings):
        wrong = wrong or bool(progress.findings)
        if json:
            sys.stdout.buffer.write(msgspec.json.encode(progress) + b"\n")
            sys.stdout.buffer.flush()
        else:
            for finding in progress.findings:
                console.print(
                    f"{finding.check} {finding.subject} at {finding.position}: {finding.description}"
                )
    sys.exit(1 if wrong else 0)


_panel(app, "Credit", credit.app, sales.app, holds.app, transfers.app, top_ups.app)
_panel(app, "Wallets", wallets.app, rules.app, watch.app, budgets.app, totals.app)
_panel(app, "Audit", history.app, trace.app)
_panel(books, "Estimates, lots and periods", finance.app, finance_rows.app)
_panel(books, "Entities and currencies", entities.app)
_panel(
    books,
    "Reports",
    finance_reports.app,
    finance_journal.app,
    finance_contracts.app,
    finance_liability.app,
)
_panel(books, "Exports and reconciliation", finance_export.app)
books.command("roll-forward", rich_help_panel="Reports")(roll_forward)
app.add_typer(books, name="finance", rich_help_panel="Finance")
_panel(app, "Service", service)
