"""Billing contracts: included credit ahead of each cycle, and an invoice after it, each exactly once.

A turn takes some contracts to where they should be by an instant. First it plans their included credit and stores
the plan; then it asks the ledger for what is planned, under keys that the plan fixed; then it issues the invoices of
the cycles whose grace is over, oldest first; then it notes how far each contract is and when it is due again. Every
step may be done again, by any number of services at once: the plan is made under the lock of its row, the ledger
answers a key once, and a cycle has one invoice. So a kill at any moment costs one turn and changes no outcome.

What is refused stops the contract it is about and no other. It is kept with its reason, tried again after a pause,
and at once when the contract changes or billing is asked for. What is merely away (the ledger, the database) ends
the turn with an error; nothing was noted, so that the next turn begins where this one did.

A change of a contract is in the store before it is in the catalogue. So a contract of which the store knows more than
the turn did stays due, and the next turn waits for the catalogue.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

import msgspec
import structlog

from rating_service.application.invoicing.bill_thresholds import Thresholds
from rating_service.application.invoicing.billing_ports import BillingStore
from rating_service.application.invoicing.grant_included import IncludedCredit
from rating_service.application.invoicing.issue_due import Billed, DueInvoices
from rating_service.application.names import check_contract
from rating_service.application.ports import Clock, History, Ledger
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements import catalogue as catalogues
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.index import find
from rating_service.domain.invoicing.billing import (
    ContractBilling,
    Failure,
    Waits,
    failed,
    next_time,
    retry_time,
)

TURN_CONTRACTS_MAX: Final = 64
"""Contracts that one turn takes; their rows are changed in one transaction before it and one after it."""
log = structlog.get_logger("rating.billing")

T = TypeVar("T")


class ContractFailure(NamedTuple):
    """A contract whose billing could not go on, and why."""

    contract: str
    failure: Failure


class Progress(NamedTuple):
    """How far a run is: counts so far, and what came with this step."""

    contracts_count: int
    contracts_done: int = 0
    grants_count: int = 0
    invoices_count: int = 0
    invoices: tuple[str, ...] = ()
    failures: tuple[ContractFailure, ...] = ()


class Billing:
    """Bills contracts. `run` may be asked at any time; the runner asks by the clock."""

    def __init__(
        self,
        *,
        included: IncludedCredit,
        invoices: DueInvoices,
        thresholds: Thresholds,
        ledger: Ledger,
        history: History,
        store: BillingStore,
        clock: Clock,
        waits: Waits,
    ) -> None:
        """Bill what was followed of the ledger."""
        self._included = included
        self._invoices = invoices
        self._thresholds = thresholds
        self._ledger = ledger
        self._history = history
        self._store = store
        self._clock = clock
        self._waits = waits

    async def run(
        self, *, contract: str = "", until: datetime | None = None
    ) -> AsyncGenerator[Progress, None]:
        """Bill what is due by an instant, now unless told, of one contract or of all; again changes nothing.

        Refuses TIME_MALFORMED for an instant ahead of the clock, UNKNOWN_CONTRACT.
        """
        now = await self._clock.now()
        if until is not None and until > now:
            raise RequestRefused(
                RequestReason.TIME_MALFORMED,
                f"until_time lies ahead of {now.isoformat()}",
                field="until_time",
            )
        now = until or now
        await self._history.wait_for(await self._ledger.head_position())
        if contract:
            check_contract(contract, field="contract")
            catalogues.contract(self._history.catalogue, contract)
            async for progress in self._turns(Progress(1), [contract], now):
                yield progress
            return
        async for progress in self._run_due(now):
            yield progress

    async def adjust_included(self, contract: str) -> None:
        """Make the included grants of a contract what they should be by what was followed of it.

        A change of the contract does so by itself soon; whoever needs it done calls this. Refuses what the ledger
        refuses. Raises LedgerUnavailableError, StoreUnavailableError.
        """
        async for progress in self.run(contract=contract):
            for each in progress.failures:
                if each.failure.cycle_start_time is None:
                    raise RequestRefused(
                        RequestReason.INCLUDED_CREDIT_REFUSED, each.failure.message, contract=contract
                    )

    async def _run_due(self, now: datetime) -> AsyncGenerator[Progress, None]:
        so_far = Progress(await self._store.due_count(now))
        yield so_far
        due = await self._store.due(now, limit=TURN_CONTRACTS_MAX)
        while due:
            async for progress in self._turns(so_far, [each.contract for each in due], now):
                yield progress
                so_far = progress
            # What became due meanwhile waits for the next run, and what failed for its time.
            due = await self._store.due(now, limit=TURN_CONTRACTS_MAX, after=due[-1])

    async def _turns(
        self, progress: Progress, contracts: Sequence[str], now: datetime
    ) -> AsyncGenerator[Progress, None]:
        """Take turns with some contracts until none of them is due by now any more, or has failed."""
        left = list(contracts)
        while left:
            progress, more = await self._turn(progress, left, now)
            done = progress.contracts_done + len(left) - len(more)
            progress = progress._replace(
                contracts_done=done, contracts_count=max(progress.contracts_count, done)
            )
            left = [each.contract for each in more]
            yield progress
            # What changed in the store during a turn is in the catalogue before the next.
            await self._history.wait_for(max((each.change_position for each in more), default=0))

    async def _turn(
        self, progress: Progress, contracts: Sequence[str], now: datetime
    ) -> tuple[Progress, list[ContractBilling]]:
        """Return the progress after a turn, and which of its contracts have more to do by now."""
        position, catalogue = self._history.position, self._history.catalogue
        known = {name: found for name in contracts if (found := find(catalogue.contracts, name)) is not None}
        granted = await self._included.grant(known, now, position)
        reached = await self._thresholds.reached(known, now)
        billed = await _gathered(
            [
                self._invoices.issue(
                    known[each.billing.contract], each.billing, reached.get(each.billing.contract), now
                )
                for each in granted.contracts
            ]
        )
        outcomes = {
            each.billing.contract: outcome._replace(failure=outcome.failure or each.failure)
            for each, outcome in zip(granted.contracts, billed, strict=True)
        }
        after = await self._store.change(
            list(outcomes),
            lambda billing: self._noted(
                billing, known[billing.contract], outcomes[billing.contract], now, position
            ),
        )
        failures = [
            ContractFailure(each.contract, each.failure)
            for each in after
            if outcomes[each.contract].failure is not None and each.failure is not None
        ]
        for failure in failures:
            log.warning("contract_not_billed", contract=failure.contract, reason=failure.failure.reason)
        invoices = tuple(name for outcome in billed for name in outcome.invoices)
        return progress._replace(
            grants_count=progress.grants_count + granted.grants_count,
            invoices_count=progress.invoices_count + len(invoices),
            invoices=invoices,
            failures=tuple(failures),
        ), [each for each in after if each.due_time is not None and each.due_time <= now]

    def _noted(
        self, billing: ContractBilling, contract: Contract, outcome: Billed, now: datetime, position: int
    ) -> ContractBilling:
        """Return a billing after a turn that knew the log up to a position; what changed after it stays due."""
        failure = outcome.failure
        if failure is not None:
            failure = failed(billing.failure, failure)
        billed = [each for each in (billing.billed_until, outcome.billed_until) if each is not None]
        after = msgspec.structs.replace(billing, billed_until=max(billed, default=None), failure=failure)
        if billing.change_position > position:
            return after
        due_time = (
            retry_time(failure) if failure is not None else next_time(after, contract, now, self._waits)
        )
        return msgspec.structs.replace(after, due_time=due_time)


async def _gathered(works: Sequence[Awaitable[T]]) -> list[T]:
    """Return the results of works done side by side, once all have ended; then raise what one of them raised."""
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes  # type: ignore[return-value]
