"""Benchmarks of the write path: one debit a call, debits in batches, and the latency of a lone caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final

from tests.benchmarks.bench import FLOOR_SCHEMA, LEDGER_SCHEMA, Bench, CpuUsed, Server
from tests.benchmarks.figures import Figure, Round, figure
from tests.benchmarks.jobs import (
    AlternateDebits,
    BatchDebits,
    InsertRows,
    Latencies,
    Side,
    Throughput,
    UnaryDebits,
)
from tests.benchmarks.prebuild import build_wallets

Figures = dict[str, Figure]
PARTICIPANTS: Final = ("server", "client", "postgres")


@contextmanager
def ledger_with_wallets(bench: Bench, database: str) -> Iterator[tuple[str, Server]]:
    """Run a ledger on a new database with the wallets that debits are spread over; yield its URL too."""
    url = bench.database(database)
    build_wallets(url, bench.sizes.wallets)
    with bench.ledger(url) as ledger:
        # Once each, so that no wallet is loaded while the clock runs.
        touch(bench, ledger, bench.sizes.wallets)
        yield url, ledger


def touch(bench: Bench, ledger: Server, wallets: int) -> None:
    """Debit each wallet once."""
    size = min(bench.sizes.batch_size, wallets)
    job = BatchDebits(
        target=ledger.target,
        batches=wallets // size,
        batch_size=size,
        in_flight=1,
        wallets=wallets,
        key=bench.key("touch"),
        in_order=True,
    )
    bench.client.run(job, Throughput)


def batch_debits_per_second(bench: Bench, ledger: Server, *, wallets: int | None = None) -> float:
    """Measure BatchDebit once: the value of one round, and the floor of other benchmarks."""
    sizes = bench.sizes
    job = BatchDebits(
        target=ledger.target,
        batches=sizes.batches,
        batch_size=sizes.batch_size,
        in_flight=sizes.batches_in_flight,
        wallets=wallets or sizes.wallets,
        key=bench.key("batch"),
    )
    return bench.client.run(job, Throughput).per_second


class Costs:
    """What a call costs on each side, round by round."""

    def __init__(self) -> None:
        """Begin without a round."""
        self._figures: dict[str, list[float]] = {}
        self._other_cores: list[float] = []

    def add(self, side: str, used: CpuUsed, items: int) -> None:
        """Take the CPU that a side of a round has used for so many items."""
        for name in PARTICIPANTS:
            self.add_figure(f"{side}_{name}_cpu_us", getattr(used, name) / items * 1e6)
        self._other_cores.append(used.other_cores)

    def add_figure(self, name: str, value: float) -> None:
        """Take a figure of a round."""
        self._figures.setdefault(name, []).append(value)

    def medians(self) -> dict[str, float]:
        """Return the figures, and the floor's CPU over the value's, which other work disturbs least."""
        figures = {name: median(values) for name, values in self._figures.items()}
        cpu = {
            side: sum(figures[f"{side}_{name}_cpu_us"] for name in PARTICIPANTS)
            for side in ("value", "floor")
        }
        # Clocks of processes tick every 10 ms: a very short round may show no use at all.
        return figures | {"cpu_ratio": cpu["floor"] / cpu["value"] if cpu["value"] else 0.0}

    def note(self) -> str:
        """Say how busy the machine was with something else."""
        return f"other work used {median(self._other_cores):.1f} cores"


def unary_debit(bench: Bench) -> Figures:
    """Debit, one a call, against an echo of the same messages."""
    sizes = bench.sizes
    costs = Costs()

    def measure(server: Server, side: str) -> float:
        job = UnaryDebits(
            target=server.target,
            callers=sizes.callers,
            seconds=sizes.unary_seconds,
            wallets=sizes.wallets,
            key=bench.key("unary"),
        )
        before = bench.cpu_used(server)
        done = bench.client.run(job, Latencies)
        costs.add(side, bench.cpu_used(server).since(before), done.calls)
        costs.add_figure(f"{side}_p50_ms", done.p50_ms)
        costs.add_figure(f"{side}_p99_ms", done.p99_ms)
        return done.calls / done.seconds

    with ledger_with_wallets(bench, "unary") as (_, ledger), bench.echo(ledger) as echo:
        rounds: list[Round] = []
        for number in range(sizes.rounds):
            bench.say(f"round {number + 1} of {sizes.rounds}")
            rounds.append(Round(measure(ledger, "value"), measure(echo, "floor")))
    return {"unary_debit": figure("unary_debit", rounds, note=costs.note(), details=costs.medians())}


def batch_debit(bench: Bench) -> Figures:
    """BatchDebit against an insert of the same rows."""
    sizes = bench.sizes
    costs = Costs()
    items = sizes.batches * sizes.batch_size
    with ledger_with_wallets(bench, "batch") as (url, ledger):
        floor_job = InsertRows(
            url=url,
            from_schema=LEDGER_SCHEMA,
            into_schema=FLOOR_SCHEMA,
            batches=sizes.batches,
            batch_size=sizes.batch_size,
        )
        batch_debits_per_second(bench, ledger)
        bench.client.run(floor_job, Throughput)
        rounds: list[Round] = []
        for number in range(sizes.rounds):
            bench.say(f"round {number + 1} of {sizes.rounds}")
            start = bench.cpu_used(ledger)
            value = batch_debits_per_second(bench, ledger)
            middle = bench.cpu_used(ledger)
            floor = bench.client.run(floor_job, Throughput).per_second
            costs.add("value", middle.since(start), items)
            costs.add("floor", bench.cpu_used(ledger).since(middle), items)
            rounds.append(Round(value, floor))
    return {"batch_debit": figure("batch_debit", rounds, note=costs.note(), details=costs.medians())}


def debit_latency_p99(bench: Bench) -> Figures:
    """The slowest in a hundred debits of a lone caller, against one insert behind an echo."""
    sizes = bench.sizes
    rounds: list[Round] = []
    medians: list[Round] = []
    with (
        ledger_with_wallets(bench, "latency") as (url, ledger),
        bench.echo(ledger, inserting_url=url) as echo,
    ):
        sides = tuple(
            Side(target=server.target, first_wallet=0, wallet_count=sizes.wallets)
            for server in (ledger, echo)
        )
        for number in range(sizes.rounds):
            bench.say(f"round {number + 1} of {sizes.rounds}")
            job = AlternateDebits(sides=sides, calls=sizes.latency_calls, key=bench.key("latency"))
            value, floor = bench.client.run(job, list[Latencies])
            rounds.append(Round(value.p99_ms, floor.p99_ms))
            medians.append(Round(value.p50_ms, floor.p50_ms))
    details = {
        "value_p50_ms": median(each.value for each in medians),
        "floor_p50_ms": median(each.floor or 0 for each in medians),
    }
    return {"debit_latency_p99": figure("debit_latency_p99", rounds, details=details)}
