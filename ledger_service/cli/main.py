"""The `ledger` command."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import msgspec
import typer
import uvloop

from ledger_service import bootstrap, logs
from ledger_service.settings import Settings, SettingsError, read_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line; an error that the user can mend is one line and exit code 2."""
    try:
        app()
    except (SettingsError, bootstrap.StartError) as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    print(f"ledger: {message}", file=sys.stderr)
    sys.exit(2)


def _settings() -> Settings:
    settings = read_settings(os.environ)
    logs.configure(settings.log_level)
    return settings


@app.command()
def serve() -> None:
    """Serve the ledger until SIGTERM or Ctrl-C."""
    uvloop.run(bootstrap.serve(_settings()))


@app.command()
def project() -> None:
    """Run the projector until SIGTERM or Ctrl-C."""
    bootstrap.project(_settings())


@app.command("check-history")
def check_history(json: Annotated[bool, typer.Option(help="One JSON line a report.")] = False) -> None:
    """Verify the log and the projections of a database, in this process. Exit code 1 if anything is wrong."""
    wrong = False
    for progress in bootstrap.verify_here(_settings()):
        wrong = wrong or bool(progress.findings)
        if json:
            sys.stdout.buffer.write(msgspec.json.encode(progress) + b"\n")
            sys.stdout.flush()
    sys.exit(1 if wrong else 0)
