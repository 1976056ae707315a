"""What is wrong with a traffic model: each refusal names the field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.simulating.traffic_model import (
    MILLION,
    Distribution,
    Segment,
    Trace,
    TrafficModel,
    expected_requests,
)
from rating_service.domain.exact import parse_exact

SEGMENTS_MAX: Final = 100
CUSTOMERS_MAX: Final = 100_000
KINDS_MAX: Final = 100
QUANTILES_MAX: Final = 100
DIMENSIONS_MAX: Final = 32
TRACE_ROWS_MAX: Final = 200_000
QUANTITY_MAX: Final = 10**12
WEIGHT_MAX: Final = 1_000_000
REQUESTS_MAX: Final = 100_000_000
"""Requests of one simulation: about half an hour of one core."""
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}", re.ASCII)
_WEEK: Final = 7
_HOURS: Final = 24


def check_traffic(model: TrafficModel, from_time: datetime, to_time: datetime) -> None:
    """Refuse a model that says nothing, contradicts itself, or is too large."""
    _count("synthetic.segments", len(model.segments), 1, SEGMENTS_MAX)
    keys: set[str] = set()
    for place, segment in enumerate(model.segments):
        field = f"synthetic.segments[{place}]"
        if _KEY.fullmatch(segment.key) is None or segment.key in keys:
            raise _malformed(
                f"{field}.key", f"{segment.key[:60]!r} must be 1 to 40 letters, digits and hyphens, once"
            )
        keys.add(segment.key)
        _check_segment(segment, field)
    expected = expected_requests(model, from_time, to_time)
    if expected > REQUESTS_MAX:
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE,
            f"synthetic would make about {expected:,} requests, more than {REQUESTS_MAX:,}",
            field="synthetic",
        )


def _check_segment(segment: Segment, field: str) -> None:
    _count(f"{field}.customers", segment.customers, 1, CUSTOMERS_MAX)
    _number(f"{field}.requests_per_day", segment.requests_per_day, above=0)
    _number(f"{field}.growth_percent", segment.growth_percent, above=-100)
    dimensions = [each.dimension for each in segment.quantities]
    if segment.trace is not None:
        _check_trace(segment.trace, f"{field}.trace")
        dimensions += [segment.trace.context_dimension, segment.trace.generated_dimension]
    _count(f"{field}.quantities", len(dimensions), 1, DIMENSIONS_MAX)
    if len(set(dimensions)) < len(dimensions) or "" in dimensions:
        raise _malformed(f"{field}.quantities", "each dimension must be named, once")
    for place, distribution in enumerate(segment.quantities):
        _check_quantiles(distribution, f"{field}.quantities[{place}].quantiles")
    _count(f"{field}.mix", len(segment.mix), 1, KINDS_MAX)
    for place, kind in enumerate(segment.mix):
        _count(f"{field}.mix[{place}].weight", kind.weight, 1, WEIGHT_MAX)
    _check_weights(segment.weekday_weights, _WEEK, f"{field}.weekday_weights")
    _check_weights(segment.hour_weights, _HOURS, f"{field}.hour_weights")


def _check_trace(trace: Trace, field: str) -> None:
    _count(f"{field}.context_tokens", len(trace.context_tokens), 1, TRACE_ROWS_MAX)
    if len(trace.generated_tokens) != len(trace.context_tokens):
        raise _malformed(f"{field}.generated_tokens", "must have as many entries as context_tokens")
    for name, column in (("context", trace.context_tokens), ("generated", trace.generated_tokens)):
        if min(column) < 0 or max(column) > QUANTITY_MAX:
            raise _malformed(f"{field}.{name}_tokens", f"holds what is outside 0 to {QUANTITY_MAX}")


def _check_quantiles(distribution: Distribution, field: str) -> None:
    quantiles = distribution.quantiles
    _count(field, len(quantiles), 2, QUANTILES_MAX)
    if quantiles[0].millionths or quantiles[-1].millionths != MILLION:
        raise _malformed(field, "must begin at 0 per cent and end at 100")
    for place, (low, high) in enumerate(pairwise(quantiles), start=1):
        if low.millionths >= high.millionths or low.quantity > high.quantity:
            raise _malformed(f"{field}[{place}]", "must ascend: a higher per cent, and no lower quantity")
    if quantiles[0].quantity < 0 or quantiles[-1].quantity > QUANTITY_MAX:
        raise _malformed(field, f"holds a quantity outside 0 to {QUANTITY_MAX}")


def _check_weights(weights: Sequence[int], count: int, field: str) -> None:
    if len(weights) != count or min(weights) < 0 or not 0 < max(weights) <= WEIGHT_MAX:
        raise _malformed(field, f"needs {count} weights from 0 to {WEIGHT_MAX}, one of them above 0")


def _number(field: str, text: str, *, above: int) -> None:
    try:
        if above < parse_exact(text) <= MILLION:
            return
    except ValueError:
        pass
    raise _malformed(field, f"{text[:40]!r} is not decimal text above {above} and up to {MILLION}")


def _count(field: str, count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE, f"{field}: {count} is outside {least} to {most}", field=field
        )


def _malformed(field: str, text: str) -> RequestRefused:
    return RequestRefused(RequestReason.FIELD_MALFORMED, f"{field}: {text}", field=field)
