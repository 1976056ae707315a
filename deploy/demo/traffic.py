"""LLM requests for the demo: made up by a seeded generator, or taken from a trace.

The generator is shaped like real traffic: tokens are log-normal, hours follow a working day and weekends are
quiet, a few customers make most of the requests, part of many contexts comes from the cache. The same seed
gives the same requests. A trace has neither customers nor models: both are assigned by the seed, while times
and tokens stay as they are.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from deploy.demo.customers import (
    ACTIVITY_PERCENT,
    HABITS,
    MODELS,
    TRACE_AGENT,
    TRACE_AGENT_WEIGHT,
    Customer,
)
from deploy.demo.trace import Request

CONTEXT_TOKENS_MAX: Final = 200_000
"""The largest context window of the models."""
OUTPUT_TOKENS_MAX: Final = 16_384
CONTEXT_SPREAD: Final = 0.8
OUTPUT_SPREAD: Final = 0.7
"""Sigma of the log-normal distributions, as in the public traces."""
HOUR_WEIGHTS: Final = (2, 1, 1, 1, 1, 2, 4, 7, 11, 14, 15, 14, 12, 14, 16, 16, 14, 11, 8, 6, 5, 4, 3, 2)
"""How busy each hour of a day is, UTC."""
SATURDAY: Final = 5
MICROSECONDS_OF_HOUR: Final = 3_600_000_000


class Usage(NamedTuple):
    """One request of one customer. The dimensions are disjoint: cached tokens are not in `input_tokens`."""

    id: str
    customer: Customer
    time: datetime
    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int


class Draft(NamedTuple):
    """A usage before it has its place among the others, and so its id."""

    time: datetime
    customer: Customer
    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int


def generate(
    customers: Sequence[Customer], *, start: datetime, end: datetime, count: int, seed: int
) -> list[Usage]:
    """Return `count` usages with times in [start, end), in the order of time."""
    counts = shares(count, [HABITS[each.plan].requests * each.activity_percent for each in customers])
    drafts = [
        draft
        for customer, how_many in zip(customers, counts, strict=True)
        for draft in requests_of(customer, start=start, end=end, count=how_many, seed=seed)
    ]
    return numbered(sorted(drafts, key=lambda draft: (draft.time, draft.customer.key)))


def assign(requests: Sequence[Request], customers: Sequence[Customer], *, seed: int) -> list[Usage]:
    """Return a usage for every request of a trace, in its order."""
    draw = random.Random(f"{seed} trace")  # noqa: S311, made-up traffic is no secret
    chosen = draw.choices(customers, [trace_weight(each) for each in customers], k=len(requests))
    return numbered(
        Draft(
            request.time,
            customer,
            model_for(customer, draw),
            request.context_tokens,
            0,
            request.generated_tokens,
        )
        for request, customer in zip(requests, chosen, strict=True)
    )


def requests_of(customer: Customer, *, start: datetime, end: datetime, count: int, seed: int) -> list[Draft]:
    """Return the requests of one customer, in no particular order."""
    draw = random.Random(f"{seed} {customer.key}")  # noqa: S311, made-up traffic is no secret
    habits = HABITS[customer.plan]
    hours = [start + timedelta(hours=n) for n in range((end - start) // timedelta(hours=1))]
    busy = [hour_weight(hour, weekend_percent=habits.weekend_percent) for hour in hours]
    drafts: list[Draft] = []
    for hour in draw.choices(hours, busy, k=count):
        time = hour + timedelta(microseconds=draw.randrange(MICROSECONDS_OF_HOUR))
        context = tokens(draw, habits.context_median, CONTEXT_SPREAD, CONTEXT_TOKENS_MAX)
        output = tokens(draw, habits.output_median, OUTPUT_SPREAD, OUTPUT_TOKENS_MAX)
        cached = (
            context * habits.cached_percent // 100 if draw.randrange(100) < habits.cached_often_percent else 0
        )
        drafts.append(Draft(time, customer, model_for(customer, draw), context - cached, cached, output))
    return drafts


def hour_weight(hour: datetime, *, weekend_percent: int) -> int:
    """Return how busy an hour is."""
    return HOUR_WEIGHTS[hour.hour] * (weekend_percent if hour.weekday() >= SATURDAY else 100)


def tokens(draw: random.Random, median: int, spread: float, most: int) -> int:
    """Return a log-normal number of tokens, 1 to `most`."""
    return min(most, max(1, round(draw.lognormvariate(math.log(median), spread))))


def model_for(customer: Customer, draw: random.Random) -> str:
    """Return a model that the customer would use."""
    return draw.choices(MODELS, HABITS[customer.plan].model_weights)[0]


def trace_weight(customer: Customer) -> int:
    """Return how many of a trace's rows are the customer's, relative to the others."""
    weight = HABITS[customer.plan].trace_weight * customer.activity_percent
    return weight + (TRACE_AGENT_WEIGHT * sum(ACTIVITY_PERCENT) if customer.key == TRACE_AGENT else 0)


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole shares in proportion to the weights that add up to the total (largest remainder)."""
    whole = sum(weights)
    floors = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda at: (-(total * weights[at] % whole), at))
    lucky = set(by_remainder[: total - sum(floors)])
    return [floor + (at in lucky) for at, floor in enumerate(floors)]


def numbered(drafts: Iterable[Draft]) -> list[Usage]:
    """Return the drafts as usages whose ids tell their place."""
    return [
        Usage(
            f"req-{place:07d}",
            each.customer,
            each.time,
            each.model,
            each.input_tokens,
            each.cached_tokens,
            each.output_tokens,
        )
        for place, each in enumerate(drafts, start=1)
    ]
