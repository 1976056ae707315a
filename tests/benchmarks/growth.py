"""Benchmarks of growth: what age and size may not change, and what memory the ledger takes."""

from __future__ import annotations

from typing import Final

import psutil

from tests.benchmarks.bench import Bench, Server
from tests.benchmarks.debits import touch
from tests.benchmarks.figures import Figure, Round, figure, with_note
from tests.benchmarks.jobs import AlternateDebits, Latencies, Side
from tests.benchmarks.prebuild import build_aged_wallets, build_wallets

Figures = dict[str, Figure]
BYTES_PER_MB: Final = 1_000_000


def alternate(bench: Bench, name: str, value: Side, floor: Side) -> Figure:
    """Compare the median latency of a lone caller's debits on two sides."""
    sizes = bench.sizes
    rounds: list[Round] = []
    bench.client.run(AlternateDebits(sides=(value, floor), calls=20, key=bench.key(name)), list[Latencies])
    for number in range(sizes.rounds):
        bench.say(f"{name}, round {number + 1} of {sizes.rounds}")
        job = AlternateDebits(sides=(value, floor), calls=sizes.latency_calls, key=bench.key(name))
        first, second = bench.client.run(job, list[Latencies])
        rounds.append(Round(first.p50_ms, second.p50_ms))
    return figure(name, rounds)


def wallet_age(bench: Bench) -> Figures:
    """Debit a wallet with a long history and one with a short one, in memory and from the store."""
    sizes = bench.sizes
    url = bench.database("wallet_age")
    build_aged_wallets(url, (sizes.age_events_long, sizes.age_events_short))
    figures: Figures = {}
    # A cache of one stream makes every debit cold, since the sides take turns.
    for name, cached_streams_max in (("wallet_age", 100_000), ("wallet_age_cold", 1)):
        with bench.ledger(url, cached_streams_max=cached_streams_max) as ledger:
            long, short = (Side(target=ledger.target, first_wallet=index, wallet_count=1) for index in (0, 1))
            figures[name] = alternate(bench, name, long, short)
    return figures


def store_size(bench: Bench) -> Figures:
    """Debit any wallet of a large store and of a small one."""
    sizes = bench.sizes
    large, small = sizes.store_wallets_large, sizes.store_wallets_small
    large_url = large_store(bench)
    small_url = bench.database("store_small")
    build_wallets(small_url, small)

    def side(server: Server, wallets: int) -> Side:
        return Side(target=server.target, first_wallet=0, wallet_count=wallets)

    figures: Figures = {}
    for name, cached_streams_max in (("store_size", 100_000), ("store_size_cold", 1)):
        with (
            bench.ledger(large_url, cached_streams_max=cached_streams_max) as at_large,
            bench.ledger(small_url, cached_streams_max=cached_streams_max) as at_small,
        ):
            touch(bench, at_small, small)
            figures[name] = alternate(bench, name, side(at_large, large), side(at_small, small))
    note = f"{large:,} wallets against {small:,}" + ("" if large >= 1_000_000 else "; 1,000,000 with --full")
    return {name: with_note(each, note) for name, each in figures.items()}


def memory(bench: Bench) -> Figures:
    """Debit many wallets once each and read the resident memory of the ledger."""
    wallets = bench.sizes.memory_wallets
    with bench.ledger(large_store(bench)) as ledger:
        process = psutil.Process(ledger.process.pid)
        idle = process.memory_info().rss / BYTES_PER_MB
        bench.say(f"debiting {wallets:,} wallets")
        touch(bench, ledger, wallets)
        rss = process.memory_info().rss / BYTES_PER_MB
    details = {"idle_mb": idle, "bytes_per_wallet": (rss - idle) * BYTES_PER_MB / wallets}
    return {"memory": figure("memory", [Round(rss)], note=f"{wallets:,} wallets", details=details)}


def large_store(bench: Bench) -> str:
    """Return the URL of the large store, which two benchmarks use."""
    wallets = max(bench.sizes.store_wallets_large, bench.sizes.memory_wallets)

    def build() -> str:
        bench.say(f"storing {wallets:,} wallets")
        url = bench.database("store_large")
        build_wallets(url, wallets)
        return url

    return bench.once("store_large", build)
