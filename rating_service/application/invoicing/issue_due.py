"""Issuing what is due of a contract: invoices of cycles whose grace is over, oldest first, and from thresholds on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import uuid4

import structlog

from rating_service.application.invoicing.bill_thresholds import Thresholds
from rating_service.application.invoicing.billing_ports import Unbilled
from rating_service.application.invoicing.invoice_names import ReadInvoice
from rating_service.application.invoicing.invoices import Invoicing
from rating_service.application.metering.quarantine import Cause
from rating_service.application.ports import (
    LedgerRefused,
    LedgerUnavailableError,
    StoreUnavailableError,
)
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.invoicing.billing import ContractBilling, Failure, Waits, due_cycles, owes_advance
from rating_service.domain.refusals import Refusal

IN_FLIGHT_MAX: Final = 16
"""Contracts that are invoiced at once."""

log = structlog.get_logger("rating.billing")

CauseOf = Callable[[Refusal | RequestRefused | LedgerRefused], Cause]


class Billed(NamedTuple):
    """What was done for a contract: up to where it is billed, the new invoices, and what kept it from going on."""

    billed_until: datetime | None = None
    invoices: tuple[str, ...] = ()
    failure: Failure | None = None


class DueInvoices:
    """Issues what is due of contracts."""

    def __init__(
        self, *, invoicing: Invoicing, thresholds: Thresholds, waits: Waits, cause_of: CauseOf
    ) -> None:
        """Issue invoices when their grace is over; `cause_of` says why something was refused."""
        self._invoicing = invoicing
        self._thresholds = thresholds
        self._waits = waits
        self._cause_of = cause_of
        self._limit = asyncio.Semaphore(IN_FLIGHT_MAX)

    async def issue(
        self, contract: Contract, billing: ContractBilling, unbilled: Unbilled | None, now: datetime
    ) -> Billed:
        """Issue what is due of a contract by an instant, up to the first invoice that is refused.

        Raises what means that the ledger, its history or the database is away.
        """
        billed = Billed(billing.billed_until)
        async with self._limit:
            if now >= contract.start_time and owes_advance(billing, contract):
                first = cycle_at(contract.cycle, contract.start_time)
                issued = await self._tried(self._advance(contract), contract, first.start_time, now)
                if isinstance(issued, Failure):
                    return billed._replace(failure=issued)
                billed = billed._replace(invoices=tuple(issued))
            for cycle in due_cycles(billing, contract, now, self._waits):
                issued = await self._tried(self._close(contract, cycle), contract, cycle.start_time, now)
                if isinstance(issued, Failure):
                    return billed._replace(failure=issued)
                invoices = (*billed.invoices, *issued)
                billed = billed._replace(billed_until=cycle.end_time, invoices=invoices)
            if unbilled is not None:
                work = self._thresholds.issue(contract, unbilled, now)
                issued = await self._tried(work, contract, unbilled.cycle_start_time, now)
                if isinstance(issued, Failure):
                    return billed._replace(failure=issued)
                billed = billed._replace(invoices=(*billed.invoices, *issued))
        return billed

    async def _advance(self, contract: Contract) -> Sequence[str]:
        """Issue the fees in advance of a contract's first cycle, unless they were; return the name of what is new."""
        return await self._unless_outside(self._invoicing.issue_advance(contract.name, contract.start_time))

    async def _close(self, contract: Contract, cycle: CycleBounds) -> Sequence[str]:
        """Issue the invoice of a cycle, unless it was; return the name of one that is new."""
        moment = max(cycle.start_time, contract.start_time)
        return await self._unless_outside(self._invoicing.issue(contract.name, moment, waive_grace=False))

    async def _unless_outside(self, work: Awaitable[ReadInvoice]) -> Sequence[str]:
        """Return the name of an invoice if it is new; none where there is nothing to invoice."""
        try:
            issued = await work
        except RequestRefused as refused:
            if refused.reason is not RequestReason.CYCLE_OUTSIDE_CONTRACT:
                raise
            # The contract had ended, and nothing was learned that would have to be adjusted.
            return ()
        return () if issued.replayed else (issued.invoice.name,)

    async def _tried(
        self, work: Awaitable[Sequence[str]], contract: Contract, cycle_start_time: datetime, now: datetime
    ) -> Sequence[str] | Failure:
        """Return what work came to, or why it was refused."""
        try:
            return await work
        except (LedgerUnavailableError, StoreUnavailableError):
            raise
        except (Refusal, RequestRefused, LedgerRefused) as refused:
            if isinstance(refused, RequestRefused) and refused.reason is RequestReason.HISTORY_BEHIND:
                raise
            cause = self._cause_of(refused)
            return Failure(cause.reason, cause.message, now, cycle_start_time=cycle_start_time)
        except Exception:
            # A fault of ours in one contract must not keep all others from their invoices.
            incident_id = uuid4().hex
            log.exception("unexpected_error", incident_id=incident_id, contract=contract.name)
            message = f"internal error, incident {incident_id}"
            return Failure("INTERNAL", message, now, cycle_start_time=cycle_start_time)
