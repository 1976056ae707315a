"""What invoices owe their customers becomes credit notes, by itself.

An invoice whose adjustments exceed its charges comes to nothing and owes the rest (CREDIT_DUE). The rest is credited on
the invoices that it gives back something of: those that its lines adjust, in their order, and where they have nothing
left, earlier invoices of the contract, the newest first. The notes are settled as credit, which the next invoice
applies. Each names the invoice whose debt it settles, so that a break in between leaves nothing undone and nothing
done twice: what is settled already is read from the notes. Of two who settle it at once the store lets one go first,
and the other looks again.

What no invoice has room for was given back otherwise, or was never billed: whether it is paid out or kept as credit is
for a person to say (`settle_rest`). Then the owing invoice itself stands for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

import structlog

from rating_service.application.credit_note_ports import CreditNoteStore, NoteFilter
from rating_service.application.crediting.credit_notes import CreditNotes, ReadNote
from rating_service.application.invoicing.invoices import Invoicing
from rating_service.application.names import (
    check_contract,
    check_invoice,
    checked_page_size,
    last_of_page,
    page_token,
)
from rating_service.application.ports import LedgerRefused, LedgerUnavailableError, StoreUnavailableError
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Money
from rating_service.domain.documents.credit_note import NoteOrder, Settlement
from rating_service.domain.documents.invoice_document import Invoice
from rating_service.domain.refusals import Reason, Refusal

SWEEP_SECONDS: Final = 1.0
SWEEP_INVOICES_MAX: Final = 100
"""Invoices that are seen to in one sweep; the next takes the rest."""
ROUNDS_MAX: Final = 8
"""How often an invoice is looked at again because others settle it, or credit what it would."""
OVERTAKEN: Final = frozenset(
    {RequestReason.NO_CREDIT_DUE, RequestReason.IDEMPOTENCY_KEY_REUSED, Reason.CREDIT_NOTE_ABOVE_INVOICE}
)
"""Why a note is refused whose amount is true no longer."""
NOTES_MAX: Final = 1_000
"""Notes of one invoice, or settling one, that are read: far more than there are."""
UNSETTLED_PAUSE_SECONDS: Final = 60.0
"""Pause after an invoice could not be settled: nothing earlier had anything left to credit."""

log = structlog.get_logger("rating.credit_due")


class Owing(NamedTuple):
    """What an invoice owes its customer, and how much of it notes have settled."""

    invoice: str
    contract: str
    issue_time: datetime
    due: Money
    settled: Money

    @property
    def left(self) -> Money:
        """What is still owed."""
        return Money(self.due.currency_code, self.due.nanos - self.settled.nanos)


class OwingPage(NamedTuple):
    """What is owed, by invoice, and the token of the next page, empty if there is none."""

    owing: list[Owing]
    next_page_token: str


class OwingInvoices(Protocol):
    """Finds invoices that owe something. Raises StoreUnavailableError."""

    async def owing(
        self, *, contract: str = "", after: str = "", without: Sequence[str] = (), limit: int
    ) -> list[Owing]:
        """Return what invoices owe that no note has settled, by name; but those named, and only a contract's."""

    async def earlier(self, invoice: str) -> list[str]:
        """Return the invoices of the same contract that were issued before one, the newest first."""


class CreditDue:
    """Settles what invoices owe. `run` it in a task of its own."""

    def __init__(
        self, *, notes: CreditNotes, store: CreditNoteStore, invoicing: Invoicing, owing: OwingInvoices
    ) -> None:
        """Issue notes on invoices."""
        self._notes = notes
        self._store = store
        self._invoicing = invoicing
        self._owing = owing
        self._resting: dict[str, float] = {}

    async def run(self) -> None:
        """Sweep for ever; what fails is tried again by the next sweep."""
        while True:
            try:
                while await self.sweep() == SWEEP_INVOICES_MAX:
                    pass
            except (LedgerUnavailableError, LedgerRefused, StoreUnavailableError) as cause:
                log.warning("sweep_broke_off", cause=f"{type(cause).__name__}: {cause}")
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> int:
        """Settle what is owed and return of how many invoices that was."""
        now = asyncio.get_running_loop().time()
        self._resting = {name: until for name, until in self._resting.items() if until > now}
        owing = await self._owing.owing(without=list(self._resting), limit=SWEEP_INVOICES_MAX)
        for name in (each.invoice for each in owing):
            try:
                left_nanos = await self.settle(name)
            except (Refusal, RequestRefused) as refusal:
                log.warning("credit_due_not_settled", invoice=name, cause=refusal.message)
                self._resting[name] = now + UNSETTLED_PAUSE_SECONDS
                continue
            if left_nanos:
                log.warning("credit_due_not_settled", invoice=name, left_nanos=left_nanos)
                self._resting[name] = now + UNSETTLED_PAUSE_SECONDS
        return len(owing)

    async def settle(self, name: str) -> int:
        """Credit what an invoice owes, and return how much of it found no invoice to be credited on, in nanos."""
        for _ in range(ROUNDS_MAX - 1):
            try:
                return await self._settle(name)
            except (Refusal, RequestRefused) as refused:
                if refused.reason not in OVERTAKEN:
                    raise
        return await self._settle(name)

    async def _settle(self, name: str) -> int:
        invoice = (await self._invoicing.get(name)).invoice
        due = invoice.credit_due
        if due is None or due.nanos <= 0:
            return 0
        settling = await self._store.page(NoteFilter(settles=name), after=0, limit=NOTES_MAX)
        left_nanos = due.nanos - sum(note.total_nanos for note in settling)
        for credited in dict.fromkeys([*adjusted_by(invoice), *await self._owing.earlier(name)]):
            if left_nanos <= 0:
                break
            left_nanos -= await self._credit(credited, name, Money(due.currency_code, left_nanos))
        return left_nanos

    async def page(self, contract: str, *, page_size: int, token: str) -> OwingPage:
        """Return a page of what is owed and not settled, by invoice, only a contract's unless it is empty."""
        if contract:
            check_contract(contract, field="contract")
        limit = checked_page_size(page_size)
        found = await self._owing.owing(contract=contract, after=last_of_page(token), limit=limit + 1)
        more = len(found) > limit
        return OwingPage(found[:limit], page_token(found[limit - 1].invoice) if more else "")

    async def settle_rest(self, name: str, *, settlement: Settlement, reason: str) -> ReadNote:
        """Settle what no invoice has room for, by a note on the owing invoice itself; again returns that note.

        Refuses INVOICE_NOT_FOUND, NO_CREDIT_DUE, FIELD_MALFORMED for OFFSET, and malformed reasons.
        """
        check_invoice(name, field="invoice")
        if settlement is Settlement.OFFSET:
            raise RequestRefused(
                RequestReason.FIELD_MALFORMED,
                f"nothing is to be paid of {name}: what it owes is refunded or kept as credit",
                field="settlement",
            )
        due = (await self._invoicing.get(name)).invoice.credit_due
        left_nanos = await self.settle(name)
        if left_nanos <= 0 or due is None:
            return await self._settled_before(name, settlement)
        order = NoteOrder(
            invoice=name,
            settlement=settlement,
            reason=reason,
            settles=name,
            total=Money(due.currency_code, left_nanos),
        )
        return await self._notes.issue(order, key=_key(name, name, left_nanos))

    async def _settled_before(self, name: str, settlement: Settlement) -> ReadNote:
        """Return the note by which a person settled the rest in the same way. Refuses NO_CREDIT_DUE."""
        for note in await self._store.page(NoteFilter(invoice=name, settles=name), after=0, limit=1):
            if note.settlement == settlement.value:
                return (await self._notes.get(note.name))._replace(replayed=True)
        raise RequestRefused(
            RequestReason.NO_CREDIT_DUE, f"{name} owes nothing that is not settled", field="invoice"
        )

    async def _credit(self, credited: str, owing: str, wanted: Money) -> int:
        """Credit as much of an amount as an invoice has left, and return that."""
        invoice = (await self._invoicing.get(credited)).invoice
        notes = await self._store.page(NoteFilter(invoice=credited), after=0, limit=NOTES_MAX)
        left_nanos = invoice.total.nanos - sum(note.total_nanos for note in notes)
        nanos = min(left_nanos, wanted.nanos)
        if nanos <= 0 or invoice.total.currency_code != wanted.currency_code:
            return 0
        order = NoteOrder(
            invoice=credited,
            settlement=Settlement.CREDIT,
            reason=f"Credit due by {owing}",
            settles=owing,
            total=Money(wanted.currency_code, nanos),
        )
        await self._notes.issue(order, key=_key(owing, credited, wanted.nanos))
        return nanos


def adjusted_by(invoice: Invoice) -> list[str]:
    """Return the invoices that an invoice gives something back of, in the order of its lines."""
    lines = [line for line in invoice.lines if line.amount.nanos < 0]
    named = [line.adjusted.invoice if line.adjusted else line.source for line in lines]
    return [name for name in named if name.startswith("invoices/")]


def _key(owing: str, credited: str, wanted_nanos: int) -> str:
    """Return the key of a note. Names are as long as a key may be, so they are hashed."""
    return "credit-due/" + sha256(f"{owing}\n{credited}\n{wanted_nanos}".encode()).hexdigest()
