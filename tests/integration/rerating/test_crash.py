"""Rating is killed while it puts a cycle right: what it had posted stays, and the next start brings the rest."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import grpc

from credits.ledger.v1 import agreement_pb2, history_service_pb2, rate_card_service_pb2, wallet_pb2
from credits.rating.v1 import (
    rating_service_pb2,
    rating_service_pb2_grpc,
    rerating_service_pb2,
    rerating_service_pb2_grpc,
)
from tests.integration.ledger.client import key, timestamp
from tests.integration.rating.real_services import World, world
from tests.postgres import PostgresServer

USAGES = 1_200
"""Of which every second gives a unit back: more than one adjustment takes."""


async def adjustments(services: World) -> int:
    """Return how many adjustments the ledger has recorded."""
    found = 0
    request = history_service_pb2.FollowEventsRequest(topics=["wallet.CreditsDebited.v1"])
    async for page in services.ledger.history.FollowEvents(request, timeout=30):
        found += sum(b'"adjustment"' in event.state for event in page.events)
        if page.position >= page.head_position:
            break
    return found


async def test_an_acceptance_that_was_cut_off_is_finished_by_the_next_start(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    async with world(
        postgres_server, tmp_path, credit_units=10_000, mode=wallet_pb2.SHORTFALL_MODE_SOFT
    ) as services:
        await _use(services)
        phase = await _proposed(services)
        async with grpc.aio.insecure_channel(services.rating.address) as channel:
            stub = rerating_service_pb2_grpc.ReratingServiceStub(channel)
            accepting = stub.AcceptRerating(rerating_service_pb2.AcceptReratingRequest(name=phase))
            async for answer in accepting:
                if answer.HasField("adjustment"):
                    break
            services.rating.kill()
        half_done = (await services.balance()).posted_units

        await services.rating.start()
        async with asyncio.timeout(30):
            while (await services.balance()).posted_units < 10_000 - USAGES * 3 // 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

        assert half_done in (10_000 - 2 * USAGES + 500, 10_000 - USAGES * 3 // 2)
        assert await _accepted(services, phase) == 0
        assert (await services.balance()).posted_units == 10_000 - USAGES * 3 // 2
        assert await adjustments(services) == 2


async def _use(services: World) -> None:
    async with grpc.aio.insecure_channel(services.rating.address) as channel:
        usages = [services.usage(f"u-{number}", 1) for number in range(USAGES)]
        answer = await rating_service_pb2_grpc.RatingServiceStub(channel).BatchRecordUsage(
            rating_service_pb2.BatchRecordUsageRequest(usages=usages)
        )
    assert all(result.HasField("response") for result in answer.results)


async def _proposed(services: World) -> str:
    rate = agreement_pb2.Rate(
        dimension="output_tokens", unit_size=1_000_000, unit=agreement_pb2.UnitModel(unit_price="1.5")
    )
    from_time = timestamp(services.time - timedelta(hours=1))
    answer = await services.ledger.rate_cards.PublishRateCardPhase(
        rate_card_service_pb2.PublishRateCardPhaseRequest(
            name="rateCards/llm",
            idempotency_key=key(),
            phase=agreement_pb2.RateCardPhase(from_time=from_time, rates=[rate]),
            retroactive=True,
        )
    )
    assert answer.proposed
    return str(answer.phase.name)


async def _accepted(services: World, phase: str) -> int:
    """Accept once more and return how many adjustments that posted."""
    async with grpc.aio.insecure_channel(services.rating.address) as channel:
        stub = rerating_service_pb2_grpc.ReratingServiceStub(channel)
        request = rerating_service_pb2.AcceptReratingRequest(name=phase)
        return sum([answer.HasField("adjustment") async for answer in stub.AcceptRerating(request)])
