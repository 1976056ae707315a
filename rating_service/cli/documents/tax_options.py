"""Taxes given on the command line: NAME=PERCENT or NAME=PERCENT@JURISDICTION."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from credits.rating.v1 import invoice_service_pb2

Taxes = Annotated[
    list[str] | None,
    typer.Option(
        "--tax", help="NAME=PERCENT or NAME=PERCENT@JURISDICTION, instead of the contract's; repeatable."
    ),
]
NoTax = Annotated[bool, typer.Option("--no-tax", help="Levy no tax, whatever the contract says.")]


def given_taxes(taxes: Sequence[str] | None, *, no_tax: bool) -> invoice_service_pb2.TaxesGiven | None:
    """Return the taxes to send, None to leave them to the contract. Raises typer.BadParameter."""
    if no_tax and taxes:
        raise typer.BadParameter("--no-tax and --tax exclude each other")
    if not no_tax and not taxes:
        return None
    return invoice_service_pb2.TaxesGiven(rates=[_rate(text) for text in taxes or ()])


def _rate(text: str) -> invoice_service_pb2.InvoiceTaxRate:
    name, equals, rest = text.rpartition("=")
    percent, _, jurisdiction = rest.partition("@")
    if not equals or not name or not percent:
        raise typer.BadParameter(f"--tax {text!r} is not NAME=PERCENT or NAME=PERCENT@JURISDICTION")
    return invoice_service_pb2.InvoiceTaxRate(name=name, percent=percent, jurisdiction=jurisdiction)
