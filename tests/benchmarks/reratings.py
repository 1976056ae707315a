"""Benchmark of a price cut for the past: usage of one busy contract priced again, and each debit given back in part."""

from __future__ import annotations

from tests.benchmarks.bench import Bench, peak_memory_mb
from tests.benchmarks.figures import Figure, Round, figure
from tests.benchmarks.jobs import Agree, BatchUsage, Done, Rerate, Rerated, Throughput


def rerate(bench: Bench) -> dict[str, Figure]:
    """Accept half the prices for a contract's usage, against recording that usage."""
    sizes = bench.sizes
    with (
        bench.ledger(bench.database("rerate_ledger")) as ledger,
        bench.rating(bench.database("rerate_rating", migrated=False), ledger) as rating,
    ):
        agreed = bench.client.run(Agree(target=ledger.target, contracts=1), Done)
        bench.say(f"recording {sizes.rerated_usages:,} usages")
        recorded = bench.client.run(
            BatchUsage(
                target=rating.target,
                batches=sizes.rerated_usages // sizes.batch_size,
                batch_size=sizes.batch_size,
                in_flight=sizes.batches_in_flight,
                contracts=1,
                key=bench.key("usage"),
                min_position=agreed.position,
            ),
            Throughput,
        )
        before = peak_memory_mb(rating)
        bench.say("pricing them again")
        rerate = Rerate(ledger_target=ledger.target, target=rating.target, min_position=agreed.position)
        found = bench.client.run(rerate, Rerated)
        memory = peak_memory_mb(rating) - before
    assert found.items == recorded.items, "every usage costs less"
    rounds = [Round(found.items / found.accepted_seconds, recorded.per_second)]
    note = f"{found.items:,} usages, {found.adjustments} adjustments, {memory:.0f} MB more"
    details = {"shown_per_second": found.items / found.shown_seconds, "memory_mb": memory}
    return {"rerate": figure("rerate", rounds, note=note, details=details)}
