"""Benchmark of the whole way of a usage: priced by the rating service, debited by the ledger."""

from __future__ import annotations

from tests.benchmarks.bench import Bench
from tests.benchmarks.debits import batch_debits_per_second
from tests.benchmarks.figures import Figure, Round, figure
from tests.benchmarks.jobs import Agree, BatchUsage, Done, Throughput


def record_usage(bench: Bench) -> dict[str, Figure]:
    """BatchRecordUsage of three dimensions against BatchDebit on the same wallets."""
    sizes = bench.sizes
    with (
        bench.ledger(bench.database("usage_ledger")) as ledger,
        bench.rating(bench.database("usage_rating", migrated=False), ledger) as rating,
    ):
        bench.say(f"signing {sizes.contracts:,} contracts")
        agreed = bench.client.run(Agree(target=ledger.target, contracts=sizes.contracts), Done)

        def usages_per_second() -> float:
            job = BatchUsage(
                target=rating.target,
                batches=sizes.usage_batches,
                batch_size=sizes.batch_size,
                in_flight=sizes.batches_in_flight,
                contracts=sizes.contracts,
                key=bench.key("usage"),
                min_position=agreed.position,
            )
            return bench.client.run(job, Throughput).per_second

        usages_per_second()
        batch_debits_per_second(bench, ledger, wallets=sizes.contracts)
        rounds = []
        for number in range(sizes.rounds):
            bench.say(f"round {number + 1} of {sizes.rounds}")
            value = usages_per_second()
            rounds.append(Round(value, batch_debits_per_second(bench, ledger, wallets=sizes.contracts)))
    return {"record_usage": figure("record_usage", rounds, note=f"{sizes.contracts:,} contracts")}
