"""The command that follows a wallet's balance."""

from __future__ import annotations

from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson

from credits.ledger.v1 import wallet_alerts_pb2, wallet_service_pb2, wallet_service_pb2_grpc
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    Address,
    AsJson,
    CaFile,
    connect,
    console,
    show_instant,
    show_units,
)

app = typer.Typer()


@app.command()
def watch(
    name: Annotated[str, typer.Argument(help="wallets/{wallet}")],
    after_version: Annotated[int, typer.Option(help="Version known already; alerts after it are shown.")] = 0,
    feature: Annotated[str, typer.Option(help="Only lots that a debit for this feature may draw.")] = "",
    messages: Annotated[int, typer.Option(help="End after so many states; 0: never.", min=0)] = 0,
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Follow a wallet's balance and alerts until Ctrl-C; with --json, one line a state."""
    request = wallet_service_pb2.WatchBalanceRequest(name=name, after_version=after_version, feature=feature)
    with connect(address, ca_file) as channel:
        states = wallet_service_pb2_grpc.WalletServiceStub(channel).WatchBalance(request)
        for count, state in enumerate(states, start=1):
            if json:
                print(_json_line(state), flush=True)
            else:
                for alert in state.alerts:
                    console.print(_alert_line(alert, state.balance.asset.scale))
                console.print(_line(state))
            if count == messages:
                break


def _json_line(state: wallet_service_pb2.WatchBalanceResponse) -> str:
    return MessageToJson(
        state, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None
    )


def _line(state: wallet_service_pb2.WatchBalanceResponse) -> str:
    balance = state.balance
    scale, code = balance.asset.scale, balance.asset.code
    available = show_units(balance.available_units, scale)
    held = show_units(balance.held_units, scale)
    instant = show_instant(balance.as_of_time)
    return f"{instant}  version {state.version}: {available} {code} available, {held} held"


def _alert_line(alert: wallet_alerts_pb2.Alert, scale: int) -> str:
    kind = wallet_alerts_pb2.AlertKind.Name(alert.kind).removeprefix("ALERT_KIND_")
    direction = wallet_alerts_pb2.CrossingDirection.Name(alert.direction)
    way = direction.removeprefix("CROSSING_DIRECTION_").lower()
    threshold = f"{alert.threshold} %"
    if alert.kind != wallet_alerts_pb2.ALERT_KIND_ENTITLEMENT:
        threshold = show_units(alert.threshold, scale)
    available = show_units(alert.available_units, scale)
    instant = show_instant(alert.effective_time)
    return f"{instant}  version {alert.version}: alert {kind} {way} at {threshold}, {available} available"
