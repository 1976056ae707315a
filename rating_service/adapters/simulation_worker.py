"""The process of one simulation: `python -m rating_service.adapters.simulation_worker`.

It takes one job on its standard input and tells what comes of it on its standard output, each message a frame: four
bytes of length, the most significant first, and JSON. The address of the database comes with the job, and not as an
argument that others could read. It ends when the job does, or when it is killed: it holds nothing but a reading
transaction.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import BinaryIO, Final

import msgspec

from rating_service.adapters.postgres.simulation_reader import open_reader
from rating_service.application.ports import StoreUnavailableError
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.simulating.run_simulation import run_simulation
from rating_service.application.simulating.simulation_job import ContractPage, SimulationJob
from rating_service.domain.agreements.agreement import Record
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.simulation.outcome import Outcome, Progress

LENGTH_BYTES: Final = 4
PAGE_CONTRACTS_MAX: Final = 500
NICENESS: Final = 10
"""The requests of customers come first on a core that is shared."""


class Task(Record, frozen=True):
    """A job, and where its facts are."""

    database_url: str
    job: SimulationJob


class Frame(Record, frozen=True):
    """One message of the worker: exactly one member is there."""

    progress: Progress | None = None
    page: ContractPage | None = None
    outcome: Outcome | None = None
    refusal: RefusalFrame | None = None
    is_store_away: bool = False


class RefusalFrame(Record, frozen=True):
    """A refusal that crosses the process; `is_request` tells which of the two kinds it is."""

    reason: str
    message: str
    is_request: bool = False
    field: str = ""
    metadata: dict[str, str] = {}

    def error(self) -> Refusal | RequestRefused:
        """Return the refusal itself."""
        if self.is_request:
            return RequestRefused(RequestReason(self.reason), self.message, field=self.field, **self.metadata)
        return Refusal(Reason(self.reason), self.message, **self.metadata)


def write_frame(stream: BinaryIO, value: Record) -> None:
    """Write one message."""
    content = msgspec.json.encode(value)
    stream.write(len(content).to_bytes(LENGTH_BYTES) + content)
    stream.flush()


def run_task(task: Task, tell: Callable[[Frame], None]) -> None:
    """Run a job and tell what comes of it."""
    try:
        with open_reader(task.database_url) as reader:
            concluded = run_simulation(task.job, reader, lambda progress: tell(Frame(progress=progress)))
    except Refusal as refusal:
        told = RefusalFrame(refusal.reason.value, refusal.message, metadata=dict(refusal.metadata))
        return tell(Frame(refusal=told))
    except RequestRefused as refusal:
        told = RefusalFrame(
            refusal.reason.value, refusal.message, True, refusal.field, dict(refusal.metadata)
        )
        return tell(Frame(refusal=told))
    except StoreUnavailableError:
        return tell(Frame(is_store_away=True))
    contracts = concluded.contracts
    for begin in range(0, len(contracts), PAGE_CONTRACTS_MAX):
        tell(Frame(page=ContractPage(contracts[begin : begin + PAGE_CONTRACTS_MAX])))
    return tell(Frame(outcome=concluded.outcome))


def main() -> None:
    """Take a job from standard input and run it."""
    os.nice(NICENESS)
    # A usage makes dozens of short-lived objects and no cycles.
    gc.disable()
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    run_task(task, lambda frame: write_frame(sys.stdout.buffer, frame))


if __name__ == "__main__":
    main()
