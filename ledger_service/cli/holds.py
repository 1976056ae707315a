"""Commands that reserve credit and take debits back: hold, capture, release, reverse."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import typer

from credits.ledger.v1 import wallet_service_pb2, wallet_service_pb2_grpc
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    CALL_SECONDS_MAX,
    Address,
    AsJson,
    CaFile,
    connect,
    console,
    print_json,
)

app = typer.Typer()
Units = Annotated[int, typer.Argument(help="Smallest units of the asset.")]
Key = Annotated[str, typer.Option(help="Idempotency key; a fresh one if empty.")]
HoldName = Annotated[str, typer.Argument(help="wallets/{wallet}/holds/{hold}")]


@app.command()
def hold(
    name: Annotated[str, typer.Argument(help="wallets/{wallet}")],
    units: Units,
    ttl_seconds: Annotated[int, typer.Option(help="How long; 600 unless told.")] = 600,
    feature: Annotated[str, typer.Option(help="Feature of the usage.")] = "",
    api_key: Annotated[str, typer.Option(help="Identifies the API key on whose budget it counts.")] = "",
    user: Annotated[str, typer.Option(help="User on whose budget it counts.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Reserve credit, all of it or none."""
    request = wallet_service_pb2.HoldRequest(
        name=name,
        idempotency_key=key or uuid4().hex,
        amount_units=units,
        feature=feature,
        api_key=api_key,
        user=user,
    )
    request.ttl.FromSeconds(ttl_seconds)
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.Hold(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{response.hold.name} reserves {response.hold.amount_units:,} units")


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
        idempotency_key=key or uuid4().hex,
        amount_units=units,
        keep_open=keep_open,
        over_hold=over_hold,
        allow_late=allow_late,
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.CaptureHold(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{response.debit.name} of {response.debit.amount_units:,} units")


@app.command()
def release(
    name: HoldName,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Give back what a hold reserves."""
    request = wallet_service_pb2.ReleaseHoldRequest(name=name, idempotency_key=key or uuid4().hex)
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.ReleaseHold(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{sum(each.amount_units for each in response.returned):,} units returned")


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
        name=name, idempotency_key=key or uuid4().hex, amount_units=units
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.ReverseDebit(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{response.reversal.amount_units:,} units of {response.reversal.debit} reversed")
