"""Reports on a real ledger, across a kill of the rating service while sums are folded."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc

from credits.ledger.v1 import wallet_pb2
from credits.rating.v1 import rating_service_pb2, rating_service_pb2_grpc, usage_report_service_pb2_grpc
from credits.rating.v1 import usage_report_service_pb2 as pb
from tests.integration.rating.real_services import CONTRACT, World, world
from tests.postgres import PostgresServer

ROUNDS = 2
USAGES = 40


async def test_nothing_is_counted_twice_or_lost_when_rating_is_killed(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    mode = wallet_pb2.SHORTFALL_MODE_SOFT
    async with world(postgres_server, tmp_path, credit_units=1_000, mode=mode) as played:
        await record(played, 0)
        # Of the first usages some may be folded when the kill comes, and others not even followed.
        played.rating.kill()
        await played.rating.start()
        position = await record(played, 1)
        async with grpc.aio.insecure_channel(played.rating.address) as channel:
            stub = usage_report_service_pb2_grpc.UsageReportServiceStub(channel)
            used = await stub.GetUsage(asked(played, position))
            credit = await stub.GetRemainingCredit(pb.GetRemainingCreditRequest(name=CONTRACT))
            forecast = await stub.GetForecast(pb.GetForecastRequest(name=CONTRACT, min_position=position))
            check = await stub.CheckUsage(pb.CheckUsageRequest())

    count = ROUNDS * USAGES
    assert [(row.api_key, row.sums.amount_units) for row in used.rows] == [
        (f"key-{key}", count // 2 * 20) for key in range(2)
    ]
    assert (used.total.requests, used.total.overage_units) == (count, count * 20 - 1_000)
    assert (credit.available_units, credit.overage_units) == (0, used.total.overage_units)
    assert forecast.used_units == used.total.amount_units
    assert check.difference_count == 0


async def record(played: World, number: int) -> int:
    """Record usages of 20 units each by two API keys and return the last position."""
    usages = [played.usage(f"u-{number}-{each}", 10) for each in range(USAGES)]
    for place, usage in enumerate(usages):
        usage.api_key = f"key-{place % 2}"
    async with grpc.aio.insecure_channel(played.rating.address) as channel:
        stub: Any = rating_service_pb2_grpc.RatingServiceStub(channel)
        answer = await stub.BatchRecordUsage(rating_service_pb2.BatchRecordUsageRequest(usages=usages))
    return max(int(result.response.position) for result in answer.results)


def asked(played: World, position: int) -> pb.GetUsageRequest:
    """Return the request for the days around the test's, by API key."""
    day = played.time.date()
    return pb.GetUsageRequest(
        name=CONTRACT,
        from_day=(day - timedelta(days=1)).isoformat(),
        to_day=(day + timedelta(days=2)).isoformat(),
        group_by=[pb.USAGE_GROUP_API_KEY],
        min_position=position,
    )
