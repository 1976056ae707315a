"""How much each benchmark does: the default set, a smoke set for the tests, and the full one."""

from __future__ import annotations

from typing import Final

import msgspec


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and durations of one run."""

    rounds: int = 5
    """How often value and floor take turns."""
    wallets: int = 10_000
    """Wallets that debits are spread over, at random."""
    callers: int = 64
    unary_seconds: float = 3.0
    """Length of each side of a round."""
    batch_size: int = 1_000
    batches: int = 30
    """Batches in each side of a round."""
    batches_in_flight: int = 4
    latency_calls: int = 400
    """Calls on each side of a round."""
    age_events_long: int = 1_000_000
    age_events_short: int = 100
    store_wallets_large: int = 200_000
    store_wallets_small: int = 1_000
    history_events: int = 300_000
    """Debits in the log that is projected, followed and verified."""
    history_rounds: int = 3
    report_events: int = 100_000
    """Debits in the log that reports fold."""
    report_kinds: int = 100
    """Kinds of reports that are made, at most."""
    priced_usages: int = 50_000
    """Usages in each round of pricing alone."""
    simulated_usages: int = 50_000
    """Usages in each round of simulating."""
    rerated_usages: int = 20_000
    """Usages of the contract whose prices are cut for the past."""
    contracts: int = 1_000
    usage_batches: int = 20
    memory_wallets: int = 100_000


DEFAULT: Final = Sizes()
FULL: Final = Sizes(
    store_wallets_large=1_000_000, history_events=1_000_000, report_events=1_000_000, rerated_usages=200_000
)
SMOKE: Final = Sizes(
    rounds=1,
    wallets=100,
    callers=4,
    unary_seconds=0.2,
    batch_size=50,
    batches=4,
    latency_calls=20,
    age_events_long=2_000,
    store_wallets_large=500,
    store_wallets_small=50,
    history_events=2_000,
    history_rounds=1,
    report_events=500,
    report_kinds=2,
    priced_usages=2_000,
    simulated_usages=1_000,
    rerated_usages=200,
    contracts=5,
    usage_batches=2,
    memory_wallets=500,
)
