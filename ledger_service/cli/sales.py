"""The command that sells credit: a paid grant with what finance is told of it."""

from __future__ import annotations

from typing import Annotated

import typer

from credits.ledger.v1 import sale_terms_pb2, wallet_pb2, wallet_service_pb2
from ledger_service.cli.client import ADDRESS_DEFAULT, Address, AsJson, CaFile, read_instant
from ledger_service.cli.money import read_money
from ledger_service.cli.wallet_calls import Key, Units, given_or_fresh, send, show

app = typer.Typer()


@app.command()
def sell(
    name: Annotated[str, typer.Argument(help="wallets/{wallet}")],
    units: Units,
    price: Annotated[str, typer.Option(help="For all of it, net of tax, as 100 USD.")],
    tax: Annotated[str, typer.Option(help="Sales tax beside it, as 19 USD.")] = "",
    breakage: Annotated[str, typer.Option(help="Fraction of units never used, from 0 and below 1.")] = "",
    pool: Annotated[str, typer.Option(help="breakagePools/{pool} that estimates it.")] = "",
    bonus_units: Annotated[int, typer.Option(help="How many of the units were given with the rest.")] = 0,
    product: Annotated[str, typer.Option(help="What is sold, for reports.")] = "",
    entity: Annotated[str, typer.Option(help="Legal entity that sells; the wallet's if empty.")] = "",
    books: Annotated[str, typer.Option(help="Currency of the books, if it is another.")] = "",
    rate: Annotated[
        str, typer.Option(help="What the price's currency is worth in it; the entity's rate if empty.")
    ] = "",
    expires: Annotated[str, typer.Option(help="First instant at which it is gone; never if empty.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Issue credit that was paid for."""
    terms = sale_terms_pb2.SaleTerms(
        entity=entity,
        product=product,
        pool=pool,
        expected_breakage=breakage,
        bonus_units=bonus_units,
        tax=read_money(tax, option="--tax") if tax else None,
        functional_currency_code=books,
        exchange_rate=rate,
    )
    sold = wallet_pb2.Grant(
        amount_units=units,
        category=wallet_pb2.GRANT_CATEGORY_PAID,
        consideration=read_money(price, option="--price"),
        expire_time=read_instant(expires, option="--expires") if expires else None,
        finance=terms,
    )
    request = wallet_service_pb2.GrantRequest(name=name, idempotency_key=given_or_fresh(key), grant=sold)
    answer = send(lambda wallets: wallets.Grant, request, address, ca_file)
    show(answer, f"{answer.grant.name} of {answer.grant.amount_units:,} units", json=json)
