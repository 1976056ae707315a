"""Benchmark of the billing run: included credit granted and invoices issued, each exactly once and durable."""

from __future__ import annotations

from typing import Final

from tests.benchmarks.bench import Bench
from tests.benchmarks.figures import Figure, Round, figure
from tests.benchmarks.jobs import Agree, Done, RunBilling, Throughput

BILLED_PER_SECOND_MIN: Final = 50.0
"""Contracts that a run has to bill in a second: 100,000 of them in half an hour."""
DAYS_AGO: Final = 40
"""When the contracts began: one month of theirs is over, one runs, and one comes."""


def billing_run(bench: Bench) -> dict[str, Figure]:
    """RunBilling over contracts with three cycles of credit to grant and one invoice to issue, once."""
    sizes = bench.sizes
    with (
        bench.ledger(bench.database("billing_ledger")) as ledger,
        bench.rating(
            bench.database("billing_rating", migrated=False), ledger, billing_interval_seconds=0
        ) as rating,
    ):
        bench.say(f"signing {sizes.contracts:,} contracts")
        agree = Agree(
            target=ledger.target, contracts=sizes.contracts, days_ago=DAYS_AGO, included_units=10**9
        )
        bench.client.run(agree, Done)
        bench.say("billing them")
        billed = bench.client.run(RunBilling(target=rating.target), Throughput)
    assert billed.items == sizes.contracts, "every contract is billed"
    rounds = [Round(billed.per_second, BILLED_PER_SECOND_MIN)]
    return {"billing_run": figure("billing_run", rounds, note=f"{sizes.contracts:,} contracts")}
