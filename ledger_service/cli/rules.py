"""Commands that change a wallet's rules and close it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask

from credits.ledger.v1 import (
    wallet_closing_pb2,
    wallet_pb2,
    wallet_rules_pb2,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
)
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
)
from ledger_service.cli.rules_file import read_rules_file
from ledger_service.cli.wallet_calls import given_or_fresh

app = typer.Typer()
Name = Annotated[str, typer.Argument(help="wallets/{wallet}")]
Key = Annotated[str, typer.Option(help="Idempotency key; a fresh one if empty.")]
Rules = Annotated[Path | None, typer.Option(help="YAML or JSON file with the rules.")]


@app.command()
def update(
    name: Name,
    rules: Rules = None,
    shortfall: Annotated[str, typer.Option(help="HARD, SOFT or ADVANCE; unchanged if empty.")] = "",
    overage_limit: Annotated[
        int | None, typer.Option(help="Most overage and debt in units, 0: no limit; unchanged if absent.")
    ] = None,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Change a wallet's policy and rules: what is given, and nothing else."""
    wallet = wallet_pb2.Wallet(name=name)
    paths: list[str] = []
    if rules is not None:
        read = read_rules_file(rules)
        wallet.rules.CopyFrom(read.rules)
        paths += read.paths
    if shortfall:
        wallet.shortfall_mode = read_shortfall(shortfall)
        paths.append("shortfall_mode")
    if overage_limit is not None:
        wallet.overage_limit_units = overage_limit
        paths.append("overage_limit_units")
    if not paths:
        fail("give --rules, --shortfall or --overage-limit")
    request = wallet_service_pb2.UpdateWalletRequest(
        wallet=wallet, update_mask=FieldMask(paths=paths), idempotency_key=given_or_fresh(key)
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.UpdateWallet(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{name} updated: {', '.join(sorted(paths))}")


@app.command()
def close(
    name: Name,
    forfeit: Annotated[bool, typer.Option(help="Revoke what the wallet still holds.")] = False,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Close a wallet for ever."""
    request = wallet_closing_pb2.CloseWalletRequest(
        name=name, forfeit=forfeit, idempotency_key=given_or_fresh(key)
    )
    with connect(address, ca_file) as channel:
        stub = wallet_service_pb2_grpc.WalletServiceStub(channel)
        response = stub.CloseWallet(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(response)
    else:
        console.print(f"{name} closed, {response.forfeited_units:,} units forfeited")


def read_rules(path: Path | None) -> wallet_rules_pb2.WalletRules | None:
    """Return the rules for a new wallet; without a file the service's own."""
    return None if path is None else read_rules_file(path).rules


def read_shortfall(text: str) -> wallet_pb2.ShortfallMode.ValueType:
    """Return the mode that --shortfall names."""
    if f"SHORTFALL_MODE_{text}" not in wallet_pb2.ShortfallMode.keys():  # noqa: SIM118
        fail(f"--shortfall {text!r} is none of HARD, SOFT, ADVANCE")
    return wallet_pb2.ShortfallMode.Value(f"SHORTFALL_MODE_{text}")
