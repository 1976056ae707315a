"""Reports on usage over real channels and a real PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest

from credits.rating.v1 import rating_service_pb2
from credits.rating.v1 import usage_report_service_pb2 as pb
from tests.integration.rating.harness import CONTRACT, DAY, START, WALLET, Service, refused, usage

FROM, TO = "2026-01-01", "2026-02-01"


async def record(service: Service, usage_id: str, **changes: Any) -> int:
    """Record a usage of 1,000 input tokens at 3 units each and return its position."""
    names = {name: changes.pop(name) for name in ("feature", "api_key", "user", "model") if name in changes}
    message = usage(usage_id, **changes)
    message.properties["model"] = names.pop("model", "m")
    for name, value in names.items():
        setattr(message, name, value)
    answer = await service.rating.RecordUsage(rating_service_pb2.RecordUsageRequest(usage=message))
    return int(answer.position)


async def report(service: Service, *groups: pb.UsageGroup.ValueType, **changes: Any) -> pb.GetUsageResponse:
    """Return the usage of January."""
    request: dict[str, Any] = {"name": CONTRACT, "from_day": FROM, "to_day": TO, "group_by": groups, **changes}
    return await service.reports.GetUsage(pb.GetUsageRequest(**request))


async def test_usage_is_summed_by_day_and_model(service: Service) -> None:
    await record(service, "u-1", model="a")
    await record(service, "u-2", model="b")
    last = await record(service, "u-3", model="a", at=START + 2 * DAY)
    answer = await report(service, pb.USAGE_GROUP_DAY, pb.USAGE_GROUP_MODEL, min_position=last)

    assert [(row.day, row.model, row.sums.requests, row.sums.amount_units) for row in answer.rows] == [
        ("2026-01-02", "a", 1, 3_000),
        ("2026-01-02", "b", 1, 3_000),
        ("2026-01-03", "a", 1, 3_000),
    ]
    assert (answer.total.requests, answer.total.amount_units, answer.total.overage_units) == (3, 9_000, 9_000)
    assert answer.total.exact_units == "9000"
    assert answer.position >= last
    assert answer.asset.code == "CREDIT"
