"""`rating serve` and `rating health`."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Final

import typer
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rating_service.cli.connection import open_service, print_json, printed_json
from rating_service.settings import read_settings

HEALTH_SECONDS_MAX: Final = 5.0


def serve() -> None:
    """Serve until SIGTERM or Ctrl-C. Settings come from RATING_* variables."""
    # Imported here because it takes half a second, which no other command needs.
    from rating_service import bootstrap

    try:
        uvloop.run(bootstrap.serve(read_settings(os.environ)))
    except bootstrap.CannotRunError as failure:
        print(f"rating: {failure}", file=sys.stderr)
        raise typer.Exit(1) from None


def health(as_json: Annotated[bool, printed_json()] = False) -> None:
    """Say whether the service is serving; exit code 0 only if it is."""
    with open_service() as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS_MAX)
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    if as_json:
        print_json({"status": status})
    else:
        print(status)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise typer.Exit(1)
