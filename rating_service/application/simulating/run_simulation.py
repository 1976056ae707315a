"""Running a simulation: reads usage, recorded or synthetic, and prices it. Blocking, for a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

import msgspec

from rating_service.application.simulating.simulation_job import Selection, SimulationJob
from rating_service.application.simulating.traffic_model import (
    TrafficModel,
    contracts_of,
    expected_requests,
    requests_of,
)
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.cycles import cycle_at
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.simulation.candidate import CandidatePricer
from rating_service.domain.simulation.conclude import Conclusion, Question, conclude
from rating_service.domain.simulation.facts import (
    NOT_CHARGED,
    RecordedCharge,
    SimulatedUsage,
    recorded_price,
)
from rating_service.domain.simulation.fold import Simulation
from rating_service.domain.simulation.outcome import Progress
from rating_service.domain.usage import Usage

PROGRESS_SECONDS: Final = 0.25
"""Between two tellings of how far it is."""
PROGRESS_USAGES: Final = 256
"""Usages between two looks at the clock."""
DONE_PERMILLE_MAX: Final = 999
"""What is told before the very end."""


class DebitRow(NamedTuple):
    """A recorded debit. `left_units` were not taken back; `charge` is the ledger's own JSON text."""

    position: int
    wallet: str
    version: int
    effective_time: datetime
    contract: str
    feature: str
    amount_units: int
    left_units: int
    charge: str


class Wanted(NamedTuple):
    """Debits of [from_time, to_time) up to a position; only of these wallets, if they are named."""

    from_time: datetime
    to_time: datetime
    watermark_position: int
    wallets: Sequence[str] | None


class RecordedUsage(Protocol):
    """What was followed of the ledger's history, in one state of the store."""

    def contracts(self, watermark_position: int) -> list[Contract]:
        """Return every contract as it was agreed at a position."""

    def first_position(self) -> int:
        """Return the position of the first debit, 0 if there is none."""

    def debits(self, wanted: Wanted) -> Iterator[DebitRow]:
        """Yield debits with a charge in the order of the log, read while they are consumed."""


_MICROSECOND: Final = timedelta(microseconds=1)
Tell = Callable[[Progress], None]
_charges: Final = msgspec.json.Decoder(RecordedCharge)


def run_simulation(job: SimulationJob, recorded: RecordedUsage, tell: Tell) -> Conclusion:
    """Return what comes of a job. Refuses UNKNOWN_CUSTOMER, ASSET_DIFFERS, MIXED_CURRENCIES."""
    simulation = Simulation(job.question.candidates, kept_unless=job.selection.replaced_rate_card)
    progress = _Progress(tell)
    if job.traffic is not None:
        return _run_synthetic(job, job.traffic, simulation, progress)
    question = job.question
    selected = _selected(recorded.contracts(question.watermark_position), job.selection)
    contracts = [each for each in selected if each.asset == question.asset]
    if selected and not contracts:
        raise _asset_differs(selected[0], question.asset.code)
    chosen = {contract.name: _chosen(contract, job, simulation) for contract in contracts}
    if chosen:
        is_few = bool(job.selection.contracts or job.selection.customers)
        wanted = Wanted(
            from_time=min(each.counted_from for each in chosen.values()),
            to_time=max(each.counted_to for each in chosen.values()),
            watermark_position=question.watermark_position,
            wallets=sorted({each.wallet for each in contracts}) if is_few else None,
        )
        first = recorded.first_position()
        steps = max(question.watermark_position - first, 1)
        for row in recorded.debits(wanted):
            fact = _fact(row, chosen, question)
            if fact is not None:
                simulation.add(fact)
                progress.step(row.position - first, steps)
    return conclude(
        question, simulation, contracts, other_asset_contract_count=len(selected) - len(contracts)
    )


class _Chosen(NamedTuple):
    """A contract, and the time whose usage moves running totals that matter."""

    contract: Contract
    counted_from: datetime
    counted_to: datetime


class _Progress:
    """Tells how far it is, often enough and not too often."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._count = 0
        self._told = time.monotonic()

    def step(self, done: int, of: int) -> None:
        """Count one usage."""
        self._count += 1
        if self._count % PROGRESS_USAGES:
            return
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._tell(Progress(self._count, min(done * 1_000 // of, DONE_PERMILLE_MAX)))


def _run_synthetic(
    job: SimulationJob, model: TrafficModel, simulation: Simulation, progress: _Progress
) -> Conclusion:
    question = job.question
    contracts = contracts_of(model, question.asset, question.span_from)
    baseline = None if job.baseline is None else CandidatePricer(job.baseline, simulation.cycles)
    expected = max(expected_requests(model, question.span_from, question.span_to), 1)
    requests = requests_of(model, contracts, question.span_from, question.span_to)
    for number, request in enumerate(requests):
        charged = NOT_CHARGED if baseline is None else baseline.price(request.contract, request.usage)
        simulation.add(SimulatedUsage(request.contract, request.usage, charged, request.contract.name))
        progress.step(number, expected)
    return conclude(question, simulation, contracts)


def _fact(row: DebitRow, chosen: Mapping[str, _Chosen], question: Question) -> SimulatedUsage | None:
    """Return a debit as the simulation takes it, None if it is of no interest."""
    found = chosen.get(row.contract)
    if found is None or not found.counted_from <= row.effective_time < found.counted_to:
        return None
    charge = _charges.decode(row.charge)
    quantities = {line.dimension: line.quantity for line in charge.lines}
    return SimulatedUsage(
        found.contract,
        Usage(row.effective_time, quantities, charge.properties, feature=row.feature),
        recorded_price(charge),
        f"{row.wallet}/debits/{row.version}",
        charge.rate_card_phase,
        row.left_units,
        row.amount_units,
        question.span_from <= row.effective_time < question.span_to,
    )


def _chosen(contract: Contract, job: SimulationJob, simulation: Simulation) -> _Chosen:
    """Return a contract with the cycles that the span touches, or the span if no price depends on totals.

    Usage after the span may have been recorded before usage of the span: then it counts in the totals first.
    """
    span_from, span_to = job.question.span_from, job.question.span_to
    if not simulation.has_totals:
        return _Chosen(contract, span_from, span_to)
    last = cycle_at(contract.cycle, span_to - _MICROSECOND)
    return _Chosen(contract, cycle_at(contract.cycle, span_from).start_time, last.end_time)


def _selected(contracts: Iterable[Contract], selection: Selection) -> list[Contract]:
    """Return the contracts that a selection means. Refuses UNKNOWN_CUSTOMER."""
    found = [each for each in contracts if _in_share(each.name, selection.share_percent)]
    if not (selection.contracts or selection.customers):
        return found
    names, customers = set(selection.contracts), set(selection.customers)
    unknown = customers - {each.customer for each in contracts}
    if unknown:
        customer = min(unknown)
        raise Refusal(Reason.UNKNOWN_CUSTOMER, f"there is no contract of {customer!r}", customer=customer)
    return [each for each in found if each.name in names or each.customer in customers]


def _in_share(name: str, share_percent: int) -> bool:
    """Say whether a contract is in a share: by a hash of its name, so that it is always or never."""
    return int.from_bytes(sha256(name.encode()).digest()[:8]) % 100 < share_percent


def _asset_differs(contract: Contract, code: str) -> Refusal:
    message = f"candidates are in {code}, {contract.name} is in {contract.asset.code} of scale {contract.asset.scale}"
    return Refusal(Reason.ASSET_DIFFERS, message, contract=contract.name, asset=contract.asset.code)
