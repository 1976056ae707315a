"""The `rating` command line: serve, and everything that a person asks of the service.

Each command is one call. What it prints is for people, or with `--json` the message itself. A refusal prints
one line on stderr with its reason and exits 1; a setting or file that cannot be used exits 2.
"""

from __future__ import annotations

import sys
from typing import Final

import grpc
import typer

from rating_service.cli.cards import agreement_commands, price_commands, rerating_commands
from rating_service.cli.cards.diff_command import diff
from rating_service.cli.connection import refusal_line
from rating_service.cli.contracts import contract_commands
from rating_service.cli.contracts.contract_list import list_contracts
from rating_service.cli.documents import billing_commands, credit_note_commands, invoice_commands
from rating_service.cli.documents.verify_command import verify
from rating_service.cli.service_commands import health, serve
from rating_service.cli.simulations.simulate_command import simulate
from rating_service.cli.usage import (
    authorization_commands,
    quarantine_commands,
    report_commands,
    usage_commands,
)
from rating_service.cli.yaml_source import FileRefused
from rating_service.settings import SettingsError

OUT_OF_RANGE: Final = "Value out of range"

app = typer.Typer(
    name="rating",
    help="Prices usage, posts it to the ledger, and issues invoices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(health)
app.command()(usage_commands.quote)
app.command()(simulate)
app.command()(authorization_commands.authorize)
app.command()(authorization_commands.settle)
app.command()(authorization_commands.cancel)
report_commands.add_to(usage_commands.app)
app.add_typer(usage_commands.app, name="usage")
app.add_typer(quarantine_commands.app, name="quarantine")
app.add_typer(invoice_commands.app, name="invoice")
app.add_typer(credit_note_commands.app, name="credit-note")
app.command()(verify)
app.add_typer(billing_commands.app, name="billing")
agreement_commands.card_app.command()(diff)
app.add_typer(agreement_commands.card_app, name="card")
app.add_typer(price_commands.app, name="prices")
app.add_typer(agreement_commands.plan_app, name="plan")
contract_commands.app.command("list")(list_contracts)
app.add_typer(contract_commands.app, name="contract")
app.add_typer(rerating_commands.app, name="rerating")


def main() -> None:
    """Run the command that the arguments name, and end with its exit code."""
    try:
        app()
    except grpc.RpcError as failure:
        sys.exit(_say(refusal_line(failure), code=1))
    except (SettingsError, FileRefused, OSError) as failure:
        sys.exit(_say(str(failure), code=2))
    except ValueError as failure:
        # What a message cannot hold: the library that writes messages has no type of its own for it.
        if not str(failure).startswith(OUT_OF_RANGE):
            raise
        sys.exit(_say(f"a number is beyond what it may be{str(failure).removeprefix(OUT_OF_RANGE)}", code=2))


def _say(line: str, *, code: int) -> int:
    print(f"rating: {line}", file=sys.stderr)
    return code
