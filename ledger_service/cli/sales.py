"""The command that sells credit: a paid grant with what finance is told of it."""

from __future__ import annotations

from typing import Annotated

import typer

from credits.ledger.v1 import wallet_pb2, wallet_service_pb2
from ledger_service.cli.client import ADDRESS_DEFAULT, Address, AsJson, CaFile, read_instant
from ledger_service.cli.money import read_money
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
from ledger_service.cli.wallet_calls import Effective, Key, Units, given_or_fresh, send, show

app = typer.Typer()


@app.command()
def sell(
    name: Annotated[str, typer.Argument(help="wallets/{wallet}")],
    units: Units,
    price: Annotated[str, typer.Option(help="For all of it, net of tax, as 100 USD.")],
    tax: Tax = "",
    breakage: Breakage = "",
    pool: Pool = "",
    bonus_units: BonusUnits = 0,
    product: Product = "",
    entity: Entity = "",
    books: Books = "",
    rate: Rate = "",
    terms_file: TermsFile = None,
    effective: Effective = "",
    expires: Annotated[str, typer.Option(help="First instant at which it is gone; never if empty.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Issue credit that was paid for."""
    terms = read_terms(
        terms_file,
        tax=tax,
        breakage=breakage,
        pool=pool,
        bonus_units=bonus_units,
        product=product,
        entity=entity,
        books=books,
        rate=rate,
    )
    sold = wallet_pb2.Grant(
        amount_units=units,
        category=wallet_pb2.GRANT_CATEGORY_PAID,
        consideration=read_money(price, option="--price"),
        effective_time=read_instant(effective, option="--effective") if effective else None,
        expire_time=read_instant(expires, option="--expires") if expires else None,
        finance=terms,
    )
    request = wallet_service_pb2.GrantRequest(name=name, idempotency_key=given_or_fresh(key), grant=sold)
    answer = send(lambda wallets: wallets.Grant, request, address, ca_file)
    show(answer, f"{answer.grant.name} of {answer.grant.amount_units:,} units", json=json)
