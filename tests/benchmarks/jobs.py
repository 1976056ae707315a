"""Jobs of the load client and what they answer, as JSON lines over its standard input and output."""

from __future__ import annotations

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all jobs."""


class AwaitServing(Job, frozen=True, kw_only=True):
    """Wait until a server's health is SERVING. Answers Done."""

    target: str
    seconds_max: float = 60.0


class SampleDebit(Job, frozen=True, kw_only=True):
    """Debit a wallet once and return the answer, so that an echo can give one of the same size. Answers Sample."""

    target: str
    wallet: int
    key: str


class UnaryDebits(Job, frozen=True, kw_only=True):
    """Debit random wallets, each caller as soon as it has its answer, for some seconds. Answers Latencies."""

    target: str
    callers: int
    seconds: float
    wallets: int
    key: str


class BatchDebits(Job, frozen=True, kw_only=True):
    """Debit in batches, several in flight: random wallets, or each from the first on. Answers Throughput."""

    target: str
    batches: int
    batch_size: int
    in_flight: int
    wallets: int
    key: str
    in_order: bool = False


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a comparison: a server and the wallets [first, first + count) that are debited there."""

    target: str
    first_wallet: int
    wallet_count: int


class AlternateDebits(Job, frozen=True, kw_only=True):
    """One caller that debits on each side in turn. Answers a list of Latencies, one a side."""

    sides: tuple[Side, ...]
    calls: int
    key: str


class InsertRows(Job, frozen=True, kw_only=True):
    """Insert copies of stored rows by unnest, one transaction a batch, one connection. Answers Throughput."""

    url: str
    from_schema: str
    into_schema: str
    batches: int
    batch_size: int


class FollowEvents(Job, frozen=True, kw_only=True):
    """Follow the log from its beginning up to a position. Answers Throughput."""

    target: str
    through: int


class StreamRows(Job, frozen=True, kw_only=True):
    """Read the rows of the log with a streaming cursor. Answers Throughput."""

    url: str
    schema: str


class Agree(Job, frozen=True, kw_only=True):
    """Publish a rate card with three dimensions and a plan, and sign contracts. Answers Done with the position."""

    target: str
    contracts: int
    days_ago: int = 1
    """When they begin."""
    included_units: int = 0


class BatchUsage(Job, frozen=True, kw_only=True):
    """Record usage of three dimensions in batches, several in flight. Answers Throughput."""

    target: str
    batches: int
    batch_size: int
    in_flight: int
    contracts: int
    key: str
    min_position: int


class RunBilling(Job, frozen=True, kw_only=True):
    """Run billing to its end. Answers Throughput of contracts."""

    target: str


class Rerate(Job, frozen=True, kw_only=True):
    """Halve the prices of the card for the last hours by a phase for the past: show what it changes, accept it.

    Answers Rerated.
    """

    ledger_target: str
    target: str
    min_position: int


LedgerJob = AwaitServing | SampleDebit | UnaryDebits | BatchDebits | AlternateDebits | FollowEvents
AnyJob = LedgerJob | InsertRows | StreamRows | Agree | BatchUsage | RunBilling | Rerate


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing to tell but a position of the log, if any."""

    position: int = 0


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A serialized DebitResponse."""

    response: bytes


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """How many items in how many seconds."""

    items: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Return the rate."""
        return self.items / self.seconds


class Rerated(msgspec.Struct, frozen=True, kw_only=True):
    """How many usages cost something else, in how many seconds that was shown and put right, and by how many debits."""

    items: int
    shown_seconds: float
    accepted_seconds: float
    adjustments: int


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls in how many seconds, and how long a call took in milliseconds."""

    calls: int
    seconds: float
    mean_ms: float
    p50_ms: float
    p99_ms: float


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The job failed; the run ends with this text."""

    failure: str


def wallet_name(index: int) -> str:
    """Return the name of a wallet of the benchmarks."""
    return f"wallets/w{index:07d}"
