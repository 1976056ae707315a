"""Credit notes: issue, read and list.

The notes of a contract are issued one after the other, under a lock in the database, so that each counts all
earlier ones of its invoice, however many callers and instances there are. Invoices that close cycles wait for the same
lock, for they return what is not used of fees in advance: so each invoice knows the notes before it, each note the
invoices, and a note's watermark is not before theirs. A note is stored together with the record that the ledger gets of
it; the ledger refuses notes above the invoice once more.

What an invoice owes is settled once: under the same lock a note that settles it counts all that have, on whatever
invoice they are.

A key names a call for ever within its contract: the same call again returns the same note, another one is refused
by the name of the field that differs.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from rating_service.application.credit_note_ports import CreditNoteStore, Earlier, NoteFilter, StoredNote
from rating_service.application.invoicing.invoices import Invoicing
from rating_service.application.invoicing.ledger_records import LedgerRecords
from rating_service.application.names import (
    check_contract,
    check_credit_note,
    check_idempotency_key,
    check_invoice,
    checked_page_size,
    last_position_of_page,
    page_token,
)
from rating_service.application.ports import Clock, History
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.corrections.creditable import creditable
from rating_service.domain.corrections.crediting import compute_credit_note
from rating_service.domain.documents.credit_note import (
    Creditable,
    CreditNote,
    NoteOrder,
    note_document,
    read_note,
)
from rating_service.domain.invoicing.invoice import document_hash

REASON_LENGTH_MAX: Final = 200
"""Characters of why a note was issued: as many as the ledger keeps."""
LINES_MAX: Final = 1_000
"""Lines that one note names."""


class ReadNote(NamedTuple):
    """A note with its document as stored; `position` is 0 until the ledger has recorded it."""

    note: CreditNote
    document: bytes
    hash: str
    position: int
    replayed: bool = False


class NotePage(NamedTuple):
    """Notes in the order of their issue, and the token of the next page, empty if there is none."""

    notes: list[ReadNote]
    next_page_token: str


class CreditNotes:
    """Issues and reads credit notes."""

    def __init__(
        self,
        *,
        invoicing: Invoicing,
        store: CreditNoteStore,
        records: LedgerRecords,
        history: History,
        clock: Clock,
    ) -> None:
        """Credit the invoices of `invoicing`."""
        self._invoicing = invoicing
        self._store = store
        self._records = records
        self._history = history
        self._clock = clock

    async def issue(self, order: NoteOrder, *, key: str) -> ReadNote:
        """Issue a note, or return the one that an earlier call with this key has issued.

        Refuses INVOICE_NOT_FOUND, INVOICE_LINE_NOT_FOUND, NO_CREDIT_DUE, IDEMPOTENCY_KEY_REUSED, malformed orders,
        and what `compute_credit_note` refuses.
        """
        check_order(order)
        check_idempotency_key(key)
        read = await self._invoicing.get(order.invoice)
        contract = read.invoice.contract
        _check_lines(creditable(read.invoice, read.hash), order)
        now = await self._clock.now()
        watermark = self._history.position
        owed_nanos = await self._owed_nanos(order)

        def compute(earlier: Earlier) -> StoredNote:
            _check_owed(order, owed_nanos - earlier.settled_nanos)
            note = compute_credit_note(
                creditable(read.invoice, read.hash, earlier.later),
                earlier.notes,
                order,
                issue_time=now,
                watermark_position=max([watermark, *(each.watermark_position for each in earlier.later)]),
            )
            return _stored(note, key=key)

        taken = await self._store.issue(contract, key, order, compute)
        stored = taken.stored
        if taken.replayed:
            _check_same_call(order, read_note(stored.document).order, key=key)
        position = stored.position or await self._records.record(stored.contract, stored.name)
        return _read(msgspec.structs.replace(stored, position=position), replayed=taken.replayed)

    async def _owed_nanos(self, order: NoteOrder) -> int:
        """Return what the invoice that an order settles owes its customer, settled or not."""
        if not order.settles:
            return 0
        due = (await self._invoicing.get(order.settles)).invoice.credit_due
        return due.nanos if due else 0

    async def get(self, name: str) -> ReadNote:
        """Return an issued note. Refuses CREDIT_NOTE_NOT_FOUND."""
        check_credit_note(name, field="name")
        stored = await self._store.named(name)
        if stored is None:
            raise RequestRefused(RequestReason.CREDIT_NOTE_NOT_FOUND, f"{name} was not issued", field="name")
        return _read(stored)

    async def list(self, wanted: NoteFilter, *, page_size: int, token: str) -> NotePage:
        """Return a page of notes in the order of their issue, only those that are wanted."""
        if wanted.invoice:
            check_invoice(wanted.invoice, field="invoice")
        if wanted.contract:
            check_contract(wanted.contract, field="contract")
        limit = checked_page_size(page_size)
        found = await self._store.page(wanted, after=last_position_of_page(token), limit=limit + 1)
        more = len(found) > limit
        return NotePage(
            [_read(stored) for stored in found[:limit]],
            page_token(str(found[limit - 1].number)) if more else "",
        )


def check_order(order: NoteOrder) -> None:
    """Refuse an order that no invoice could fulfil: FIELD_REQUIRED, FIELD_MALFORMED, FIELD_TOO_LONG."""
    check_invoice(order.invoice, field="invoice")
    if not order.reason:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, "reason is required", field="reason")
    if len(order.reason) > REASON_LENGTH_MAX:
        raise RequestRefused(
            RequestReason.FIELD_TOO_LONG,
            f"reason has {len(order.reason)} characters, more than {REASON_LENGTH_MAX}",
            field="reason",
        )
    if len(order.lines) > LINES_MAX:
        raise RequestRefused(
            RequestReason.FIELD_TOO_LONG, f"lines names more than {LINES_MAX} lines", field="lines"
        )
    ways = [bool(order.lines), order.net_amount is not None, order.whole, bool(order.settles)]
    if sum(ways) != 1:
        raise RequestRefused(
            RequestReason.FIELD_REQUIRED if not any(ways) else RequestReason.FIELD_MALFORMED,
            "exactly one of lines, net_amount and whole says what to credit",
            field="lines",
        )
    line_ids = [line.line_id for line in order.lines]
    if len(set(line_ids)) < len(line_ids):
        raise RequestRefused(RequestReason.FIELD_MALFORMED, "lines names a line twice", field="lines")


def _check_owed(order: NoteOrder, left_nanos: int) -> None:
    if order.total is not None and order.total.nanos > left_nanos:
        raise RequestRefused(
            RequestReason.NO_CREDIT_DUE,
            f"{order.settles} owes {left_nanos} nanos that are not settled, not {order.total.nanos}",
            field="invoice",
        )


def _check_lines(invoice: Creditable, order: NoteOrder) -> None:
    known = {line.line_id for line in invoice.lines}
    for line in order.lines:
        if line.line_id not in known:
            raise RequestRefused(
                RequestReason.INVOICE_LINE_NOT_FOUND,
                f"{invoice.invoice} has no line {line.line_id[:80]!r}",
                field="lines.line_id",
            )


def _check_same_call(order: NoteOrder, recorded: NoteOrder, *, key: str) -> None:
    for name in NoteOrder.__struct_fields__:
        if getattr(order, name) != getattr(recorded, name):
            raise RequestRefused(
                RequestReason.IDEMPOTENCY_KEY_REUSED,
                f"idempotency_key {key!r} was used before with another {name}",
                field="idempotency_key",
                differing_field=name,
            )


def _stored(note: CreditNote, *, key: str) -> StoredNote:
    text = note_document(note)
    return StoredNote(
        name=note.name,
        invoice=note.order.invoice,
        contract=note.contract,
        customer=note.customer,
        currency_code=note.total.currency_code,
        settlement=note.order.settlement.value,
        settles=note.order.settles,
        total_nanos=note.total.nanos,
        issue_time=note.issue_time,
        watermark_position=note.watermark_position,
        idempotency_key=key,
        hash=document_hash(text),
        document=text,
    )


def _read(stored: StoredNote, *, replayed: bool = False) -> ReadNote:
    return ReadNote(read_note(stored.document), stored.document, stored.hash, stored.position or 0, replayed)
