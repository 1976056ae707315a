"""Billing on ports in memory: contracts that change, a follower, a wallet, and the book of invoices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, cast

import msgspec

from rating_service.application.invoicing.bill_thresholds import Thresholds
from rating_service.application.invoicing.billing import Billing
from rating_service.application.invoicing.billing_ports import DueContract, GrantOrder, Unbilled
from rating_service.application.invoicing.grant_included import IncludedCredit
from rating_service.application.invoicing.invoices import BelowThresholdError, Invoicing
from rating_service.application.invoicing.issue_due import DueInvoices
from rating_service.application.metering.quarantine import Cause
from rating_service.application.ports import Ledger
from rating_service.domain.agreements.agreement import Contract, Money
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.agreements.index import empty_index, put
from rating_service.domain.invoicing.billing import ContractBilling, Waits
from tests.breaks import Steps, stepped

AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)
WAITS: Final = Waits(timedelta(hours=24), timedelta(days=35))


class Page(NamedTuple):
    """What is agreed from a position on, and the usage that was recorded there."""

    contract: Contract
    usage_nanos: int = 0


class Log:
    """The ledger's log, of which each page is one position."""

    def __init__(self, signed: Contract) -> None:
        self.pages = [Page(signed)]

    async def head_position(self) -> int:
        return len(self.pages)

    async def agree(self, contract: Contract) -> None:
        """Change the contract."""
        self.pages.append(Page(contract))

    async def use(self, nanos: int) -> None:
        """Record usage."""
        self.pages.append(Page(self.pages[-1].contract, nanos))


class Grants:
    """The wallet: each grant once under its key; of each the customer uses some at once."""

    def __init__(self, *, used_units: int) -> None:
        self.orders: dict[str, GrantOrder] = {}
        self.withdrawn: dict[str, int] = {}
        self._used_units = used_units

    async def grant(self, order: GrantOrder) -> str:
        first = self.orders.setdefault(order.key, order)
        assert first == order, "one key, one grant"
        return order.key

    async def withdraw(self, grant: str, *, key: str, goes_on: bool) -> int:
        assert key == f"{grant}/withdraw"
        assert goes_on in (True, False)
        return self.withdrawn.setdefault(grant, self.orders[grant].amount_units - self.used_of(grant))

    def used_of(self, grant: str) -> int:
        """Return what the customer used of a grant."""
        return min(self.orders[grant].amount_units, self._used_units)

    @property
    def units(self) -> int:
        """What the customer got, used and unused."""
        return sum(order.amount_units for order in self.orders.values()) - sum(self.withdrawn.values())


class Store:
    """The database: how far history is stored, the billing of the contract and its estimate, and its invoices."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.position = 0
        self.billing: ContractBilling | None = None
        self.estimate: Unbilled | None = None
        self.invoices: dict[str, int] = {}
        """The net amount of each invoice, by name, in the order of issue."""
        self.usage_nanos = 0

    async def follow(self, position: int) -> None:
        """Store the pages up to a position, each once, as any follower does."""
        while self.position < position:
            page = self._log.pages[self.position]
            self.position += 1
            contract = page.contract.name
            if not page.usage_nanos or self._grown(page) >= _threshold_nanos(page.contract):
                billing = self.billing or ContractBilling(contract, AT_ONCE)
                self.billing = msgspec.structs.replace(
                    billing, due_time=AT_ONCE, change_position=self.position
                )

    def _grown(self, page: Page) -> int:
        self.usage_nanos += page.usage_nanos
        before = self.estimate or Unbilled(page.contract.name, page.contract.start_time, 0, 0)
        self.estimate = before._replace(nanos=before.nanos + page.usage_nanos)
        return self.estimate.nanos

    async def due(self, now: datetime, *, limit: int, after: DueContract | None = None) -> list[DueContract]:
        assert limit
        billing = self.billing
        if after is not None or billing is None or billing.due_time is None or billing.due_time > now:
            return []
        return [DueContract(billing.contract, billing.due_time.isoformat())]

    async def due_count(self, now: datetime) -> int:
        return len(await self.due(now, limit=1))

    async def change(
        self, contracts: Sequence[str], change: Callable[[ContractBilling], ContractBilling]
    ) -> list[ContractBilling]:
        if self.billing is None or self.billing.contract not in contracts:
            return []
        self.billing = change(self.billing)
        return [self.billing]

    async def unbilled(self, contracts: Sequence[str]) -> list[Unbilled]:
        return [self.estimate] if self.estimate and self.estimate.contract in contracts else []

    async def correct_unbilled(self, seen: Unbilled, left_nanos: int) -> None:
        now = self.estimate
        assert now is not None
        if now.checks == seen.checks:
            nanos = now.nanos - seen.nanos + left_nanos
            self.estimate = now._replace(nanos=nanos, checks=now.checks + 1)

    async def facts(self) -> tuple[dict[str, int], int]:
        """Return the invoices and what usage has come to, as of one instant."""
        return dict(self.invoices), self.usage_nanos

    async def add(self, name: str, net_nanos: int, *, sequence: int) -> bool:
        """Store an invoice, unless its sequence is taken."""
        if sequence != len(self.invoices) + 1 or name in self.invoices:
            return False
        self.invoices[name] = net_nanos
        return True

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[bool]:
        yield True


class Followed:
    """What a process has followed, in memory, of what is stored."""

    def __init__(self, log: Log, store: Store) -> None:
        self.position = 0
        self.catalogue = Catalogue()
        self._log = log
        self._store = store

    async def wait_for(self, position: int) -> None:
        """Return when a position is followed: the follower stores it, if none has, and then shows it."""
        assert position <= len(self._log.pages)
        if position > self.position:
            await self._store.follow(position)
            await self.show(position)

    async def show(self, position: int) -> None:
        """Take what was stored up to a position into memory."""
        contract = self._log.pages[position - 1].contract
        self.catalogue = Catalogue(contracts=put(empty_index(), contract.name, contract))
        self.position = position


class FakeInvoicing:
    """Invoices in two steps, as the real ones: what they hold is read, then they are stored if nobody was faster."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def issue(self, contract: str, cycle_time: datetime, *, waive_grace: bool) -> Any:
        assert not waive_grace
        return await self._add(f"{contract} {cycle_time:%Y-%m}")

    async def issue_advance(self, contract: str, first_time: datetime) -> Any:
        return await self._add(f"{contract} {first_time:%Y-%m} ahead")

    async def issue_threshold(self, contract: str, cycle_time: datetime, *, at_least: Money) -> Any:
        """Issue what usage has come to and no invoice holds. Raises BelowThresholdError."""
        while True:
            issued, usage_nanos = await self._store.facts()
            net_nanos = usage_nanos - sum(issued.values())
            if net_nanos < at_least.nanos:
                raise BelowThresholdError(net_nanos)
            name = f"{contract} {cycle_time:%Y-%m} {len(issued) + 1}"
            if await self._store.add(name, net_nanos, sequence=len(issued) + 1):
                return _read(name, replayed=False)

    async def _add(self, name: str) -> Any:
        while True:
            issued, _ = await self._store.facts()
            if name in issued:
                return _read(name, replayed=True)
            if await self._store.add(name, 0, sequence=len(issued) + 1):
                return _read(name, replayed=False)


def _threshold_nanos(contract: Contract) -> int:
    threshold = contract.phases[0].terms.invoice_threshold
    assert threshold is not None
    return threshold.nanos


def _read(name: str, *, replayed: bool) -> Any:
    return SimpleNamespace(invoice=SimpleNamespace(name=name), replayed=replayed)


class World:
    """One contract, and all that outlives the processes that bill it."""

    def __init__(self, signed: Contract, now: datetime, *, used_units: int = 0) -> None:
        self.log = Log(signed)
        self.store = Store(self.log)
        self.grants = Grants(used_units=used_units)
        self._now = now

    async def now(self) -> datetime:
        return self._now

    def started(self, steps: Steps, *, followed: Followed | None = None) -> Billing:
        """Return billing as a new process has it."""
        store = stepped(self.store, steps)
        followed = followed or Followed(self.log, store)
        invoicing = cast("Invoicing", FakeInvoicing(store))
        billings = cast("Any", store)
        thresholds = Thresholds(store=billings, invoicing=invoicing)
        return Billing(
            included=IncludedCredit(store=billings, grants=stepped(self.grants, steps), cause_of=_cause),
            invoices=DueInvoices(invoicing=invoicing, thresholds=thresholds, waits=WAITS, cause_of=_cause),
            thresholds=thresholds,
            ledger=cast("Ledger", stepped(self.log, steps)),
            history=stepped(followed, steps),
            store=billings,
            clock=self,
            waits=WAITS,
        )

    async def use(self, nanos: int, steps: Steps) -> None:
        """Record usage, and let another process follow it."""
        await stepped(self.log, steps).use(nanos)
        await stepped(self.store, steps).follow(len(self.log.pages))

    def check(self) -> None:
        """Check what is true once nothing is due any more."""
        billing = self.store.billing
        assert billing is not None
        assert billing.failure is None
        assert billing.due_time is not None
        assert billing.due_time > self._now
        assert billing.open_allotted == []


async def run(billing: Billing) -> None:
    """Bill what is due."""
    async for _ in billing.run():
        pass


def _cause(refusal: Exception) -> Cause:
    raise AssertionError(f"nothing is refused here: {refusal}")
