"""Invoices: preview, issue, read and trace.

An invoice is computed from what the ledger recorded up to a watermark, a position of its log. Issuing stores
the canonical document with its hash; a cycle has one invoice for ever, whoever asks and however often,
because the store takes the first one only.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

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
    InvoiceFacts,
    InvoiceStore,
    Ledger,
    Span,
    StoredInvoice,
)
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain import catalogue as catalogues
from rating_service.domain.agreement import Contract
from rating_service.domain.contract_life import end_of
from rating_service.domain.cycles import CycleBounds, cycle_at
from rating_service.domain.invoice import Invoice, compute_invoice, document, document_hash, read_document

NAME_TIME_FORMAT: Final = "%Y%m%dT%H%M%SZ"
ISSUE_ATTEMPTS_MAX: Final = 8
"""How often an invoice is computed again because another of the contract was issued meanwhile."""


class ReadInvoice(msgspec.Struct, frozen=True):
    """An invoice with its document as stored, or as it would be."""

    invoice: Invoice
    document: bytes
    hash: str
    replayed: bool = False
    """True if an earlier call had issued it."""


class InvoicePage(NamedTuple):
    """Invoices by name, and the token of the next page, empty if there is none."""

    invoices: list[ReadInvoice]
    next_page_token: str


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
        grace: timedelta,
    ) -> None:
        """Invoices may be issued `grace` after their cycle's end, or before if the caller waives it."""
        self._ledger = ledger
        self._history = history
        self._facts = facts
        self._store = store
        self._clock = clock
        self._grace = grace

    async def preview(self, contract_name: str, cycle_time: datetime, *, min_position: int) -> ReadInvoice:
        """Return the invoice of the cycle that holds an instant, as it would be issued now."""
        check_contract(contract_name, field="contract")
        if checked_position(min_position):
            await self._history.wait_for(min_position)
            watermark = self._history.position
        else:
            watermark = await self._head()
        contract, cycle = self._cycle(contract_name, cycle_time)
        return _as_read(await asyncio.to_thread(self._compute, contract, cycle, watermark))

    async def issue(self, contract_name: str, cycle_time: datetime, *, waive_grace: bool) -> ReadInvoice:
        """Issue the invoice of the cycle that holds an instant, or return the one that was issued.

        Refuses CYCLE_NOT_ENDED, GRACE_NOT_OVER.
        """
        check_contract(contract_name, field="contract")
        watermark = await self._head()
        contract, cycle = self._cycle(contract_name, cycle_time)
        earlier = await self._store.of_cycle(contract.name, cycle.start_time)
        if earlier is not None:
            return _read(earlier, replayed=True)
        now = await self._clock.now()
        self._check_ended(cycle, now, waive_grace=waive_grace)
        for _ in range(ISSUE_ATTEMPTS_MAX):
            stored = await self._issued(contract, cycle, watermark, now)
            if await self._store.add(stored):
                return _read(stored)
            earlier = await self._store.of_cycle(contract.name, cycle.start_time)
            if earlier is not None:
                return _read(earlier, replayed=True)
        raise RequestRefused(
            RequestReason.INVOICES_CONTENDED, f"{contract.name} is being invoiced; try again"
        )

    async def get(self, name: str) -> ReadInvoice:
        """Return an issued invoice. Refuses INVOICE_NOT_FOUND."""
        check_invoice(name, field="name")
        stored = await self._store.named(name)
        if stored is None:
            raise RequestRefused(RequestReason.INVOICE_NOT_FOUND, f"{name} was not issued", field="name")
        return _read(stored)

    async def list(self, *, contract: str, page_size: int, token: str) -> InvoicePage:
        """Return a page of issued invoices by name, only a contract's unless it is empty."""
        if contract:
            check_contract(contract, field="contract")
        limit = checked_page_size(page_size)
        found = await self._store.page(contract=contract, after=last_of_page(token), limit=limit + 1)
        more = len(found) > limit
        return InvoicePage(
            [_read(stored) for stored in found[:limit]], page_token(found[limit - 1].name) if more else ""
        )

    async def _head(self) -> int:
        """Return the log's head once everything up to it was followed."""
        head = await self._ledger.head_position()
        await self._history.wait_for(head)
        return head

    def _cycle(self, contract_name: str, cycle_time: datetime) -> tuple[Contract, CycleBounds]:
        contract = catalogues.contract(self._history.catalogue, contract_name)
        cycle = cycle_at(contract.cycle, cycle_time)
        last_end = end_of(contract)
        if cycle.end_time <= contract.start_time or (last_end is not None and cycle.start_time >= last_end):
            raise RequestRefused(
                RequestReason.CYCLE_OUTSIDE_CONTRACT,
                f"{contract_name} was not in force in the cycle from {cycle.start_time:%Y-%m-%d}",
                field="cycle_time",
            )
        return contract, cycle

    def _check_ended(self, cycle: CycleBounds, now: datetime, *, waive_grace: bool) -> None:
        if now < cycle.end_time:
            raise RequestRefused(
                RequestReason.CYCLE_NOT_ENDED,
                f"the cycle ends at {cycle.end_time.isoformat()}",
                field="cycle_time",
                cycle_end_time=cycle.end_time.isoformat(),
            )
        issuable = cycle.end_time + self._grace
        if now < issuable and not waive_grace:
            raise RequestRefused(
                RequestReason.GRACE_NOT_OVER,
                f"late usage is waited for until {issuable.isoformat()}; waive_grace issues the invoice now",
                field="waive_grace",
                grace_end_time=issuable.isoformat(),
            )

    def _compute(
        self,
        contract: Contract,
        cycle: CycleBounds,
        watermark: int,
        *,
        name: str = "",
        issue_time: datetime | None = None,
        sequence: int = 0,
    ) -> Invoice:
        """Compute in a worker thread, while the event loop goes on serving."""
        with self._facts.read(Span(contract.wallet, cycle.start_time, cycle.end_time, watermark)) as facts:
            return compute_invoice(
                contract=contract,
                cycle=cycle,
                debits=facts.debits,
                grants=facts.grants,
                reversals=facts.reversals,
                watermark_position=watermark,
                name=name,
                issue_time=issue_time,
                sequence=sequence,
            )

    async def _issued(
        self, contract: Contract, cycle: CycleBounds, watermark: int, now: datetime
    ) -> StoredInvoice:
        """Return the invoice to be stored as the one after those that were issued so far."""
        heads = await self._store.heads(contract.name)
        invoice = await asyncio.to_thread(
            self._compute,
            contract,
            cycle,
            watermark,
            name=invoice_name(contract.name, cycle),
            issue_time=now,
            sequence=len(heads) + 1,
        )
        return _stored(invoice, issue_time=now)


def invoice_name(contract_name: str, cycle: CycleBounds) -> str:
    """Return the name of a cycle's invoice: contract and first second, so that names sort by cycle.

    The time has a fixed length, so two contracts never share a name.
    """
    start = cycle.start_time.astimezone(UTC).strftime(NAME_TIME_FORMAT)
    return f"invoices/{contract_name.removeprefix('contracts/')}-{start}"


def _stored(invoice: Invoice, *, issue_time: datetime) -> StoredInvoice:
    text = document(invoice)
    return StoredInvoice(
        name=invoice.name,
        contract=invoice.contract,
        cycle_start_time=invoice.cycle.start_time,
        cycle_end_time=invoice.cycle.end_time,
        issue_time=issue_time,
        watermark_position=invoice.watermark_position,
        hash=document_hash(text),
        document=text,
        kind=invoice.kind.value,
        sequence=invoice.sequence,
    )


def _read(stored: StoredInvoice, *, replayed: bool = False) -> ReadInvoice:
    return ReadInvoice(read_document(stored.document), stored.document, stored.hash, replayed)


def _as_read(preview: Invoice) -> ReadInvoice:
    text = document(preview)
    return ReadInvoice(preview, text, document_hash(text))
