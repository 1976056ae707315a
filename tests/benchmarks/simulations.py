"""Benchmark of simulating: recorded charges decoded, priced again, compared and added up; no store, one core."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import msgspec

from rating_service.application.simulating.run_simulation import DebitRow, Wanted, run_simulation
from rating_service.application.simulating.simulation_job import SimulationJob
from rating_service.domain.agreements.agreement import (
    Asset,
    Contract,
    ContractPhase,
    Cycle,
    CycleInterval,
    PlanPhase,
    RateCard,
    ShortfallMode,
)
from rating_service.domain.prices.pricing import price
from rating_service.domain.simulation.candidate import Candidate
from rating_service.domain.simulation.conclude import Question
from rating_service.domain.usage import ChargeTerms
from tests.benchmarks.bench import Bench
from tests.benchmarks.figures import Figure, Round, figure
from tests.benchmarks.prices import MODELS, priced_by, some_usages
from tests.benchmarks.processes import BenchmarkError

SIMULATED_PER_SECOND_MIN: Final = 50_000.0
"""Usages of three dimensions that one core has to simulate in a second: a year of a hundred million in half an hour."""
CONTRACTS: Final = 200
_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_YEAR: Final = timedelta(days=365)
_CREDIT: Final = Asset("CREDIT", 6)


class RecordedInMemory:
    """RecordedUsage without a store: what reading costs is the store's."""

    def __init__(self, contracts: list[Contract], rows: list[DebitRow]) -> None:
        self._contracts = contracts
        self._rows = rows

    def contracts(self, watermark_position: int) -> list[Contract]:
        """Return all of them."""
        return self._contracts

    def first_position(self) -> int:
        """Return the first position."""
        return 1

    def debits(self, wanted: Wanted) -> Iterator[DebitRow]:
        """Yield all of them."""
        return iter(self._rows)


def simulate(bench: Bench) -> dict[str, Figure]:
    """Simulate the very card of a year of usage of 500 models, with provider costs, by CPU time of this process."""
    recorded = _recorded(bench.sizes.simulated_usages)
    phase = priced_by(with_costs=True).phase
    card = RateCard("rateCards/llm", _CREDIT, (phase,))
    question = Question(
        asset=_CREDIT,
        span_from=_BEGIN,
        span_to=_BEGIN + _YEAR,
        candidates=(Candidate("same", _CREDIT, (card,)),),
        threshold_percent="20",
        movers_max=20,
        watermark_position=bench.sizes.simulated_usages,
    )
    job = SimulationJob(question)
    _per_second(job, recorded)
    rounds = [Round(_per_second(job, recorded), SIMULATED_PER_SECOND_MIN) for _ in range(bench.sizes.rounds)]
    note = f"{MODELS:,} models, provider costs, {CONTRACTS:,} contracts"
    return {"simulate": figure("simulate", rounds, note=note)}


def _per_second(job: SimulationJob, recorded: RecordedInMemory) -> float:
    begun = time.process_time()
    total = run_simulation(job, recorded, lambda _: None).outcome.total
    seconds = time.process_time() - begun
    if total.candidates[0].difference_units != "0":
        raise BenchmarkError("the card in force did not give the recorded charges again")
    return total.usage_count / seconds


def _recorded(count: int) -> RecordedInMemory:
    """Return a year of usage of some contracts, charged by the card."""
    random = Random(count)
    pricer = priced_by(with_costs=True)
    terms = PlanPhase("main", "rateCards/llm", ShortfallMode.SOFT)
    contracts = [
        Contract(
            name=f"contracts/{number}",
            customer=f"customers/{number}",
            wallet=f"wallets/{number}",
            plan="plans/pro",
            plan_version=1,
            asset=_CREDIT,
            start_time=_BEGIN,
            cycle=Cycle(CycleInterval.MONTH, _BEGIN),
            phases=(ContractPhase(_BEGIN, terms),),
        )
        for number in range(CONTRACTS)
    ]
    rows = []
    for place, usage in enumerate(some_usages(count)):
        contract = contracts[random.randrange(CONTRACTS)]
        instant = _BEGIN + place * _YEAR // count
        charge = price(pricer, usage, ChargeTerms(contract.name, "main"))
        text = msgspec.json.encode(charge).decode()
        rows.append(
            DebitRow(place + 1, contract.wallet, place + 1, instant, contract.name, "chat", 9, 9, text)
        )
    return RecordedInMemory(contracts, rows)
