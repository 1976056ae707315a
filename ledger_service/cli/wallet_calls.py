"""One call that changes a wallet: its key, its channel, and its answer for people or machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar
from uuid import uuid4

import grpc
import typer
from google.protobuf.message import Message

from credits.ledger.v1 import wallet_service_pb2_grpc
from ledger_service.cli.client import CALL_SECONDS_MAX, connect, console, print_json

Units = Annotated[int, typer.Argument(help="Smallest units of the asset.")]
Effective = Annotated[str, typer.Option(help="First instant at which it may be used; now if empty.")]
Key = Annotated[str, typer.Option(help="Idempotency key; a fresh one if empty.")]

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)


def given_or_fresh(key: str) -> str:
    """Return the idempotency key of a call."""
    return key or uuid4().hex


def send(
    method: Callable[[wallet_service_pb2_grpc.WalletServiceStub], grpc.UnaryUnaryMultiCallable[Q, R]],
    request: Q,
    address: str,
    ca_file: str,
) -> R:
    """Send one request and return its answer; a refusal ends the command."""
    with connect(address, ca_file) as channel:
        call = method(wallet_service_pb2_grpc.WalletServiceStub(channel))
        return call(request, timeout=CALL_SECONDS_MAX)


def show(answer: Message, sentence: str, *, json: bool) -> None:
    """Print an answer as JSON, or the sentence that says it."""
    if json:
        print_json(answer)
    else:
        console.print(sentence)
