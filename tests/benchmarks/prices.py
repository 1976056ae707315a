"""Benchmark of pricing alone: no call, no store, one core."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from random import Random
from typing import Final

from rating_service.domain.agreements.agreement import Rate, RateCardPhase
from rating_service.domain.prices.pricing import Pricer, compile_phase, price
from rating_service.domain.usage import Usage
from tests.benchmarks.bench import Bench
from tests.benchmarks.figures import Figure, Round, figure

PRICED_PER_SECOND_MIN: Final = 100_000.0
"""Usages of three dimensions that one core has to price in a second."""
MODELS: Final = 500
COSTS: Final = {"input_tokens": "3", "cached_input_tokens": "0.3", "output_tokens": "15"}
"""Per million tokens, in US dollars; the price is a fifth higher."""
PRICES: Final = {"input_tokens": "3.6", "cached_input_tokens": "0.36", "output_tokens": "18"}
_INSTANT: Final = datetime(2026, 1, 1, tzinfo=UTC)


def price_usage(bench: Bench) -> dict[str, Figure]:
    """Price usages of 500 models at random, with provider costs, against what one core has to do.

    Seconds are CPU seconds of this process: what else the machine does is not counted.
    """
    usages = some_usages(bench.sizes.priced_usages)
    with_costs, without = priced_by(with_costs=True), priced_by(with_costs=False)
    for pricer in (with_costs, without):
        _per_second(pricer, usages)
    rounds = [
        Round(_per_second(with_costs, usages), PRICED_PER_SECOND_MIN) for _ in range(bench.sizes.rounds)
    ]
    return {
        "price_usage": figure(
            "price_usage",
            rounds,
            note=f"{MODELS:,} models, provider costs",
            details={"without_costs": _per_second(without, usages)},
        )
    }


def _per_second(pricer: Pricer, usages: list[Usage]) -> float:
    begun = time.process_time()
    for usage in usages:
        price(pricer, usage)
    return len(usages) / (time.process_time() - begun)


def priced_by(*, with_costs: bool) -> Pricer:
    """Return a pricer of a card of many models."""
    rates = tuple(
        Rate(
            dimension=dimension,
            unit_price=unit_price,
            unit_size=1_000_000,
            match={"model": f"model-{number}"},
            provider_cost=COSTS[dimension] if with_costs else "",
        )
        for number in range(MODELS)
        for dimension, unit_price in PRICES.items()
    )
    currency = "USD" if with_costs else ""
    phase = RateCardPhase("rateCards/llm/phases/1", _INSTANT, rates, cost_currency=currency)
    return compile_phase(phase, scale=6)


def some_usages(count: int) -> list[Usage]:
    """Return usages of three dimensions and many models, the same for the same count."""
    random = Random(count)
    return [
        Usage(
            _INSTANT,
            {name: random.randrange(1, 5_000) for name in PRICES},
            {"model": f"model-{random.randrange(MODELS)}", "operation": "chat"},
        )
        for _ in range(count)
    ]
