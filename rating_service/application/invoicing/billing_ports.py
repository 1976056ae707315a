"""What billing needs from the outside: a store, and the ledger's grants. Adapters implement these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from rating_service.domain.agreements.agreement import Cycle
from rating_service.domain.invoicing.billing import ContractBilling
from rating_service.domain.invoicing.included import Allotment


class GrantOrder(NamedTuple):
    """Included credit to be granted to a contract's wallet, under a key for ever its own."""

    wallet: str
    contract: str
    key: str
    cycle: Cycle
    allotment: Allotment
    amount_units: int


class Unbilled(NamedTuple):
    """What the overage of a cycle that no invoice holds is estimated to come to; never below the truth."""

    contract: str
    cycle_start_time: datetime
    nanos: int
    checks: int


class DueContract(NamedTuple):
    """A contract that is due. `due_time` is the store's own text, fit only to go on from there."""

    contract: str
    due_time: str


class IncludedGrants(Protocol):
    """The ledger's grants. Every method raises LedgerRefused and LedgerUnavailableError."""

    async def grant(self, order: GrantOrder) -> str:
        """Grant credit and return the grant's name; again with the same key returns the same grant."""

    async def withdraw(self, grant: str, *, key: str, goes_on: bool) -> int:
        """Withdraw what is left of a grant and return how much that was; again returns the same. 0 if nothing is left.

        If it `goes_on`, what comes back to it later stays in it.
        """


class BillingStore(Protocol):
    """How far the billing of contracts is. Every method raises StoreUnavailableError."""

    async def due(self, now: datetime, *, limit: int, after: DueContract | None = None) -> list[DueContract]:
        """Return contracts that are due by now, the longest due first, after one of them if it is given."""

    async def due_count(self, now: datetime) -> int:
        """Return how many contracts are due by now."""

    async def change(
        self, contracts: Sequence[str], change: Callable[[ContractBilling], ContractBilling]
    ) -> list[ContractBilling]:
        """Change billings while nobody else can, all or none, durably, and return them; unknown ones are left out."""

    async def page(self, *, after: str, limit: int, contract: str = "") -> list[ContractBilling]:
        """Return billings by contract after one; only a contract's unless it is empty."""

    async def unbilled(self, contracts: Sequence[str]) -> list[Unbilled]:
        """Return what the overage of cycles is estimated to come to."""

    async def correct_unbilled(self, seen: Unbilled, left_nanos: int) -> None:
        """Put an estimate right that was seen, keeping what came since; not if another service has done so."""

    def leading(self) -> AbstractAsyncContextManager[bool]:
        """Lend whether this is the one service, of those that ask at the same time, that runs by the clock."""
