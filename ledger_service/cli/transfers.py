"""Commands that move credit between wallets and note chargebacks."""

from __future__ import annotations

from typing import Annotated

import typer

from credits.ledger.v1 import transfer_pb2, wallet_service_pb2_grpc
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
from ledger_service.cli.money import read_money, show_money
from ledger_service.cli.wallet_calls import given_or_fresh

app = typer.Typer()
Key = Annotated[str, typer.Option(help="Idempotency key; a fresh one if empty.")]


@app.command()
def transfer(
    name: Annotated[str, typer.Argument(help="wallets/{wallet} that the credit leaves.")],
    destination: Annotated[str, typer.Argument(help="wallets/{wallet} that it goes to.")],
    units: Annotated[int, typer.Argument(help="Smallest units of the asset.")],
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Move credit to another wallet of the same customer and asset."""
    request = transfer_pb2.TransferCreditsRequest(
        name=name, idempotency_key=given_or_fresh(key), destination=destination, amount_units=units
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.TransferCredits(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        sent = response.transfer
        state = transfer_pb2.TransferState.Name(sent.state).removeprefix("TRANSFER_STATE_")
        console.print(f"{sent.name} of {sent.amount_units:,} units to {sent.destination}: {state}")


@app.command("charge-back")
def charge_back(
    name: Annotated[str, typer.Argument(help="wallets/{wallet}/grants/{grant}")],
    amount: Annotated[
        str, typer.Option(help="What the bank took back, as 12.50 USD; all that is left if empty.")
    ] = "",
    reference: Annotated[str, typer.Option(help="Kept with it, for instance the bank's case number.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Note that the bank took back what was paid for a grant."""
    request = transfer_pb2.ChargeBackGrantRequest(
        name=name,
        idempotency_key=given_or_fresh(key),
        amount=read_money(amount, option="--amount") if amount else None,
        reference=reference,
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.ChargeBackGrant(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        owed = show_money(response.receivable)
        console.print(f"{response.revoked_units:,} units revoked, {owed} owed by the customer")
