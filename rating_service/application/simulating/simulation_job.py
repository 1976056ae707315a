"""A simulation as it is handed to whoever runs it, and what is told back. Plain values: they cross a process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from rating_service.application.simulating.traffic_model import TrafficModel
from rating_service.domain.agreements.agreement import Record
from rating_service.domain.simulation.candidate import Candidate
from rating_service.domain.simulation.conclude import Question
from rating_service.domain.simulation.outcome import ContractOutcome, Outcome, Progress


class Selection(Record, frozen=True):
    """Which recorded usage counts. Contracts and customers add to each other; neither means all."""

    contracts: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    share_percent: int = 100
    replaced_rate_card: str = ""


class SimulationJob(Record, frozen=True):
    """A question, and the usage that is to answer it: recorded, or synthetic with or without a baseline."""

    question: Question
    selection: Selection = Selection()
    traffic: TrafficModel | None = None
    baseline: Candidate | None = None


class ContractPage(Record, frozen=True):
    """Some of the contracts, in the order of their names."""

    contracts: tuple[ContractOutcome, ...]


Told = Progress | ContractPage | Outcome
"""What a simulation tells: how far it is, then contracts, and last the outcome."""


class SimulationRunner(Protocol):
    """Runs simulations where they slow nobody down."""

    def run(self, job: SimulationJob) -> AsyncGenerator[Told, None]:
        """Tell what comes of a job; the work stops when the generator is closed.

        Raises Refusal, RequestRefused, StoreUnavailableError.
        """
