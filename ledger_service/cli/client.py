"""How the command line talks to a server: one channel, errors as one line, JSON or tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import grpc
import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from rich.console import Console
from rich.table import Table

ADDRESS_DEFAULT: Final = "127.0.0.1:7401"
CALL_SECONDS_MAX: Final = 30.0
MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024

Address = Annotated[str, typer.Option(envvar="LEDGER_ADDRESS", help="Address of the ledger.")]
CaFile = Annotated[
    str,
    typer.Option(envvar="LEDGER_CA_FILE", help="Authority of the server's certificate."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

PIPE_WIDTH: Final = 140
"""Columns of a table that goes into a file or a pipe."""

console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def folded(table: Table) -> Table:
    """Return a table in which what is too long for the screen is folded: names and figures are never cut."""
    for column in table.columns:
        column.overflow = "fold"
    return table


def fail(message: str) -> NoReturn:
    """End with one line on standard error and exit code 2."""
    print(f"ledger: {message}", file=sys.stderr)
    raise typer.Exit(2)


@contextmanager
def connect(address: str, ca_file: str) -> Iterator[grpc.Channel]:
    """Yield a channel; an error of a call inside ends the command with one line that names reason and field."""
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
    if ca_file:
        channel = grpc.secure_channel(address, _credentials(ca_file), options)
    else:
        channel = grpc.insecure_channel(address, options)
    try:
        with channel:
            yield channel
    except grpc.RpcError as error:
        fail(_describe(error, address))


def _credentials(ca_file: str) -> grpc.ChannelCredentials:
    try:
        return grpc.ssl_channel_credentials(Path(ca_file).read_bytes())
    except OSError as error:
        fail(f"--ca-file: {ca_file}: {error.strerror}")


def _describe(error: Any, address: str) -> str:
    # The error of a call is both an RpcError and a Call, which the library's types cannot say.
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return f"{error.details()} ({info.reason})"
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return f"no ledger answers at {address}"
    return f"{error.code().name}: {error.details()}"


def print_json(message: Message) -> None:
    """Print a message as JSON, with the fields' names as in the protos."""
    print(MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))


def read_instant(text: str, *, option: str) -> Timestamp:
    """Return the instant that an option names; without a zone it is UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option}: {text!r} is not a time such as 2026-03-01 or 2026-03-01T12:00:00Z")
    timestamp = Timestamp()
    timestamp.FromDatetime(instant if instant.tzinfo else instant.replace(tzinfo=UTC))
    return timestamp


def show_instant(timestamp: Timestamp) -> str:
    """Return an instant for people, in UTC."""
    text = timestamp.ToDatetime(tzinfo=UTC).isoformat(sep=" ", timespec="seconds")
    return text.removesuffix("+00:00").removesuffix(" 00:00:00")


def show_units(units: int, scale: int) -> str:
    """Return units as whole assets, exact: thousands set apart, at least two decimals, no idle zeros beyond."""
    whole, _, decimals = f"{Decimal(units).scaleb(-scale):,f}".partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole}.{decimals.ljust(min(scale, 2), '0')}" if scale else whole
