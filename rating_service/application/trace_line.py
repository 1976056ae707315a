"""From a line of an issued invoice back to the debits behind it, by the rule that put them there."""

from __future__ import annotations

from typing import NamedTuple

from rating_service.application.invoices import Invoicing
from rating_service.application.names import checked_page_size, last_position_of_page, page_token
from rating_service.application.ports import History, InvoiceStore, Span
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain import catalogue as catalogues
from rating_service.domain.agreement import Contract
from rating_service.domain.debits import DebitFact
from rating_service.domain.invoice import Invoice, InvoiceLine, LineKey, LineKind, line_units


class LineDebit(NamedTuple):
    """A debit and the units that it adds to the line."""

    debit: DebitFact
    amount_units: int


class LineDebitPage(NamedTuple):
    """Debits by position, and the token of the next page, empty if there is none."""

    debits: list[LineDebit]
    next_page_token: str


class LineTracing:
    """Finds the debits behind a line."""

    def __init__(self, *, invoicing: Invoicing, history: History, store: InvoiceStore) -> None:
        """Read invoices and debits from where they are kept."""
        self._invoicing = invoicing
        self._history = history
        self._store = store

    async def trace(self, name: str, line_id: str, *, page_size: int, token: str) -> LineDebitPage:
        """Return a page of the debits behind a line. Refuses INVOICE_NOT_FOUND, INVOICE_LINE_NOT_FOUND."""
        limit = checked_page_size(page_size)
        after = last_position_of_page(token)
        invoice = (await self._invoicing.get(name)).invoice
        key = _line(invoice, line_id).key
        if key.kind is LineKind.BASE_FEE:
            return LineDebitPage([], "")
        contract = catalogues.contract(self._history.catalogue, invoice.contract)
        found = await self._read(contract, invoice, key, after=after, count=limit + 1)
        more = len(found) > limit
        token = page_token(str(found[limit - 1].debit.position)) if more else ""
        return LineDebitPage(found[:limit], token)

    async def _read(
        self, contract: Contract, invoice: Invoice, key: LineKey, *, after: int, count: int
    ) -> list[LineDebit]:
        """Return up to `count` debits: the store narrows them down, the domain decides which belong."""
        cycle = invoice.cycle
        span = Span(contract.wallet, cycle.start_time, cycle.end_time, invoice.watermark_position)
        found: list[LineDebit] = []
        while len(found) < count:
            candidates = await self._store.line_debits(span, key, after=after, limit=count)
            for debit in candidates:
                units = line_units(contract, debit).get(key)
                if units is not None:
                    found.append(LineDebit(debit, units))
            if len(candidates) < count:
                break
            after = candidates[-1].position
        return found[:count]


def _line(invoice: Invoice, line_id: str) -> InvoiceLine:
    if not line_id:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, "line_id is required", field="line_id")
    for line in invoice.lines:
        if line.line_id == line_id:
            return line
    raise RequestRefused(
        RequestReason.INVOICE_LINE_NOT_FOUND, f"{invoice.name} has no line {line_id[:80]!r}", field="line_id"
    )
