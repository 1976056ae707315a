"""Commands that reserve credit and take debits back: hold, capture, release, reverse."""

from __future__ import annotations

from typing import Annotated

import typer

from credits.ledger.v1 import wallet_service_pb2
from ledger_service.cli.client import ADDRESS_DEFAULT, Address, AsJson, CaFile
from ledger_service.cli.wallet_calls import Key, Units, given_or_fresh, send, show

app = typer.Typer()
HoldName = Annotated[str, typer.Argument(help="wallets/{wallet}/holds/{hold}")]


@app.command()
def hold(
    name: Annotated[str, typer.Argument(help="wallets/{wallet}")],
    units: Units,
    ttl_seconds: Annotated[int, typer.Option(help="How long; 600 unless told.")] = 600,
    feature: Annotated[str, typer.Option(help="Feature of the usage.")] = "",
    api_key: Annotated[str, typer.Option(help="Identifies the API key on whose budget it counts.")] = "",
    user: Annotated[str, typer.Option(help="User on whose budget it counts.")] = "",
    estimate_of: Annotated[str, typer.Option(help="What the units are an estimate for.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Reserve credit, all of it or none."""
    request = wallet_service_pb2.HoldRequest(
        name=name,
        idempotency_key=given_or_fresh(key),
        amount_units=units,
        feature=feature,
        api_key=api_key,
        user=user,
        estimate_of=estimate_of,
    )
    request.ttl.FromSeconds(ttl_seconds)
    answer = send(lambda wallets: wallets.Hold, request, address, ca_file)
    show(answer, f"{answer.hold.name} reserves {answer.hold.amount_units:,} units", json=json)


@app.command()
def capture(
    name: HoldName,
    units: Units,
    keep_open: Annotated[bool, typer.Option(help="Keep the hold for further captures.")] = False,
    reject_excess: Annotated[bool, typer.Option(help="Refuse more than is held.")] = False,
    allow_late: Annotated[bool, typer.Option(help="After the hold's time, debit all the same.")] = False,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Turn a hold into a debit."""
    over_hold = (
        wallet_service_pb2.OVER_HOLD_REJECT
        if reject_excess
        else wallet_service_pb2.OVER_HOLD_EXTRA_IF_AVAILABLE
    )
    request = wallet_service_pb2.CaptureHoldRequest(
        name=name,
        idempotency_key=given_or_fresh(key),
        amount_units=units,
        keep_open=keep_open,
        over_hold=over_hold,
        allow_late=allow_late,
    )
    answer = send(lambda wallets: wallets.CaptureHold, request, address, ca_file)
    show(answer, f"{answer.debit.name} of {answer.debit.amount_units:,} units", json=json)


@app.command()
def release(
    name: HoldName,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Give back what a hold reserves."""
    request = wallet_service_pb2.ReleaseHoldRequest(name=name, idempotency_key=given_or_fresh(key))
    answer = send(lambda wallets: wallets.ReleaseHold, request, address, ca_file)
    show(answer, f"{sum(each.amount_units for each in answer.returned):,} units returned", json=json)


@app.command()
def reverse(
    name: Annotated[str, typer.Argument(help="wallets/{wallet}/debits/{debit}")],
    units: Annotated[int, typer.Option(help="Units to take back; 0: all that is left.")] = 0,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Take a debit back, in part or whole."""
    request = wallet_service_pb2.ReverseDebitRequest(
        name=name, idempotency_key=given_or_fresh(key), amount_units=units
    )
    answer = send(lambda wallets: wallets.ReverseDebit, request, address, ca_file)
    show(answer, f"{answer.reversal.amount_units:,} units of {answer.reversal.debit} reversed", json=json)
