"""What re-rating needs from the outside: the recorded usage of a cycle, and the ledger's decisions about a phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from rating_service.domain.corrections.rerating_plan import AdjustmentOrder
from rating_service.domain.debits import DebitFact


class CycleSpan(NamedTuple):
    """Usage of one card under a contract with effective time in [from_time, to_time), up to the watermark."""

    wallet: str
    contract: str
    rate_card: str
    from_time: datetime
    to_time: datetime
    watermark_position: int


class CycleFacts(NamedTuple):
    """The debits of a span and the adjustments of its cycle, in the order of the log; `debits` is read once."""

    debits: Iterable[DebitFact]
    adjustments: Sequence[DebitFact]
    reversed_units: Mapping[int, int]


class CycleReader(Protocol):
    """Reads cycles, one after the other."""

    def read(self, span: CycleSpan) -> CycleFacts:
        """Return the facts of a span. Raises StoreUnavailableError."""


class ReratingFacts(Protocol):
    """Facts to price usage again from. Blocking, for a worker thread."""

    def open(self) -> AbstractContextManager[CycleReader]:
        """Lend a reader. Raises StoreUnavailableError."""


class Decided(NamedTuple):
    """A decision of the ledger about a phase."""

    replayed: bool
    position: int


class Adjusted(NamedTuple):
    """An adjustment as the ledger recorded it."""

    debit: str
    amount_units: int
    replayed: bool
    position: int


class ReratingLedger(Protocol):
    """The ledger's part. Every method raises LedgerRefused and LedgerUnavailableError."""

    async def accept(self, phase: str, *, key: str, watermark_position: int, rerating_hash: str) -> Decided:
        """Let a proposed phase be in force for its time."""

    async def reject(self, phase: str, *, key: str) -> Decided:
        """Withdraw the proposal of a phase."""

    async def adjust(self, order: AdjustmentOrder) -> Adjusted | None:
        """Record an adjustment; None if others were faster, so that it is to be decided again."""
