"""SimulationService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from credits.rating.v1 import simulation_service_pb2, simulation_service_pb2_grpc
from rating_service.application.simulating.simulate import Simulating
from rating_service.rpc.simulation_messages import read_request, told_message


class SimulationServicer(simulation_service_pb2_grpc.SimulationServiceServicer):
    """Hands requests to the application and what comes of them back."""

    def __init__(self, simulating: Simulating) -> None:
        """Serve an application."""
        self._simulating = simulating

    async def SimulateRateCard(
        self, request: simulation_service_pb2.SimulateRateCardRequest, context: Any = None
    ) -> AsyncIterator[simulation_service_pb2.SimulateRateCardResponse]:
        """Price usage under candidates and tell what changes."""
        # Closed here and at once: a caller that cancels must not leave a process running.
        async with aclosing(self._simulating.simulate(read_request(request))) as simulation:
            async for told in simulation:
                yield told_message(told)
