"""Synthetic traffic: what a seeded model says that customers ask for.

The same model and span give the same usage, always: each customer draws from a generator of its own, seeded by the
model's seed and the customer's name, and every draw is of whole numbers. Requests of a day are the expected number
with what was left over of the days before, so that their sum follows the growth exactly; when in the day they come,
what kind they are and how large, is drawn.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import accumulate
from random import Random
from typing import Final

from rating_service.domain.agreements.agreement import (
    Asset,
    Contract,
    ContractPhase,
    Cycle,
    CycleInterval,
    PlanPhase,
    Record,
    ShortfallMode,
)
from rating_service.domain.exact import parse_exact
from rating_service.domain.usage import Usage

GROWTH_DAYS: Final = 30
"""Growth compounds every so many days, all of a period alike."""
MILLION: Final = 1_000_000
_DAY: Final = timedelta(days=1)
_NO_TERMS: Final = PlanPhase("synthetic", "", ShortfallMode.SOFT)
_HOUR_SECONDS: Final = 3600
_HOURS: Final = 24
_WEEK: Final = 7


class Quantile(Record, frozen=True):
    """Below `quantity` lie so many millionths of the requests."""

    millionths: int
    quantity: int


class Distribution(Record, frozen=True):
    """How a dimension's quantity is spread; quantiles ascend from 0 to a million millionths."""

    dimension: str
    quantiles: tuple[Quantile, ...]


class Trace(Record, frozen=True):
    """Requests as two columns of one length."""

    context_dimension: str
    generated_dimension: str
    context_tokens: tuple[int, ...]
    generated_tokens: tuple[int, ...]


class Kind(Record, frozen=True):
    """One kind of request and its weight."""

    weight: int
    properties: dict[str, str] = {}
    feature: str = ""


class Segment(Record, frozen=True):
    """Customers that behave alike; see simulation_traffic.proto."""

    key: str
    customers: int
    requests_per_day: str
    growth_percent: str = "0"
    quantities: tuple[Distribution, ...] = ()
    trace: Trace | None = None
    mix: tuple[Kind, ...] = (Kind(1),)
    weekday_weights: tuple[int, ...] = (1,) * _WEEK
    hour_weights: tuple[int, ...] = (1,) * _HOURS


class TrafficModel(Record, frozen=True):
    """Segments of customers, and the seed of every draw."""

    seed: int
    segments: tuple[Segment, ...]


class Request(Record, frozen=True):
    """One synthetic usage and who asks for it."""

    contract: Contract
    usage: Usage


def contracts_of(model: TrafficModel, asset: Asset, from_time: datetime) -> list[Contract]:
    """Return the contracts of a model, by segment and number; cycles are months from the span's beginning."""
    cycle = Cycle(CycleInterval.MONTH, from_time)
    return [
        _contract(f"{segment.key}-{number}", asset, from_time, cycle)
        for segment in model.segments
        for number in range(1, segment.customers + 1)
    ]


def expected_requests(model: TrafficModel, from_time: datetime, to_time: datetime) -> int:
    """Return about how many requests a model makes in a span."""
    days = _days(from_time, to_time)
    return sum(
        segment.customers * sum(_expected(segment, day, number) for number, day in enumerate(days)) // MILLION
        for segment in model.segments
    )


def requests_of(
    model: TrafficModel, contracts: Sequence[Contract], from_time: datetime, to_time: datetime
) -> Iterator[Request]:
    """Yield the requests of a model, contract by contract, each in the order of time."""
    remaining = iter(contracts)
    for segment in model.segments:
        expected = [_expected(segment, day, number) for number, day in enumerate(_days(from_time, to_time))]
        draws = _Draws(segment)
        for _ in range(segment.customers):
            contract = next(remaining)
            random = Random(f"{model.seed}/{contract.name}")  # noqa: S311, a simulation and no secret
            yield from _requests_of_contract(draws, random, contract, expected, from_time, to_time)


class _Draws:
    """What a segment draws from, made ready."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.kind_ends = list(accumulate(kind.weight for kind in segment.mix))
        self.hour_ends = list(accumulate(segment.hour_weights))

    def second(self, random: Random) -> int:
        """Draw a second of the day."""
        hour = bisect_right(self.hour_ends, random.randrange(self.hour_ends[-1]))
        return hour * _HOUR_SECONDS + random.randrange(_HOUR_SECONDS)

    def usage(self, random: Random, instant: datetime) -> Usage:
        """Draw what a request is, and how large."""
        kind = self.segment.mix[bisect_right(self.kind_ends, random.randrange(self.kind_ends[-1]))]
        return Usage(instant, self._quantities(random), kind.properties, feature=kind.feature)

    def _quantities(self, random: Random) -> dict[str, int]:
        quantities = {
            each.dimension: drawn(each, random.randrange(MILLION)) for each in self.segment.quantities
        }
        trace = self.segment.trace
        if trace is not None:
            row = random.randrange(len(trace.context_tokens))
            quantities[trace.context_dimension] = trace.context_tokens[row]
            quantities[trace.generated_dimension] = trace.generated_tokens[row]
        return quantities


def drawn(distribution: Distribution, millionths: int) -> int:
    """Return the quantity at a place of a distribution, evenly between two quantiles, rounded down."""
    quantiles = distribution.quantiles
    upper = max(bisect_left(quantiles, millionths, key=lambda each: each.millionths), 1)
    low, high = quantiles[upper - 1], quantiles[upper]
    width = high.millionths - low.millionths
    return low.quantity + (high.quantity - low.quantity) * (millionths - low.millionths) // width


def _requests_of_contract(
    draws: _Draws,
    random: Random,
    contract: Contract,
    expected: Sequence[int],
    from_time: datetime,
    to_time: datetime,
) -> Iterator[Request]:
    # Where in its first request a customer stands is drawn, or all of a segment would begin on one day.
    left = random.randrange(MILLION)
    for day, millionths in zip(_days(from_time, to_time), expected, strict=True):
        count, left = divmod(left + millionths, MILLION)
        for second in sorted(draws.second(random) for _ in range(count)):
            instant = day + timedelta(seconds=second)
            if from_time <= instant < to_time:
                yield Request(contract, draws.usage(random, instant))


def _expected(segment: Segment, day: datetime, number: int) -> int:
    """Return the millionths of requests that a customer makes on a day."""
    growth = (1 + parse_exact(segment.growth_percent) / 100) ** (number // GROWTH_DAYS)
    weights = segment.weekday_weights
    weight = Fraction(weights[day.weekday()] * _WEEK, sum(weights))
    return int(parse_exact(segment.requests_per_day) * MILLION * growth * weight)


def _days(from_time: datetime, to_time: datetime) -> list[datetime]:
    """Return the midnights, UTC, of the days that a span touches."""
    first = from_time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    count = -((first - to_time) // _DAY)
    return [first + number * _DAY for number in range(count)]


def _contract(name: str, asset: Asset, from_time: datetime, cycle: Cycle) -> Contract:
    return Contract(
        name=f"contracts/{name}",
        customer=f"customers/{name}",
        wallet=f"wallets/{name}",
        plan="",
        plan_version=0,
        asset=asset,
        start_time=from_time,
        cycle=cycle,
        phases=(ContractPhase(from_time, _NO_TERMS),),
    )
