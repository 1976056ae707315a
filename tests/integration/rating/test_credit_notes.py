"""Credit notes over a real channel: issue, read, list, and the balance that they leave."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import psycopg
import pytest
import pytest_asyncio

from credits.ledger.v1.money_pb2 import Money
from credits.rating.v1 import credit_note_pb2, document_verification_pb2, invoice_service_pb2
from tests.integration.rating.harness import CONTRACT, START, Service, refused

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
CENT = 10_000_000
USD = 1_000_000_000
INVOICE = "invoices/acme-20260101T000000Z"


def usd(cents: int) -> Money:
    return Money(currency_code="USD", nanos=cents * CENT)


async def issue_invoice(service: Service, at: datetime = START) -> invoice_service_pb2.Invoice:
    request = invoice_service_pb2.IssueInvoiceRequest(contract=CONTRACT, waive_grace=True)
    request.cycle_time.FromDatetime(at)
    return (await service.invoices.IssueInvoice(request)).invoice


def order(
    *lines: credit_note_pb2.LineCredit,
    key: str = "",
    settlement: credit_note_pb2.Settlement.ValueType = credit_note_pb2.SETTLEMENT_REFUND,
    invoice: str = INVOICE,
    reason: str = "outage",
    net_amount: Money | None = None,
    whole: bool = False,
) -> credit_note_pb2.IssueCreditNoteRequest:
    return credit_note_pb2.IssueCreditNoteRequest(
        invoice=invoice,
        idempotency_key=key or uuid4().hex,
        settlement=settlement,
        reason=reason,
        lines=lines,
        net_amount=net_amount,
        whole=whole,
    )


def part(line_id: str, cents: int) -> credit_note_pb2.LineCredit:
    return credit_note_pb2.LineCredit(line_id=line_id, amount=usd(cents))


async def issue(
    service: Service, request: credit_note_pb2.IssueCreditNoteRequest
) -> credit_note_pb2.CreditNote:
    return (await service.invoices.IssueCreditNote(request)).credit_note


async def verify(service: Service) -> list[tuple[str, str]]:
    """Return the findings of a verification, by check and document."""
    request = document_verification_pb2.VerifyDocumentsRequest()
    answers = [answer async for answer in service.invoices.VerifyDocuments(request)]
    assert answers[-1].done
    assert [answer.checked_documents for answer in answers] == sorted(
        answer.checked_documents for answer in answers
    )
    return [(found.check, found.document) for answer in answers for found in answer.findings]


@pytest_asyncio.fixture
async def billed(service: Service) -> AsyncIterator[Service]:
    """A service that has issued the invoice of January over 20 USD, its fee."""
    service.ledger.now = FEBRUARY
    invoice = await issue_invoice(service)
    assert (invoice.name, invoice.total) == (INVOICE, usd(2000))
    recording = asyncio.create_task(service.parts.documents.run())
    yield service
    recording.cancel()
    await asyncio.gather(recording, return_exceptions=True)


async def test_a_note_takes_back_a_part_and_is_recorded_in_the_ledger(billed: Service) -> None:
    note = await issue(billed, order(part("1", 500), settlement=credit_note_pb2.SETTLEMENT_OFFSET))
    events = [event.topic for event in billed.ledger.events[-2:]]

    assert note.name == "creditNotes/acme-20260101T000000Z-1"
    assert (note.net, note.tax.nanos, note.total) == (usd(500), 0, usd(500))
    assert note.hash == hashlib.sha256(note.document).hexdigest()
    assert note.recorded_position == len(billed.ledger.events)
    assert events == ["contract.InvoiceIssued.v1", "contract.CreditNoteIssued.v1"]
    read = await billed.invoices.GetCreditNote(credit_note_pb2.GetCreditNoteRequest(name=note.name))
    assert read.credit_note == note


async def test_the_same_call_again_returns_the_same_note(billed: Service) -> None:
    request = order(part("1", 500), key="k")
    first = await billed.invoices.IssueCreditNote(request)
    second = await billed.invoices.IssueCreditNote(request)

    assert (first.replayed, second.replayed) == (False, True)
    assert second.credit_note == first.credit_note


async def test_another_call_under_the_same_key_is_refused_by_the_field_that_differs(billed: Service) -> None:
    await issue(billed, order(part("1", 500), key="k"))
    changes = {
        "lines": order(part("1", 501), key="k"),
        "reason": order(part("1", 500), key="k", reason="other"),
        "settlement": order(part("1", 500), key="k", settlement=credit_note_pb2.SETTLEMENT_CREDIT),
    }
    for field, changed in changes.items():
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await billed.invoices.IssueCreditNote(changed)

        assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert f"with another {field}" in (caught.value.details() or "")


async def test_all_that_is_left_is_credited_and_then_nothing_more(billed: Service) -> None:
    await issue(billed, order(part("1", 750)))
    rest = await issue(billed, order(whole=True))

    assert rest.total == usd(1250)
    for more in (order(whole=True), order(part("1", 1)), order(net_amount=usd(1))):
        assert (await refused(billed.invoices.IssueCreditNote(more)))[1] == "CREDIT_NOTE_ABOVE_INVOICE"


REFUSED = {
    "above the invoice": (order(part("1", 2001)), "CREDIT_NOTE_ABOVE_INVOICE"),
    "above the invoice, net": (order(net_amount=usd(2001)), "CREDIT_NOTE_ABOVE_INVOICE"),
    "nothing": (order(part("1", 0)), "AMOUNT_NOT_POSITIVE"),
    "negative": (order(net_amount=usd(-1)), "AMOUNT_NOT_POSITIVE"),
    "half a cent": (order(net_amount=Money(currency_code="USD", nanos=CENT // 2)), "AMOUNT_NOT_PAYABLE"),
    "currency": (order(net_amount=Money(currency_code="EUR", nanos=CENT)), "CURRENCY_MISMATCH"),
    "unknown line": (order(part("9", 1)), "INVOICE_LINE_NOT_FOUND"),
    "a line twice": (order(part("1", 1), part("1", 1)), "FIELD_MALFORMED"),
    "nothing asked": (order(), "FIELD_REQUIRED"),
    "two ways": (order(part("1", 1), whole=True), "FIELD_MALFORMED"),
    "no reason": (order(whole=True, reason=""), "FIELD_REQUIRED"),
    "long reason": (order(whole=True, reason="x" * 201), "FIELD_TOO_LONG"),
    "no settlement": (
        order(whole=True, settlement=credit_note_pb2.SETTLEMENT_UNSPECIFIED),
        "FIELD_REQUIRED",
    ),
    "unknown invoice": (order(whole=True, invoice="invoices/none"), "INVOICE_NOT_FOUND"),
    "no invoice": (order(whole=True, invoice="acme"), "FIELD_MALFORMED"),
}


async def test_what_cannot_be_credited_is_refused_by_name_and_leaves_nothing(billed: Service) -> None:
    for what, (request, reason) in REFUSED.items():
        assert (await refused(billed.invoices.IssueCreditNote(request)))[1] == reason, what

    listed = await billed.invoices.ListCreditNotes(credit_note_pb2.ListCreditNotesRequest())
    assert list(listed.credit_notes) == []


async def test_a_hundred_callers_at_once_never_pass_the_invoice(billed: Service) -> None:
    calls = [billed.invoices.IssueCreditNote(order(part("1", 90))) for _ in range(100)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    issued = [answer for answer in answers if not isinstance(answer, BaseException)]
    recorded = [event for event in billed.ledger.events if event.topic == "contract.CreditNoteIssued.v1"]

    assert len(issued) == 2000 // 90 == len(recorded)
    assert len({answer.credit_note.name for answer in issued}) == len(issued)


async def test_notes_are_listed_in_the_order_of_their_issue_in_pages(billed: Service) -> None:
    names = [(await issue(billed, order(part("1", 1)))).name for _ in range(3)]
    request = credit_note_pb2.ListCreditNotesRequest(invoice=INVOICE, page_size=2)
    first = await billed.invoices.ListCreditNotes(request)
    request.page_token = first.next_page_token
    second = await billed.invoices.ListCreditNotes(request)

    assert [note.name for page in (first, second) for note in page.credit_notes] == names
    assert second.next_page_token == ""
    missing = billed.invoices.GetCreditNote(credit_note_pb2.GetCreditNoteRequest(name="creditNotes/none"))
    assert await refused(missing) == (grpc.StatusCode.NOT_FOUND, "CREDIT_NOTE_NOT_FOUND")


async def balance(service: Service) -> list[tuple[str, int]]:
    request = credit_note_pb2.GetCustomerBalanceRequest(contract=CONTRACT)
    answer = await service.invoices.GetCustomerBalance(request)
    assert sum(each.open.nanos for each in answer.credits) == sum(each.nanos for each in answer.balances)
    return [(each.credit_note, each.open.nanos // CENT) for each in answer.credits]


async def test_later_invoices_apply_credit_the_oldest_first(billed: Service) -> None:
    await issue(billed, order(part("1", 100)))
    credit = credit_note_pb2.SETTLEMENT_CREDIT
    older = await issue(billed, order(part("1", 700), settlement=credit))
    newer = await issue(billed, order(part("1", 1200), settlement=credit))

    assert await balance(billed) == [(older.name, 700), (newer.name, 1200)]
    billed.ledger.now = datetime(2026, 3, 1, tzinfo=UTC)
    invoice = await issue_invoice(billed, FEBRUARY)
    applied = [(line.source, line.amount.nanos // CENT) for line in invoice.lines if line.source]
    assert applied == [(older.name, -700), (newer.name, -1200)]
    assert invoice.total == usd(100)
    assert await balance(billed) == []
    assert await verify(billed) == []


async def test_the_part_of_a_fee_for_unused_days_is_credited(billed: Service) -> None:
    unused = credit_note_pb2.LineCredit(line_id="1")
    unused.unused_from_time.FromDatetime(FEBRUARY - timedelta(days=3))
    note = await issue(billed, order(unused))

    assert note.total == usd(194)  # 20 USD × 3 ÷ 31 = 1.9354…


async def test_verification_finds_what_was_changed_behind_the_triggers(
    billed: Service, rating_url: str
) -> None:
    note = await issue(billed, order(part("1", 500)))

    assert await verify(billed) == []
    await asyncio.to_thread(tamper, rating_url, "credit_notes", '"nanos":5000000000', '"nanos":4000000000')
    # The forger changed every amount in the document: only its row and the ledger tell.
    assert await verify(billed) == [
        ("ROW_DIFFERS_FROM_DOCUMENT", note.name),
        ("LEDGER_HASH_DIFFERS", note.name),
    ]
    await asyncio.to_thread(tamper, rating_url, "invoices", '"nanos":20000000000', '"nanos":10000000000')
    assert ("LEDGER_HASH_DIFFERS", INVOICE) in await verify(billed)
    assert ("DOCUMENT_DIFFERS_FROM_HISTORY", INVOICE) in await verify(billed)


async def test_verification_finds_what_was_removed(billed: Service, rating_url: str) -> None:
    note = await issue(billed, order(part("1", 500)))

    def remove() -> None:
        with psycopg.connect(rating_url) as direct:
            direct.execute("ALTER TABLE rating.credit_notes DISABLE TRIGGER ALL")
            direct.execute("DELETE FROM rating.credit_notes")

    await asyncio.to_thread(remove)

    assert await verify(billed) == [("DOCUMENT_MISSING", note.name)]


def tamper(url: str, table: str, old: str, new: str) -> None:
    """Change a document and its hash as the database's owner can."""
    with psycopg.connect(url) as direct:
        direct.execute(f"ALTER TABLE rating.{table} DISABLE TRIGGER ALL".encode())
        direct.execute(
            f"UPDATE rating.{table} SET document = replaced, hash = encode(sha256(replaced), 'hex') FROM (SELECT"  # noqa: S608
            " name AS changed, convert_to(replace(convert_from(document, 'UTF8'), %s, %s), 'UTF8') AS replaced"
            f" FROM rating.{table}) AS new WHERE name = changed".encode(),
            (old, new),
        )


async def test_a_stored_note_is_neither_changed_nor_removed(billed: Service, rating_url: str) -> None:
    await issue(billed, order(part("1", 500)))

    def change(statement: str) -> None:
        with psycopg.connect(rating_url) as direct:
            direct.execute(statement.encode())

    for statement in (
        "DELETE FROM rating.credit_notes",
        "TRUNCATE rating.credit_notes",
        "UPDATE rating.credit_notes SET settlement = 'CREDIT'",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation, match="credit_notes is append-only"):
            await asyncio.to_thread(change, statement)
