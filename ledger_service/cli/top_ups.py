"""Commands about payments that credit waits for: activations and top-ups."""

from __future__ import annotations

from typing import Annotated

import typer

from credits.ledger.v1 import top_up_pb2, wallet_service_pb2_grpc
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
)
from ledger_service.cli.money import read_money, show_money
from ledger_service.cli.sale_options import (
    BonusUnits,
    Books,
    Breakage,
    Entity,
    Pool,
    Product,
    Rate,
    Tax,
    TermsFile,
    read_terms,
)
from ledger_service.cli.wallet_calls import given_or_fresh

app = typer.Typer()
top_up = typer.Typer(no_args_is_help=True, help="Ask for credit, and say how its payment went.")
app.add_typer(top_up, name="top-up")
Name = Annotated[str, typer.Argument(help="wallets/{wallet}")]
GrantName = Annotated[str, typer.Argument(help="wallets/{wallet}/grants/{grant}")]
TopUpName = Annotated[str, typer.Argument(help="wallets/{wallet}/topUps/{top_up}")]
Units = Annotated[int, typer.Argument(help="Smallest units of the asset.")]
Key = Annotated[str, typer.Option(help="Idempotency key; a fresh one if empty.")]


@app.command()
def activate(
    name: GrantName,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Issue what a pending grant held back: its payment came."""
    request = top_up_pb2.ActivateGrantRequest(name=name, idempotency_key=given_or_fresh(key))
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.ActivateGrant(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{name} activated: {response.granted_units:,} units")


@top_up.command("request")
def request_top_up(
    name: Name,
    units: Units,
    price: Annotated[str, typer.Option(help="For all of it, as 49.90 EUR.")],
    valid_for: Annotated[str, typer.Option(help="ISO 8601 period from the settlement, such as P1Y.")] = "",
    expires: Annotated[str, typer.Option(help="First instant at which it is gone; never if empty.")] = "",
    reference: Annotated[str, typer.Option(help="Kept with the top-up and its grant.")] = "",
    tax: Tax = "",
    breakage: Breakage = "",
    pool: Pool = "",
    bonus_units: BonusUnits = 0,
    product: Product = "",
    entity: Entity = "",
    books: Books = "",
    rate: Rate = "",
    terms_file: TermsFile = None,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Ask for credit; it is granted when its payment succeeded."""
    asked = top_up_pb2.TopUp(
        amount_units=units,
        price=read_money(price, option="--price"),
        valid_for=valid_for,
        expire_time=read_instant(expires, option="--expires") if expires else None,
        reference=reference,
        finance=read_terms(
            terms_file,
            tax=tax,
            breakage=breakage,
            pool=pool,
            bonus_units=bonus_units,
            product=product,
            entity=entity,
            books=books,
            rate=rate,
        ),
    )
    request = top_up_pb2.RequestTopUpRequest(name=name, idempotency_key=given_or_fresh(key), top_up=asked)
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.RequestTopUp(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        units_text = f"{response.top_up.amount_units:,} units"
        console.print(f"{response.top_up.name} of {units_text} for {show_money(response.top_up.price)}")


@top_up.command("settle")
def settle_top_up(
    name: TopUpName,
    outcome: Annotated[str, typer.Argument(help="SUCCEEDED, FAILED or CANCELLED")],
    payment: Annotated[str, typer.Option(help="The payment, as the provider names it.")] = "",
    reason: Annotated[str, typer.Option(help="Why it did not succeed.")] = "",
    tax: Annotated[str, typer.Option(help="Tax beside the price, as 19 USD, if it is known only now.")] = "",
    rate: Rate = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Say how a top-up's payment went."""
    if outcome not in ("SUCCEEDED", "FAILED", "CANCELLED"):
        fail(f"{outcome!r} is none of SUCCEEDED, FAILED, CANCELLED")
    request = top_up_pb2.SettleTopUpRequest(
        name=name,
        idempotency_key=given_or_fresh(key),
        outcome=top_up_pb2.TopUpOutcome.Value(f"TOP_UP_OUTCOME_{outcome}"),
        payment_reference=payment,
        failure_reason=reason,
        tax=read_money(tax, option="--tax") if tax else None,
        exchange_rate=rate,
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.SettleTopUp(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{name} {outcome.lower()}{': ' + response.grant if response.grant else ''}")
