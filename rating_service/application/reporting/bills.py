"""Issued invoices in short, each with what changed since the cycle before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from rating_service.application.names import check_contract, checked_page_size, last_of_page, page_token
from rating_service.application.ports import History, InvoiceStore, StoredInvoice
from rating_service.domain.agreements import catalogue as catalogues
from rating_service.domain.agreements.agreement import Contract, Money
from rating_service.domain.agreements.cycles import cycle_at
from rating_service.domain.documents.invoice_document import CLOSING_KINDS, InvoiceKind
from rating_service.domain.invoicing.invoice import read_document

INSTANT: Final = timedelta(microseconds=1)


class Bill(NamedTuple):
    """An issued invoice. `difference` is to the invoice that closed the cycle before.

    It is None for an invoice that closes no cycle, where the cycle before has none, and where currencies differ.
    """

    invoice: str
    kind: InvoiceKind
    cycle_start_time: datetime
    cycle_end_time: datetime
    issue_time: datetime
    total: Money
    difference: Money | None


class BillPage(NamedTuple):
    """Bills by name, which is by cycle, and the token of the next page, empty if there is none."""

    bills: Sequence[Bill]
    next_page_token: str


class BillListing:
    """Lists bills."""

    def __init__(self, *, history: History, store: InvoiceStore) -> None:
        """List what is in a store, of contracts that a history knows."""
        self._history = history
        self._store = store

    async def list(self, contract_name: str, *, page_size: int, token: str) -> BillPage:
        """Return a page of a contract's bills, oldest first. Refuses UNKNOWN_CONTRACT."""
        check_contract(contract_name, field="contract")
        limit = checked_page_size(page_size)
        after = last_of_page(token)
        contract = catalogues.contract(self._history.catalogue, contract_name)
        found = await self._store.page(contract=contract_name, after=after, limit=limit + 1)
        closing = {each.cycle_start_time: each for each in found if _closes(each)}
        bills = [await self._bill(contract, stored, closing) for stored in found[:limit]]
        return BillPage(bills, page_token(bills[-1].invoice) if len(found) > limit else "")

    async def _bill(
        self, contract: Contract, stored: StoredInvoice, closing: Mapping[datetime, StoredInvoice]
    ) -> Bill:
        """Return a bill; the one before it may be on an earlier page."""
        before = None
        if _closes(stored):
            start = cycle_at(contract.cycle, stored.cycle_start_time - INSTANT).start_time
            before = closing.get(start) or await self._store.of_cycle(contract.name, start)
        total = read_document(stored.document).total
        return Bill(
            stored.name,
            InvoiceKind(stored.kind),
            stored.cycle_start_time,
            stored.cycle_end_time,
            stored.issue_time,
            total,
            _difference(total, read_document(before.document).total) if before else None,
        )


def _closes(stored: StoredInvoice) -> bool:
    return InvoiceKind(stored.kind) in CLOSING_KINDS


def _difference(total: Money, before: Money) -> Money | None:
    if before.currency_code != total.currency_code:
        return None
    return Money(total.currency_code, total.nanos - before.nanos)
