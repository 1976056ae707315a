"""Verification of issued documents, against everything that they can be checked by.

Each invoice and credit note is computed again from what was followed of the ledger's history, as of its own watermark
and from the documents before it, and compared byte by byte with what is stored. Its hash is compared with its bytes
and with the fact that the ledger recorded, which is read from the ledger itself: a database that was changed behind
its triggers cannot vouch for itself. A fact without a document is a document that was removed. Adjustments, on which
invoices rest, are verified with them (`verify_adjustments`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from rating_service.application.auditing.document_findings import (
    DocumentCheck,
    Finding,
    RecordedDocument,
    difference,
    ledger_findings,
    missing,
    note_findings,
    own_findings,
    readable,
    row_findings,
)
from rating_service.application.auditing.verify_adjustments import AdjustmentVerification
from rating_service.application.credit_note_ports import CreditNoteStore, NoteFilter, StoredNote
from rating_service.application.names import check_contract
from rating_service.application.ports import History, InvoiceStore, StoredInvoice
from rating_service.application.refusals import RequestRefused
from rating_service.domain.agreements.index import names
from rating_service.domain.documents.credit_note import CreditNote
from rating_service.domain.invoicing.invoice import read_document
from rating_service.domain.refusals import Refusal

PAGE_DOCUMENTS: Final = 200
"""Documents read at once."""


class Progress(NamedTuple):
    """How far verification is, and what it found since the last report."""

    checked_count: int
    total_count: int
    findings: Sequence[Finding]
    done: bool = False
    adjustments_count: int = 0


class DocumentFacts(Protocol):
    """The ledger's facts of documents, read from the ledger itself."""

    async def of_contract(self, contract: str) -> list[RecordedDocument]:
        """Return the facts of a contract's documents. Raises LedgerRefused, LedgerUnavailableError."""


class DocumentIndex(Protocol):
    """Which documents there are. Every method raises StoreUnavailableError."""

    async def contracts(self) -> list[str]:
        """Return the contracts that have a document, by name."""

    async def count(self, contract: str) -> int:
        """Return how many documents there are, only a contract's unless it is empty."""


class InvoiceAgain(Protocol):
    """Computes issued invoices once more."""

    async def recomputed(self, stored: StoredInvoice) -> bytes:
        """Return the document of an issued invoice, computed from history as of its watermark.

        Raises Refusal, RequestRefused, StoreUnavailableError.
        """


class DocumentVerification:
    """Verifies what was issued."""

    def __init__(
        self,
        *,
        again: InvoiceAgain,
        invoices: InvoiceStore,
        notes: CreditNoteStore,
        index: DocumentIndex,
        facts: DocumentFacts,
        adjustments: AdjustmentVerification,
        history: History,
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        """Compare stores with a history and a ledger, once `catch_up` has done what only waits for its turn."""
        self._catch_up = catch_up
        self._again = again
        self._invoices = invoices
        self._notes = notes
        self._index = index
        self._facts = facts
        self._adjustments = adjustments
        self._history = history

    async def verify(self, contract: str) -> AsyncIterator[Progress]:
        """Yield a report for each document and adjustment, and a last one; only a contract's unless it is empty.

        Raises LedgerRefused, LedgerUnavailableError, StoreUnavailableError.
        """
        if contract:
            check_contract(contract, field="contract")
        await self._catch_up()
        total = await self._index.count(contract)
        checked = 0
        for each in [contract] if contract else await self._contracts():
            recorded = {fact.document: fact for fact in await self._facts.of_contract(each)}
            async for name, findings in self._documents(each, recorded):
                checked += 1
                recorded.pop(name, None)
                yield Progress(checked, max(total, checked), findings)
            if recorded:
                yield Progress(checked, max(total, checked), [missing(fact) for fact in recorded.values()])
        adjustments_count = 0
        async for adjustment in self._adjustments.verify(contract):
            adjustments_count += 1
            yield Progress(checked, checked, adjustment.findings, adjustments_count=adjustments_count)
        yield Progress(checked, checked, [], done=True, adjustments_count=adjustments_count)

    async def _contracts(self) -> list[str]:
        """Return every contract that has documents, or could have had some."""
        stored = await self._index.contracts()
        return sorted({*stored, *names(self._history.catalogue.contracts)})

    async def _documents(
        self, contract: str, recorded: dict[str, RecordedDocument]
    ) -> AsyncIterator[tuple[str, list[Finding]]]:
        """Yield the documents of a contract by name, with what is wrong about each."""
        invoices: dict[str, StoredInvoice] = {}
        async for stored in self._stored_invoices(contract):
            invoices[stored.name] = stored
            found = [
                *own_findings(stored.name, stored.document, stored.hash),
                *await self._invoice_findings(stored),
                *ledger_findings(stored.name, stored.hash, recorded.get(stored.name)),
            ]
            yield stored.name, found
        earlier: dict[str, list[CreditNote]] = {}
        async for note in self._stored_notes(contract):
            found = [
                *own_findings(note.name, note.document, note.hash),
                *note_findings(note, invoices, earlier.setdefault(note.invoice, [])),
                *ledger_findings(note.name, note.hash, recorded.get(note.name)),
            ]
            yield note.name, found

    async def _invoice_findings(self, stored: StoredInvoice) -> list[Finding]:
        invoice = readable(stored.document, read_document)
        if invoice is None:
            return [Finding(DocumentCheck.DOCUMENT_UNREADABLE, stored.name, "its document is no invoice")]
        found = list(row_findings(stored, invoice))
        try:
            computed = await self._again.recomputed(stored)
        except (Refusal, RequestRefused) as refusal:
            return [*found, Finding(DocumentCheck.DOCUMENT_NOT_COMPUTABLE, stored.name, refusal.message)]
        return [*found, *difference(stored.name, stored.document, computed)]

    async def _stored_invoices(self, contract: str) -> AsyncIterator[StoredInvoice]:
        after = ""
        while page := await self._invoices.page(contract=contract, after=after, limit=PAGE_DOCUMENTS):
            for stored in page:
                yield stored
            after = page[-1].name

    async def _stored_notes(self, contract: str) -> AsyncIterator[StoredNote]:
        after = 0
        wanted = NoteFilter(contract=contract)
        while page := await self._notes.page(wanted, after=after, limit=PAGE_DOCUMENTS):
            for stored in page:
                yield stored
            after = page[-1].number
