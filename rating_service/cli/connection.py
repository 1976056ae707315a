"""How commands reach the services, and what all of them print alike."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import grpc
import typer
from google.protobuf.json_format import MessageToDict, MessageToJson
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from rating_service.settings import Address, parse_address, parse_file, read

CALL_SECONDS_MAX: Final = 30.0
MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Largest answer: a rate card with many long phases is some megabytes; the servers allow less."""


@contextmanager
def open_service() -> Iterator[grpc.Channel]:
    """Lend a channel to the rating service at RATING_ADDRESS, by TLS if RATING_CA_FILE names an authority."""
    address = read(os.environ, "RATING_ADDRESS", parse_address, Address("127.0.0.1", 7402))
    with _channel(address, "RATING_CA_FILE") as channel:
        yield channel


@contextmanager
def open_ledger() -> Iterator[grpc.Channel]:
    """Lend a channel to the ledger at RATING_LEDGER_ADDRESS, by TLS if RATING_LEDGER_CA_FILE is set."""
    address = read(os.environ, "RATING_LEDGER_ADDRESS", parse_address, Address("127.0.0.1", 7401))
    with _channel(address, "RATING_LEDGER_CA_FILE") as channel:
        yield channel


@contextmanager
def _channel(address: Address, ca_variable: str) -> Iterator[grpc.Channel]:
    ca_file = read(os.environ, ca_variable, parse_file, None)
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
    if ca_file is None:
        opened = grpc.insecure_channel(str(address), options)
    else:
        authority = grpc.ssl_channel_credentials(ca_file.read_bytes())
        opened = grpc.secure_channel(str(address), authority, options)
    with opened as channel:
        yield channel


def printed_json() -> Any:
    """Return the option by which a command prints JSON."""
    return typer.Option("--json", help="Print JSON.")


def print_message(message: Message) -> None:
    """Print a message as JSON, unset fields included."""
    print(MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))


def print_message_with(message: Message, **fields: object) -> None:
    """Print a message as JSON, unset fields included, with more fields beside its own."""
    tree = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    print(json.dumps({**tree, **fields}, indent=2))


def print_json(value: object) -> None:
    """Print a value as JSON."""
    print(json.dumps(value))


def refusal_line(failure: grpc.RpcError) -> str:
    """Return one line about a failed call: code, reason and text."""
    call = cast(grpc.Call, failure)  # which it is; the stubs know only its base
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(call)
    found = status is not None and any(detail.Unpack(info) for detail in status.details)
    reason = f" {info.reason}" if found else ""
    return f"{call.code().name}{reason}: {call.details()}"
