"""Commands that open wallets and issue, consume and withdraw credit."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import typer

from credits.ledger.v1 import money_pb2, wallet_pb2, wallet_service_pb2, wallet_service_pb2_grpc
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    CALL_SECONDS_MAX,
    Address,
    AsJson,
    CaFile,
    connect,
    console,
    fail,
    print_json,
    read_instant,
    show_units,
)

app = typer.Typer()
MONEY_SCALE = 9
Name = Annotated[str, typer.Argument(help="wallets/{wallet}")]
GrantName = Annotated[str, typer.Argument(help="wallets/{wallet}/grants/{grant}")]
Units = Annotated[int, typer.Argument(help="Smallest units of the asset.")]
Key = Annotated[str, typer.Option(help="Idempotency key; a fresh one if empty.")]


@app.command("open")
def open_wallet(
    wallet_id: Annotated[str, typer.Argument(help="Last part of the wallet's name.")],
    customer: Annotated[str, typer.Option(help="customers/{customer}")],
    asset: Annotated[str, typer.Option(help="CODE/scale")] = "CREDIT/6",
    shortfall: Annotated[str, typer.Option(help="HARD, SOFT or ADVANCE")] = "HARD",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Open a wallet."""
    code, _, scale = asset.partition("/")
    if not scale.isdecimal() or f"SHORTFALL_MODE_{shortfall}" not in wallet_pb2.ShortfallMode.keys():  # noqa: SIM118
        fail(f"--asset {asset!r} is not CODE/scale, or --shortfall {shortfall!r} is no mode")
    request = wallet_service_pb2.OpenWalletRequest(
        wallet_id=wallet_id,
        idempotency_key=key or uuid4().hex,
        wallet=wallet_pb2.Wallet(
            customer=customer,
            asset=money_pb2.Asset(code=code, scale=int(scale)),
            shortfall_mode=wallet_pb2.ShortfallMode.Value(f"SHORTFALL_MODE_{shortfall}"),
        ),
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.OpenWallet(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{response.wallet.name} opened")


@app.command()
def grant(
    name: Name,
    units: Units,
    category: Annotated[str, typer.Option(help="PAID, PROMOTIONAL or INCLUDED")] = "PAID",
    priority: Annotated[int, typer.Option(help="0 is used first.")] = 0,
    expires: Annotated[str, typer.Option(help="First instant at which it is gone; never if empty.")] = "",
    pending: Annotated[bool, typer.Option(help="Wait for `ledger activate`.")] = False,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Issue credit."""
    if f"GRANT_CATEGORY_{category}" not in wallet_pb2.GrantCategory.keys():  # noqa: SIM118
        fail(f"--category {category!r} is none of PAID, PROMOTIONAL, INCLUDED")
    issued = wallet_pb2.Grant(
        amount_units=units,
        category=wallet_pb2.GrantCategory.Value(f"GRANT_CATEGORY_{category}"),
        priority=priority,
        expire_time=read_instant(expires, option="--expires") if expires else None,
        pending=pending,
    )
    request = wallet_service_pb2.GrantRequest(name=name, idempotency_key=key or uuid4().hex, grant=issued)
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.Grant(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{response.grant.name} of {response.grant.amount_units:,} units")


@app.command()
def debit(
    name: Name,
    units: Units,
    feature: Annotated[str, typer.Option(help="Feature of the usage.")] = "",
    delivered: Annotated[bool, typer.Option(help="The service was already given.")] = False,
    take_available: Annotated[bool, typer.Option(help="Debit what there is instead of refusing.")] = False,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Consume credit."""
    request = wallet_service_pb2.DebitRequest(
        name=name,
        idempotency_key=key or uuid4().hex,
        amount_units=units,
        feature=feature,
        delivered=delivered,
        take_available=take_available,
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.Debit(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{response.debit.name} of {response.debit.amount_units:,} units")


@app.command()
def revoke(
    name: GrantName,
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Withdraw the unheld rest of a grant."""
    request = wallet_service_pb2.RevokeGrantRequest(
        name=name, idempotency_key=key or uuid4().hex, reason=reason
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.RevokeGrant(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{response.revoked_units:,} units revoked")


@app.command()
def refund(
    name: GrantName,
    units: Annotated[int, typer.Option(help="Unheld units; 0: all of them.")] = 0,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Withdraw unheld units of a paid grant and owe their cost basis back."""
    request = wallet_service_pb2.RefundGrantRequest(
        name=name, idempotency_key=key or uuid4().hex, amount_units=units
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.RefundGrant(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        owed = f"{response.refund.currency_code} {show_units(response.refund.nanos, MONEY_SCALE)}"
        console.print(f"{response.refunded_units:,} units refunded: {owed}")


@app.command()
def extend(
    name: GrantName,
    expires: Annotated[str, typer.Option(help="The new expiry; never if empty.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Let a grant live longer."""
    request = wallet_service_pb2.ExtendGrantRequest(
        name=name,
        idempotency_key=key or uuid4().hex,
        expire_time=read_instant(expires, option="--expires") if expires else None,
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.ExtendGrant(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{name} extended")
