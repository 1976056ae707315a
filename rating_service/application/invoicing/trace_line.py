"""From a line of an issued invoice back to what is behind it, by the rules that put it there.

Lines of usage lead to debits, with what each adds to the line; an adjustment leads to the debits that were recorded,
or taken back, since the invoices before it. Fees, bounds and commitments lead to what was agreed on the contract, and
lines that settle other documents to the ledger's records of those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from rating_service.application.invoicing.invoice_basis import contract_of
from rating_service.application.invoicing.invoice_ports import InvoiceFacts
from rating_service.application.invoicing.invoices import Invoicing
from rating_service.application.names import checked_page_size, last_position_of_page, page_token
from rating_service.application.ports import InvoiceStore, KnownDebit, LedgerEvent, Span
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.catalogue import BILL_TOPICS
from rating_service.domain.corrections.open_credits import recorded_document
from rating_service.domain.debits import DebitFact
from rating_service.domain.documents.invoice_document import CLOSING_KINDS
from rating_service.domain.invoicing.adjustments import original_key
from rating_service.domain.invoicing.invoice import Invoice, InvoiceLine, LineKey, LineKind, line_units
from rating_service.domain.invoicing.reversals import net_debit

USAGE_KINDS: Final = frozenset({LineKind.USAGE, LineKind.OVERAGE})


class LineDebit(NamedTuple):
    """A debit and the units that it adds to the line; below zero where an adjustment takes them off."""

    debit: DebitFact
    amount_units: int


class LineTrace(NamedTuple):
    """Debits by position, or events, and the token of the next page, empty if there is none."""

    debits: Sequence[LineDebit]
    events: Sequence[LedgerEvent]
    next_page_token: str


class _Known(NamedTuple):
    """What the invoice of a line rests on."""

    contract: Contract
    events: Sequence[LedgerEvent]
    since: int


class LineTracing:
    """Finds what is behind a line."""

    def __init__(self, *, invoicing: Invoicing, facts: InvoiceFacts, store: InvoiceStore) -> None:
        """Read invoices, agreements and debits from where they are kept."""
        self._invoicing = invoicing
        self._facts = facts
        self._store = store

    async def trace(self, name: str, line_id: str, *, page_size: int, token: str) -> LineTrace:
        """Return a page of what is behind a line. Refuses INVOICE_NOT_FOUND, INVOICE_LINE_NOT_FOUND."""
        limit = checked_page_size(page_size)
        after = last_position_of_page(token)
        invoice = (await self._invoicing.get(name)).invoice
        line = _line(invoice, line_id)
        known = await asyncio.to_thread(self._known, invoice, line)
        if original_key(line.key).kind not in USAGE_KINDS:
            return LineTrace([], _events_behind(line, known), "")
        found = await self._read(known, invoice, line, after=after, count=limit + 1)
        more = len(found) > limit
        token = page_token(str(found[limit - 1].debit.position)) if more else ""
        return LineTrace(found[:limit], [], token)

    def _known(self, invoice: Invoice, line: InvoiceLine) -> _Known:
        """Return what was known when the invoice was computed. Blocking."""
        with self._facts.open() as facts:
            events = facts.agreements(invoice.contract, invoice.watermark_position)
            earlier = [
                head.watermark_position
                for head in facts.heads(invoice.contract)
                if head.sequence < invoice.sequence and head.kind in CLOSING_KINDS
            ]
        contract = contract_of(invoice.contract, events)
        assert contract is not None, "an issued invoice has a contract"
        return _Known(contract, events, max(earlier, default=0) if line.adjusted else 0)

    async def _read(
        self, known: _Known, invoice: Invoice, line: InvoiceLine, *, after: int, count: int
    ) -> list[LineDebit]:
        """Return up to `count` debits: the store narrows them down, the domain decides which belong."""
        cycle = line.adjusted.cycle if line.adjusted else invoice.cycle
        contract = known.contract
        span = Span(
            contract.name, contract.wallet, cycle.start_time, cycle.end_time, invoice.watermark_position
        )
        found: list[LineDebit] = []
        while len(found) < count:
            candidates = await self._store.line_debits(
                span, line.key, since=known.since, after=after, limit=count
            )
            for candidate in candidates:
                units = _units_added(known, candidate, original_key(line.key))
                if units is not None:
                    found.append(LineDebit(candidate.debit, units))
            if len(candidates) < count:
                break
            after = candidates[-1].debit.position
        return found[:count]


def _units_added(known: _Known, candidate: KnownDebit, key: LineKey) -> int | None:
    """Return what a debit adds to a line since the position that was counted before, None if nothing."""
    debit, reversals = candidate
    before = [each for each in reversals if each.position <= known.since]
    now_units = _units(known.contract, net_debit(debit, reversals), key)
    if debit.position > known.since:
        return now_units
    before_units = _units(known.contract, net_debit(debit, before), key)
    if now_units == before_units:
        return None
    return (now_units or 0) - (before_units or 0)


def _units(contract: Contract, debit: DebitFact | None, key: LineKey) -> int | None:
    return None if debit is None else line_units(contract, debit).get(key)


def _events_behind(line: InvoiceLine, known: _Known) -> list[LedgerEvent]:
    """Return the contract's events, or of a line that rests on a document the event that recorded it."""
    if line.source:
        return [
            event
            for event in known.events
            if event.topic in BILL_TOPICS and recorded_document(event.state) == line.source
        ]
    if line.key.kind is LineKind.CREDIT_DUE:
        return []
    return [event for event in known.events if event.topic not in BILL_TOPICS]


def _line(invoice: Invoice, line_id: str) -> InvoiceLine:
    if not line_id:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, "line_id is required", field="line_id")
    for line in invoice.lines:
        if line.line_id == line_id:
            return line
    raise RequestRefused(
        RequestReason.INVOICE_LINE_NOT_FOUND, f"{invoice.name} has no line {line_id[:80]!r}", field="line_id"
    )
