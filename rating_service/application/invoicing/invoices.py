"""Invoices: preview, issue, read and trace.

An invoice is computed from what the ledger recorded up to a watermark, a position of its log. Issuing stores
the canonical document with its hash; a cycle has one invoice for ever, whoever asks and however often,
because the store takes the first one only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from rating_service.application.invoicing.invoice_basis import Basis, InvoiceOrder
from rating_service.application.invoicing.invoice_computation import (
    OvertakenError,
    basis_of,
    invoice_on,
    recomputed,
)
from rating_service.application.invoicing.invoice_names import (
    InvoicePage,
    ReadInvoice,
    advance_name,
    as_read,
    invoice_name,
    read_stored,
    stored_invoice,
)
from rating_service.application.invoicing.invoice_ports import InvoiceFacts
from rating_service.application.invoicing.ledger_records import LedgerRecords
from rating_service.application.names import (
    check_contract,
    check_invoice,
    checked_page_size,
    checked_position,
    last_of_page,
    page_token,
)
from rating_service.application.ports import (
    Clock,
    History,
    InvoiceHead,
    InvoiceStore,
    Ledger,
    StoredInvoice,
)
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements import catalogue as catalogues
from rating_service.domain.agreements.agreement import Money, TaxRate
from rating_service.domain.agreements.contract_life import closing_time
from rating_service.domain.invoicing.invoice import Invoice, InvoiceKind

ISSUE_ATTEMPTS_MAX: Final = 8
"""How often an invoice is computed again because another of the contract was issued meanwhile."""

Check = Callable[[Basis, datetime], str]
"""Refuses what may not be issued at an instant, and returns the name of what may."""


class BelowThresholdError(Exception):
    """The usage of a cycle has not come to the threshold."""

    def __init__(self, net_nanos: int) -> None:
        """Keep what it has come to."""
        super().__init__(f"{net_nanos} nanos are below the threshold")
        self.net_nanos = net_nanos


class Invoicing:
    """Computes, issues and reads invoices."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        history: History,
        facts: InvoiceFacts,
        store: InvoiceStore,
        clock: Clock,
        records: LedgerRecords,
        grace: timedelta,
    ) -> None:
        """Invoices may be issued `grace` after their cycle's or contract's end, or before if the caller waives it."""
        self._ledger = ledger
        self._history = history
        self._facts = facts
        self._store = store
        self._clock = clock
        self._records = records
        self._grace = grace

    async def preview(
        self,
        contract_name: str,
        cycle_time: datetime | None,
        *,
        min_position: int = 0,
        watermark_position: int = 0,
        taxes: tuple[TaxRate, ...] | None = None,
    ) -> ReadInvoice:
        """Return the invoice of the cycle that holds an instant, now if none, as it would be issued now; or that was.

        A watermark gives it as it would have been issued at that position. Refuses WATERMARK_BEYOND_LOG,
        WATERMARK_BEFORE_CONTRACT.
        """
        check_contract(contract_name, field="contract")
        if checked_position(min_position):
            await self._history.wait_for(min_position)
            watermark = self._history.position
        else:
            watermark = await self._head()
        if watermark_position:
            watermark = _checked_watermark(watermark_position, head=watermark)
        self._check_known(contract_name)
        held = cycle_time or await self._clock.now()
        order = InvoiceOrder(contract_name, held, watermark, taxes=taxes, as_known=True)
        computed = await asyncio.to_thread(self._computed, order)
        return as_read(computed) if isinstance(computed, Invoice) else await self.get(computed.name)

    async def issue(
        self,
        contract_name: str,
        cycle_time: datetime,
        *,
        waive_grace: bool,
        taxes: tuple[TaxRate, ...] | None = None,
    ) -> ReadInvoice:
        """Issue the invoice of the cycle that holds an instant, or return the one that was issued.

        Refuses CYCLE_NOT_ENDED, GRACE_NOT_OVER.
        """
        check_contract(contract_name, field="contract")

        def check(basis: Basis, now: datetime) -> str:
            self._check_ended(closing_time(basis.contract, basis.cycle), now, waive_grace=waive_grace)
            return invoice_name(contract_name, basis.cycle)

        return await self._issue(contract_name, cycle_time, InvoiceKind.CYCLE, taxes, check)

    async def issue_threshold(
        self,
        contract_name: str,
        cycle_time: datetime,
        *,
        at_least: Money | None = None,
        taxes: tuple[TaxRate, ...] | None = None,
    ) -> ReadInvoice:
        """Issue what the usage of a running cycle has come to, less what was issued of it so far.

        If the cycle's own invoice was issued, that one is returned. Raises BelowThresholdError if the net amount is
        less than `at_least`, or in another currency; without it any amount is issued.
        """
        check_contract(contract_name, field="contract")

        def check(basis: Basis, now: datetime) -> str:
            del now
            return f"{invoice_name(contract_name, basis.cycle)}-{basis.sequence}"

        return await self._issue(
            contract_name, cycle_time, InvoiceKind.THRESHOLD, taxes, check, at_least=at_least
        )

    async def issue_advance(self, contract_name: str, first_time: datetime) -> ReadInvoice:
        """Issue a first cycle's fees in advance, or return what was issued of it. Refuses CYCLE_OUTSIDE_CONTRACT."""

        def check(basis: Basis, now: datetime) -> str:
            del now
            return advance_name(contract_name, basis.cycle)

        return await self._issue(contract_name, first_time, InvoiceKind.ADVANCE, None, check)

    async def recomputed(self, stored: StoredInvoice) -> bytes:
        """Return the document of an issued invoice, computed from history as of its watermark.

        Raises Refusal, RequestRefused, StoreUnavailableError.
        """
        return await asyncio.to_thread(recomputed, self._facts, stored)

    async def get(self, name: str) -> ReadInvoice:
        """Return an issued invoice. Refuses INVOICE_NOT_FOUND."""
        check_invoice(name, field="name")
        stored = await self._store.named(name)
        if stored is None:
            raise RequestRefused(RequestReason.INVOICE_NOT_FOUND, f"{name} was not issued", field="name")
        return read_stored(stored)

    async def list(self, *, contract: str, page_size: int, token: str) -> InvoicePage:
        """Return a page of issued invoices by name, only a contract's unless it is empty."""
        if contract:
            check_contract(contract, field="contract")
        limit = checked_page_size(page_size)
        found = await self._store.page(contract=contract, after=last_of_page(token), limit=limit + 1)
        more = len(found) > limit
        return InvoicePage(
            [read_stored(stored) for stored in found[:limit]],
            page_token(found[limit - 1].name) if more else "",
        )

    async def _issue(
        self,
        contract_name: str,
        cycle_time: datetime,
        kind: InvoiceKind,
        taxes: tuple[TaxRate, ...] | None,
        check: Check,
        *,
        at_least: Money | None = None,
    ) -> ReadInvoice:
        """Compute and store an invoice; again if another of the contract was issued meanwhile."""
        for _ in range(ISSUE_ATTEMPTS_MAX):
            watermark = await self._head()
            self._check_known(contract_name)
            now = await self._clock.now()
            order = InvoiceOrder(contract_name, cycle_time, watermark, kind=kind, taxes=taxes, issue_time=now)
            try:
                computed = await asyncio.to_thread(self._computed, order, check)
            except OvertakenError:
                continue
            if isinstance(computed, InvoiceHead):
                return msgspec.structs.replace(await self.get(computed.name), replayed=True)
            if at_least is not None:
                _check_reached(computed.net, at_least)
            stored = stored_invoice(computed, issue_time=now)
            if await self._store.add(stored):
                return read_stored(stored)
            # A credit note that only waits to be recorded is known to the next computation.
            await self._records.send(contract_name)
        raise RequestRefused(
            RequestReason.INVOICES_CONTENDED, f"{contract_name} is being invoiced; try again"
        )

    async def _head(self) -> int:
        """Return the log's head once everything up to it was followed."""
        head = await self._ledger.head_position()
        await self._history.wait_for(head)
        return head

    def _check_known(self, contract_name: str) -> None:
        """Refuse UNKNOWN_CONTRACT."""
        catalogues.contract(self._history.catalogue, contract_name)

    def _check_ended(self, end_time: datetime, now: datetime, *, waive_grace: bool) -> None:
        if now < end_time:
            raise RequestRefused(
                RequestReason.CYCLE_NOT_ENDED,
                f"the cycle ends at {end_time.isoformat()}",
                field="cycle_time",
                cycle_end_time=end_time.isoformat(),
            )
        issuable = end_time + self._grace
        if now < issuable and not waive_grace:
            raise RequestRefused(
                RequestReason.GRACE_NOT_OVER,
                f"late usage is waited for until {issuable.isoformat()}; waive_grace issues the invoice now",
                field="waive_grace",
                grace_end_time=issuable.isoformat(),
            )

    def _computed(self, order: InvoiceOrder, check: Check | None = None) -> Invoice | InvoiceHead:
        """Compute in a worker thread, while the event loop goes on serving. Return which invoice closed the cycle.

        Raises OvertakenError.
        """
        with self._facts.open() as facts:
            basis = basis_of(facts, order)
            issued = basis.closed_by or basis.advance_of(order.kind)
            if issued is not None:
                return issued
            if check is not None:
                assert order.issue_time is not None, "what is issued has a time"
                order = msgspec.structs.replace(order, name=check(basis, order.issue_time))
            return invoice_on(facts, basis, order)


def _check_reached(net: Money | None, at_least: Money) -> None:
    """Raise BelowThresholdError unless an amount is so much or more."""
    if net is None or net.currency_code != at_least.currency_code:
        raise BelowThresholdError(0)
    if net.nanos < at_least.nanos:
        raise BelowThresholdError(net.nanos)


def _checked_watermark(watermark_position: int, *, head: int) -> int:
    """Return a position of the log. Refuses NUMBER_OUT_OF_RANGE, WATERMARK_BEYOND_LOG."""
    if watermark_position < 0:
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE, "watermark_position is negative", field="watermark_position"
        )
    if watermark_position > head:
        raise RequestRefused(
            RequestReason.WATERMARK_BEYOND_LOG,
            f"the log ends at position {head}",
            field="watermark_position",
            head_position=str(head),
        )
    return watermark_position
