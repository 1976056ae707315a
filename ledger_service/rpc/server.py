"""The gRPC server: services, health, reflection and transport security."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc
import msgspec
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ledger_service.rpc.calls import wrap_streaming, wrap_unary

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest message: 5,000 debits with charges take about 4 MB."""
OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.so_reuseport", 0),
)


class ListenError(Exception):
    """The server cannot listen where it was told to."""


class Service(msgspec.Struct, frozen=True):
    """A servicer and what registers it."""

    descriptor: ServiceDescriptor
    servicer: Any
    register: Any


class Security(msgspec.Struct, frozen=True):
    """Files in PEM form; all empty means plain text."""

    certificate_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""


class Health:
    """What the standard health service says of this server; NOT_SERVING until told otherwise."""

    def __init__(self) -> None:
        """Begin not serving."""
        self.servicer = health.aio.HealthServicer()
        self._names: list[str] = [""]

    async def begin(self, names: Sequence[str]) -> None:
        """Answer for these services too."""
        self._names += names
        await self.set(serving=False)

    async def set(self, *, serving: bool) -> None:
        """Say whether requests would succeed."""
        status = (
            health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in self._names:
            await self.servicer.set(name, status)


def build_server(services: Sequence[Service], check: Health) -> grpc.aio.Server:
    """Return a server with all services, health and reflection; their methods are wrapped by calls.py."""
    server = grpc.aio.server(options=OPTIONS)
    names = []
    for service in services:
        _wrap(service)
        service.register(service.servicer, server)
        names.append(service.descriptor.full_name)
    health_pb2_grpc.add_HealthServicer_to_server(check.servicer, server)
    reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return server


def listen(server: grpc.aio.Server, address: str, security: Security) -> int:
    """Bind the address and return the port. Raises ListenError."""
    try:
        if security.certificate_file:
            port = server.add_secure_port(address, _credentials(security))
        else:
            port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise ListenError(
            f"cannot listen on {address}: the port is in use or the host is not here"
        ) from error
    if port == 0:
        raise ListenError(f"cannot listen on {address}: the port is in use or the host is not here")
    return port


def _credentials(security: Security) -> grpc.ServerCredentials:
    authority = Path(security.client_ca_file).read_bytes() if security.client_ca_file else None
    pair = (Path(security.key_file).read_bytes(), Path(security.certificate_file).read_bytes())
    return grpc.ssl_server_credentials(
        [pair], root_certificates=authority, require_client_auth=authority is not None
    )


def _wrap(service: Service) -> None:
    for method in service.descriptor.methods:
        handler = getattr(service.servicer, method.name)
        wrap = wrap_streaming if method.server_streaming else wrap_unary
        setattr(service.servicer, method.name, wrap(f"{service.descriptor.name}/{method.name}", handler))
