"""Commands that open wallets and issue, consume and withdraw credit."""

from __future__ import annotations

from typing import Annotated

import typer

from credits.ledger.v1 import money_pb2, wallet_pb2, wallet_service_pb2
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    Address,
    AsJson,
    CaFile,
    fail,
    read_instant,
)
from ledger_service.cli.money import read_money, show_money
from ledger_service.cli.rules import Rules, read_rules, read_shortfall
from ledger_service.cli.wallet_calls import Effective, Key, Units, given_or_fresh, send, show

app = typer.Typer()
Name = Annotated[str, typer.Argument(help="wallets/{wallet}")]
GrantName = Annotated[str, typer.Argument(help="wallets/{wallet}/grants/{grant}")]


@app.command("open")
def open_wallet(
    wallet_id: Annotated[str, typer.Argument(help="Last part of the wallet's name.")],
    customer: Annotated[str, typer.Option(help="customers/{customer}")],
    asset: Annotated[str, typer.Option(help="CODE/scale")] = "CREDIT/6",
    shortfall: Annotated[str, typer.Option(help="HARD, SOFT or ADVANCE")] = "HARD",
    entity: Annotated[str, typer.Option(help="Legal entity that owns its business; never changes.")] = "",
    rules: Rules = None,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Open a wallet."""
    code, _, scale = asset.partition("/")
    if not scale.isdecimal():
        fail(f"--asset {asset!r} is not CODE/scale")
    request = wallet_service_pb2.OpenWalletRequest(
        wallet_id=wallet_id,
        idempotency_key=given_or_fresh(key),
        wallet=wallet_pb2.Wallet(
            customer=customer,
            asset=money_pb2.Asset(code=code, scale=int(scale)),
            shortfall_mode=read_shortfall(shortfall),
            rules=read_rules(rules),
            entity=entity,
        ),
    )
    answer = send(lambda wallets: wallets.OpenWallet, request, address, ca_file)
    show(answer, f"{answer.wallet.name} opened", json=json)


@app.command()
def grant(
    name: Name,
    units: Units,
    category: Annotated[
        str, typer.Option(help="PROMOTIONAL, INCLUDED or PAID; see also `ledger sell`.")
    ] = "PROMOTIONAL",
    priority: Annotated[int, typer.Option(help="0 is used first.")] = 0,
    effective: Effective = "",
    expires: Annotated[str, typer.Option(help="First instant at which it is gone; never if empty.")] = "",
    compensates: Annotated[
        str, typer.Option(help="Goodwill for wallets/{wallet}/debits/{debit}; only PROMOTIONAL.")
    ] = "",
    purchase: Annotated[
        str,
        typer.Option(
            help="Bonus of wallets/{wallet}/grants/{grant}, whose price it shares; only PROMOTIONAL."
        ),
    ] = "",
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
        effective_time=read_instant(effective, option="--effective") if effective else None,
        expire_time=read_instant(expires, option="--expires") if expires else None,
        compensates=compensates,
        purchase=purchase,
        pending=pending,
    )
    request = wallet_service_pb2.GrantRequest(name=name, idempotency_key=given_or_fresh(key), grant=issued)
    answer = send(lambda wallets: wallets.Grant, request, address, ca_file)
    show(answer, f"{answer.grant.name} of {answer.grant.amount_units:,} units", json=json)


@app.command()
def debit(
    name: Name,
    units: Units,
    feature: Annotated[str, typer.Option(help="Feature of the usage.")] = "",
    api_key: Annotated[str, typer.Option(help="Identifies the API key on whose budget it counts.")] = "",
    user: Annotated[str, typer.Option(help="User on whose budget it counts.")] = "",
    delivered: Annotated[bool, typer.Option(help="The service was already given.")] = False,
    take_available: Annotated[bool, typer.Option(help="Debit what there is instead of refusing.")] = False,
    at: Annotated[str, typer.Option(help="When it was used, for late usage; now if empty.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Consume credit."""
    request = wallet_service_pb2.DebitRequest(
        name=name,
        idempotency_key=given_or_fresh(key),
        amount_units=units,
        feature=feature,
        api_key=api_key,
        user=user,
        delivered=delivered,
        take_available=take_available,
        effective_time=read_instant(at, option="--at") if at else None,
    )
    answer = send(lambda wallets: wallets.Debit, request, address, ca_file)
    show(answer, f"{answer.debit.name} of {answer.debit.amount_units:,} units", json=json)


@app.command()
def revoke(
    name: GrantName,
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
    units: Annotated[int, typer.Option(help="Only so many, and the grant goes on; 0: all of them.")] = 0,
    goes_on: Annotated[bool, typer.Option(help="All of them, but what comes back later stays.")] = False,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Withdraw the unheld rest of a grant."""
    request = wallet_service_pb2.RevokeGrantRequest(
        name=name, idempotency_key=given_or_fresh(key), reason=reason, amount_units=units, goes_on=goes_on
    )
    answer = send(lambda wallets: wallets.RevokeGrant, request, address, ca_file)
    show(answer, f"{answer.revoked_units:,} units revoked", json=json)


@app.command()
def refund(
    name: GrantName,
    units: Annotated[int, typer.Option(help="Unheld units; 0: all of them.")] = 0,
    paid: Annotated[
        bool, typer.Option(help="Paid already; otherwise see `ledger finance settle-refund`.")
    ] = False,
    rate: Annotated[str, typer.Option(help="Exchange rate now, for a sale in a foreign currency.")] = "",
    tax: Annotated[
        str, typer.Option(help="Tax to give back, as 19 USD; the units' part of it if empty.")
    ] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Withdraw unheld units of a paid grant and owe their cost basis and its tax back."""
    request = wallet_service_pb2.RefundGrantRequest(
        name=name,
        idempotency_key=given_or_fresh(key),
        amount_units=units,
        paid=paid,
        exchange_rate=rate,
        tax=read_money(tax, option="--tax") if tax else None,
    )
    answer = send(lambda wallets: wallets.RefundGrant, request, address, ca_file)
    owed = show_money(answer.refund)
    beside = f" and {show_money(answer.tax)} tax" if answer.HasField("tax") else ""
    show(answer, f"{answer.refunded_units:,} units refunded: {owed}{beside}", json=json)


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
        idempotency_key=given_or_fresh(key),
        expire_time=read_instant(expires, option="--expires") if expires else None,
    )
    answer = send(lambda wallets: wallets.ExtendGrant, request, address, ca_file)
    show(answer, f"{name} extended", json=json)
