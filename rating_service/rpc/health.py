"""Health: SERVING only while the database and the ledger answer and the catalogue is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from grpc_health.v1 import health, health_pb2

from rating_service.rpc.calls import METHODS
from rating_service.rpc.metrics import SERVING

PROBE_SECONDS: Final = 0.5
"""Between two looks: short enough that a load balancer notices before its callers do."""

log = structlog.get_logger("rating.health")


class HealthReporter:
    """Sets the health servicer from probes."""

    def __init__(
        self, servicer: health.aio.HealthServicer, *, is_ready: Callable[[], Awaitable[bool]]
    ) -> None:
        """Report through a servicer what a probe finds."""
        self._servicer = servicer
        self._is_ready = is_ready
        self._serving: bool | None = None

    async def run(self) -> None:
        """Probe and report for ever."""
        while True:
            await self.report(await self._is_ready())
            await asyncio.sleep(PROBE_SECONDS)

    async def report(self, serving: bool) -> None:
        """Report a state if it is news."""
        if serving is self._serving:
            return
        self._serving = serving
        SERVING.set(int(serving))
        status = (
            health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for service in ("", *METHODS):
            await self._servicer.set(service, status)
        log.info("health_changed", serving=serving)
