"""What an invoice owes is credited once and whole, after any break and beside another process or a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, cast

import msgspec
import pytest

from rating_service.application.credit_note_ports import Earlier, NoteFilter, StoredNote, Taken
from rating_service.application.crediting.credit_due import CreditDue, Owing
from rating_service.application.crediting.credit_notes import CreditNotes
from rating_service.application.invoicing.invoice_names import ReadInvoice, as_read
from rating_service.application.invoicing.invoices import Invoicing
from rating_service.application.invoicing.ledger_records import LedgerRecords, StoredRecord
from rating_service.application.ports import History, LedgerUnavailableError
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Money
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.documents.credit_note import NoteOrder, Settlement, note_record, read_note
from rating_service.domain.documents.invoice_document import Invoice
from rating_service.domain.documents.invoice_lines import InvoiceLine, LineKey, LineKind
from rating_service.domain.documents.ledger_records import DocumentRecord, encode_record
from tests.breaks import (
    Breaks,
    Failures,
    Killed,
    Steps,
    Turns,
    at_every_break,
    at_every_failure,
    in_every_order,
    stepped,
)
from tests.unit.rating.builders import CREDIT, FEBRUARY, JANUARY, contract

DOLLAR: Final = 10**9
OWING: Final = "invoices/acme-20260301T000000Z"
INVOICES: Final = {"invoices/acme-20260101T000000Z": 8, "invoices/acme-20260201T000000Z": 10, OWING: 0}
"""What each comes to, in the order of issue; the last one owes its customer something."""


def _invoice(name: str, dollars: int, *, owed: int) -> Invoice:
    return Invoice(
        contract=contract().name,
        customer="customers/acme",
        plan="plans/starter",
        plan_version=1,
        asset=CREDIT,
        cycle=CycleBounds(JANUARY, FEBRUARY),
        watermark_position=1,
        lines=(InvoiceLine("1", LineKey(LineKind.BASE_FEE, "main"), "", Money("USD", dollars * DOLLAR)),),
        total=Money("USD", dollars * DOLLAR),
        included_units=0,
        included_used_units=0,
        name=name,
        issue_time=FEBRUARY,
        credit_due=Money("USD", owed * DOLLAR) if name == OWING else None,
    )


class Documents:
    """The database: invoices, notes, and what the ledger is to be told of them."""

    def __init__(self, owed: int) -> None:
        self.owed = owed
        self.notes: list[StoredNote] = []
        self.records: list[StoredRecord] = []

    async def get(self, name: str) -> ReadInvoice:
        return as_read(_invoice(name, INVOICES[name], owed=self.owed))

    async def issue(
        self, contract: str, key: str, order: NoteOrder, compute: Callable[[Earlier], StoredNote]
    ) -> Taken:
        for note in self.notes:
            if note.idempotency_key == key:
                return Taken(note, replayed=True)
        earlier = Earlier(
            [read_note(note.document) for note in self.notes if note.invoice == order.invoice],
            sum(note.total_nanos for note in self.notes if note.settles and note.settles == order.settles),
        )
        stored = msgspec.structs.replace(compute(earlier), number=len(self.notes) + 1)
        self.notes.append(stored)
        record = note_record(read_note(stored.document), stored.hash)
        self.records.append(StoredRecord(stored.name, contract, encode_record(record), None))
        return Taken(stored, replayed=False)

    async def named(self, name: str) -> StoredNote | None:
        return next((note for note in self.notes if note.name == name), None)

    async def page(self, wanted: NoteFilter, *, after: int, limit: int) -> list[StoredNote]:
        assert limit
        return [
            note
            for note in self.notes
            if note.number > after
            and wanted.invoice in ("", note.invoice)
            and wanted.settles in ("", note.settles)
        ]

    async def owing(
        self, *, contract: str = "", after: str = "", without: Sequence[str] = (), limit: int
    ) -> list[Owing]:
        assert (contract, after) == ("", "")
        assert limit
        due, settled = (Money("USD", nanos) for nanos in (self.owed * DOLLAR, self.settled_nanos))
        owing = Owing(OWING, "contracts/acme", FEBRUARY, due, settled)
        return [owing] if owing.left.nanos > 0 and OWING not in without else []

    async def earlier(self, invoice: str) -> list[str]:
        assert invoice == OWING
        return [name for name in reversed(INVOICES) if name != OWING]

    async def waiting_contracts(self, *, limit: int) -> list[str]:
        return sorted({each.contract for each in self.records if each.position is None})[:limit]

    async def waiting(self, contract: str, *, limit: int) -> list[StoredRecord]:
        return [each for each in self.records if each.position is None and each.contract == contract][:limit]

    async def recorded(self, document: str, position: int) -> None:
        self.records = [
            each._replace(position=position) if each.document == document else each for each in self.records
        ]

    async def refused(self, document: str, refusal: str, *, pause: timedelta) -> None:
        raise AssertionError(f"{document} was refused: {refusal}")

    async def position(self, document: str) -> int | None:
        return next(each.position for each in self.records if each.document == document)

    @property
    def settled_nanos(self) -> int:
        """What notes have settled of what is owed."""
        return sum(note.total_nanos for note in self.notes if note.settles == OWING)


class Book:
    """The ledger's book of documents: each once, and a note after those before it on its invoice."""

    def __init__(self) -> None:
        self.documents: list[str] = []

    async def record(self, record: DocumentRecord) -> int:
        if record.document not in self.documents:
            invoice, _, number = record.document.rpartition("-")
            assert number == "1" or f"{invoice}-{int(number) - 1}" in self.documents
            self.documents.append(record.document)
        return self.documents.index(record.document) + 1


class Followed:
    """History and clock that stand still."""

    position = 1

    async def now(self) -> datetime:
        return FEBRUARY


class World:
    """Three invoices, and all that outlives the processes that credit what the last one owes."""

    def __init__(self, *, owed: int = 15) -> None:
        self.documents = Documents(owed)
        self.book = Book()

    def started(self, steps: Steps) -> tuple[CreditDue, CreditNotes, LedgerRecords]:
        """Return what sees to documents as a new process has it."""
        store = cast("Any", stepped(self.documents, steps))
        records = LedgerRecords(store=store, ledger=stepped(self.book, steps))
        invoicing = cast("Invoicing", store)
        notes = CreditNotes(
            invoicing=invoicing,
            store=store,
            records=records,
            history=cast("History", Followed()),
            clock=Followed(),
        )
        return CreditDue(notes=notes, store=store, invoicing=invoicing, owing=store), notes, records

    async def swept(self) -> None:
        """Sweep in a process that does not end, and check what is true then."""
        credit_due, _, records = self.started(Breaks(0, after=True))
        await credit_due.sweep()
        await records.sweep()

        notes = self.documents.notes
        assert self.documents.settled_nanos == self.documents.owed * DOLLAR
        for name, dollars in INVOICES.items():
            assert (
                sum(note.total_nanos for note in notes if note.invoice == name != OWING) <= dollars * DOLLAR
            )
        assert sorted(self.book.documents) == sorted(note.name for note in notes)
        assert await self.documents.waiting_contracts(limit=1) == []


async def sweep(credit_due: CreditDue, records: LedgerRecords) -> None:
    """Do what the process does by itself."""
    await credit_due.sweep()
    await records.sweep()


async def test_what_an_invoice_owes_is_credited_once_after_any_break() -> None:
    async def play(breaks: Breaks) -> None:
        world = World()
        credit_due, _, records = world.started(breaks)
        with suppress(Killed):
            await sweep(credit_due, records)
        await world.swept()

        assert [note.total_nanos for note in world.documents.notes] == [10 * DOLLAR, 5 * DOLLAR]

    await at_every_break(play)


async def test_a_sweep_one_of_whose_calls_fails_goes_on_with_the_next() -> None:
    async def play(failures: Failures) -> None:
        world = World()
        credit_due, _, records = world.started(failures)
        for _ in range(2):
            with suppress(LedgerUnavailableError):
                await sweep(credit_due, records)
        await world.swept()

        assert [note.total_nanos for note in world.documents.notes] == [10 * DOLLAR, 5 * DOLLAR]

    await at_every_failure(LedgerUnavailableError("away"), play)


async def test_two_processes_that_sweep_at_once_credit_what_is_owed_once() -> None:
    async def play(turns: Turns) -> None:
        world = World()

        async def process(steps: Steps) -> None:
            credit_due, _, records = world.started(steps)
            await sweep(credit_due, records)

        await turns.run(process, process)

        assert world.documents.settled_nanos == 15 * DOLLAR
        await world.swept()

    await in_every_order(play)


async def test_a_person_who_settles_the_rest_beside_the_sweep_pays_nothing_twice() -> None:
    async def play(turns: Turns) -> None:
        world = World()

        async def process(steps: Steps) -> None:
            credit_due, _, records = world.started(steps)
            await sweep(credit_due, records)

        async def person(steps: Steps) -> None:
            credit_due, _, _ = world.started(steps)
            with pytest.raises(RequestRefused) as refused:
                await credit_due.settle_rest(OWING, settlement=Settlement.REFUND, reason="asked for")
            assert refused.value.reason is RequestReason.NO_CREDIT_DUE

        await turns.run(process, person)
        await world.swept()

    await in_every_order(play)


async def test_of_two_persons_who_settle_the_rest_at_once_one_does() -> None:
    async def play(turns: Turns) -> None:
        world = World(owed=25)

        async def person(settlement: Settlement, steps: Steps) -> None:
            credit_due, _, _ = world.started(steps)
            with suppress(RequestRefused):
                await credit_due.settle_rest(OWING, settlement=settlement, reason="asked for")

        await turns.run(*(partial(person, each) for each in (Settlement.REFUND, Settlement.CREDIT)))
        await world.swept()

        assert [note.total_nanos for note in world.documents.notes if note.invoice == OWING] == [7 * DOLLAR]

    await in_every_order(play, switches_max=1)


async def test_a_note_by_hand_beside_the_sweep_takes_room_and_nothing_twice() -> None:
    async def play(turns: Turns) -> None:
        world = World()

        async def process(steps: Steps) -> None:
            credit_due, _, records = world.started(steps)
            await sweep(credit_due, records)

        async def person(steps: Steps) -> None:
            _, notes, _ = world.started(steps)
            first, *_ = INVOICES
            order = NoteOrder(first, Settlement.OFFSET, "by hand", net_amount=Money("USD", 3 * DOLLAR))
            await notes.issue(order, key="by hand")

        await turns.run(process, person)
        await world.swept()

    await in_every_order(play)
