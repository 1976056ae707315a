"""The gRPC server: services, health and reflection, on TLS or plain text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from credits.rating.v1 import (
    invoice_service_pb2_grpc,
    rating_service_pb2_grpc,
    rerating_service_pb2_grpc,
    simulation_service_pb2_grpc,
    usage_report_service_pb2_grpc,
)
from rating_service.rpc.calls import METHODS, STREAMS, wrap, wrap_stream
from rating_service.rpc.invoice_servicer import InvoiceServicer
from rating_service.rpc.rating_servicer import RatingServicer
from rating_service.rpc.report_servicer import ReportServicer
from rating_service.rpc.rerating_servicer import ReratingServicer
from rating_service.rpc.simulation_servicer import SimulationServicer

MESSAGE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Largest request: 5,000 usages with long properties."""
OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # Off, or a second instance would share the port in silence instead of failing to start.
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class ListenError(Exception):
    """The address cannot be listened on; the text says which and why."""


class Certificates(NamedTuple):
    """Files of the server's certificate and, if callers must show one, of the authority they need."""

    certificate_file: Path
    key_file: Path
    client_ca_file: Path | None


class BoundServer(NamedTuple):
    """A server that is bound but not yet started, its health servicer, and its port."""

    server: grpc.aio.Server
    health: health.aio.HealthServicer
    port: int


def build_server(
    *,
    rating: RatingServicer,
    invoices: InvoiceServicer,
    reratings: ReratingServicer,
    reports: ReportServicer,
    simulations: SimulationServicer,
    is_open: Callable[[], bool],
    address: str,
    certificates: Certificates | None,
) -> BoundServer:
    """Return a server bound to an address; its methods answer while `is_open`. Raises ListenError."""
    server = grpc.aio.server(options=OPTIONS)
    servicers = (rating, invoices, reratings, reports, simulations)
    for servicer, methods in zip(servicers, METHODS.values(), strict=True):
        for name in methods:
            wrapped = wrap_stream if name in STREAMS else wrap
            setattr(servicer, name, wrapped(getattr(servicer, name), name, is_open=is_open))
    rating_service_pb2_grpc.add_RatingServiceServicer_to_server(rating, server)
    invoice_service_pb2_grpc.add_InvoiceServiceServicer_to_server(invoices, server)
    rerating_service_pb2_grpc.add_ReratingServiceServicer_to_server(reratings, server)
    usage_report_service_pb2_grpc.add_UsageReportServiceServicer_to_server(reports, server)
    simulation_service_pb2_grpc.add_SimulationServiceServicer_to_server(simulations, server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection((*METHODS, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return BoundServer(server, health_servicer, _bind(server, address, certificates))


def _bind(server: grpc.aio.Server, address: str, certificates: Certificates | None) -> int:
    try:
        if certificates is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, _credentials(certificates))
    except (RuntimeError, OSError) as cause:
        blame = "is the port in use?" if certificates is None else "is the port in use, or a TLS file wrong?"
        raise ListenError(f"{address}: cannot listen; {blame}") from cause


def _credentials(certificates: Certificates) -> Any:
    client_ca = certificates.client_ca_file
    return grpc.ssl_server_credentials(
        [(certificates.key_file.read_bytes(), certificates.certificate_file.read_bytes())],
        root_certificates=client_ca.read_bytes() if client_ca else None,
        require_client_auth=client_ca is not None,
    )
