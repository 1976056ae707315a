"""Traffic models, from messages. They are checked where they are used."""

from __future__ import annotations

from credits.rating.v1 import simulation_traffic_pb2
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.simulating.traffic_model import (
    MILLION,
    Distribution,
    Kind,
    Quantile,
    Segment,
    Trace,
    TrafficModel,
)
from rating_service.domain.exact import parse_exact

_WEEK = (1,) * 7
_HOURS = (1,) * 24


def read_traffic(message: simulation_traffic_pb2.TrafficModel) -> TrafficModel:
    """Return a traffic model. Refuses FIELD_MALFORMED."""
    return TrafficModel(
        message.seed,
        tuple(
            _segment(segment, f"synthetic.segments[{place}]")
            for place, segment in enumerate(message.segments)
        ),
    )


def _segment(message: simulation_traffic_pb2.TrafficSegment, field: str) -> Segment:
    return Segment(
        key=message.key,
        customers=message.customers,
        requests_per_day=message.requests_per_day,
        growth_percent=message.growth_percent or "0",
        quantities=tuple(
            _distribution(each, f"{field}.quantities[{place}]")
            for place, each in enumerate(message.quantities)
        ),
        trace=_trace(message.trace) if message.HasField("trace") else None,
        mix=tuple(Kind(each.weight, dict(each.properties), each.feature) for each in message.mix)
        or (Kind(1),),
        weekday_weights=tuple(message.weekday_weights) or _WEEK,
        hour_weights=tuple(message.hour_weights) or _HOURS,
    )


def _distribution(message: simulation_traffic_pb2.TokenDistribution, field: str) -> Distribution:
    quantiles = [
        Quantile(_millionths(each.percent, f"{field}.quantiles[{place}].percent"), each.quantity)
        for place, each in enumerate(message.quantiles)
    ]
    return Distribution(message.dimension, tuple(quantiles))


def _millionths(text: str, field: str) -> int:
    """Return per cent with at most four decimals as millionths."""
    try:
        millionths = parse_exact(text) * MILLION / 100
    except ValueError:
        millionths = None
    if millionths is None or millionths.denominator != 1 or not 0 <= millionths <= MILLION:
        raise RequestRefused(
            RequestReason.FIELD_MALFORMED,
            f"{field} {text[:40]!r} is not decimal text from 0 to 100 with at most 4 decimals",
            field=field,
        )
    return millionths.numerator


def _trace(message: simulation_traffic_pb2.TrafficTrace) -> Trace:
    return Trace(
        message.context_dimension or "input_tokens",
        message.generated_dimension or "output_tokens",
        tuple(message.context_tokens),
        tuple(message.generated_tokens),
    )
