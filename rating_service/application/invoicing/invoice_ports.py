"""What computing invoices needs from the outside: facts, agreements and earlier invoices of one state of the store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from rating_service.application.ports import InvoiceHead, LedgerEvent, Span
from rating_service.domain.agreements.agreement import Money
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.debits import GrantFact
from rating_service.domain.documents.credit_note import CreditNote
from rating_service.domain.documents.invoice_document import Invoice
from rating_service.domain.invoicing.cycle_statement import CycleFacts


class News(NamedTuple):
    """Facts of a wallet after a position, up to the watermark."""

    wallet: str
    after_position: int
    watermark_position: int


class PurchaseFact(NamedTuple):
    """A grant that was paid for; `position` is that of the fact that says so."""

    grant: str
    position: int
    effective_time: datetime
    amount_units: int
    paid: Money
    reference: str
    top_up: str


class BillingFacts(Protocol):
    """One state of the store. Blocking, for a worker thread. What is streamed must be consumed before the next call."""

    def head(self, name: str) -> InvoiceHead | None:
        """Return which invoice has a name, None if none."""

    def heads(self, contract: str) -> list[InvoiceHead]:
        """Return which invoices of a contract were issued, in the order of issue."""

    def documents(self, names: Sequence[str]) -> list[Invoice]:
        """Return issued invoices, in the order of issue."""

    def notes(self, names: Sequence[str]) -> list[CreditNote]:
        """Return issued credit notes, in the order of issue."""

    def agreements(self, stream: str, watermark_position: int) -> list[LedgerEvent]:
        """Return what was agreed on a stream and billed of it, in order, up to a position."""

    def grants(self, wallet: str, watermark_position: int) -> list[GrantFact]:
        """Return the grants of a wallet that a plan gave, as known at a position."""

    def purchases(self, news: News, cycle: CycleBounds) -> list[PurchaseFact]:
        """Return what was bought before a cycle's end: in the cycle, or known only now."""

    def touched(self, news: News, cycles: Sequence[CycleBounds]) -> list[CycleBounds]:
        """Return the cycles of which debits were recorded or taken back, in the order given."""

    def cycle(self, span: Span) -> CycleFacts:
        """Return a span's debits, streamed, those posted in it for other cycles, and at least the reversals of them."""


class InvoiceFacts(Protocol):
    """Lends states of the store."""

    def open(self) -> AbstractContextManager[BillingFacts]:
        """Lend one state. Raises StoreUnavailableError."""
