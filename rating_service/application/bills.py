"""Issued invoices in short, each with what changed since the one before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from rating_service.application.names import check_contract, checked_page_size, last_of_page, page_token
from rating_service.application.ports import InvoiceStore, StoredInvoice
from rating_service.domain.agreement import Money
from rating_service.domain.invoice import read_document


class Bill(NamedTuple):
    """An issued invoice; `difference` is None for the first, and where currencies differ."""

    invoice: str
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

    def __init__(self, *, store: InvoiceStore) -> None:
        """List what is in a store."""
        self._store = store

    async def list(self, contract: str, *, page_size: int, token: str) -> BillPage:
        """Return a page of a contract's bills, oldest first."""
        check_contract(contract, field="contract")
        limit = checked_page_size(page_size)
        after = last_of_page(token)
        before = await self._store.named(after) if after else None
        total = read_document(before.document).total if before and before.contract == contract else None
        found = await self._store.page(contract=contract, after=after, limit=limit + 1)
        bills = _bills(found[:limit], total)
        return BillPage(bills, page_token(bills[-1].invoice) if len(found) > limit else "")


def _bills(invoices: Sequence[StoredInvoice], before: Money | None) -> list[Bill]:
    bills = []
    for stored in invoices:
        total = read_document(stored.document).total
        bills.append(
            Bill(
                stored.name,
                stored.cycle_start_time,
                stored.cycle_end_time,
                stored.issue_time,
                total,
                _difference(total, before),
            )
        )
        before = total
    return bills


def _difference(total: Money, before: Money | None) -> Money | None:
    if before is None or before.currency_code != total.currency_code:
        return None
    return Money(total.currency_code, total.nanos - before.nanos)
