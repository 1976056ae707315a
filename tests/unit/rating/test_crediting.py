"""Credit notes: what each way of asking comes to, and what is refused at its exact boundary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from rating_service.domain.agreements.agreement import Money
from rating_service.domain.corrections.crediting import compute_credit_note, left_of
from rating_service.domain.documents.credit_note import (
    Creditable,
    CreditableLine,
    CreditableTax,
    CreditNote,
    LineCredit,
    NoteOrder,
    Settlement,
    note_document,
    note_record,
    read_note,
)
from rating_service.domain.refusals import Reason, Refusal

START = datetime(2026, 2, 1, tzinfo=UTC)
END = datetime(2026, 3, 1, tzinfo=UTC)
CENT = 10_000_000
INVOICE = "invoices/acme-20260201T000000Z"


def creditable(*cents: int, tax_cents: int = 0, applied_cents: int = 0) -> Creditable:
    """Return an invoice with a line for each amount, and a tax of 20 % where one is given."""
    lines = tuple(
        CreditableLine(str(place), "BASE_FEE", f"line {place}", each * CENT, START, END)
        for place, each in enumerate(cents, start=1)
    )
    taxes = (CreditableTax("VAT", "20", "AT", tax_cents * CENT),) if tax_cents else ()
    total_nanos = (sum(cents) + tax_cents - applied_cents) * CENT
    return Creditable(
        INVOICE, "ab" * 32, "contracts/acme", "customers/acme", "USD", total_nanos, lines, taxes
    )


def usd(cents: int) -> Money:
    return Money("USD", cents * CENT)


def order(*lines: LineCredit, net: Money | None = None, whole: bool = False) -> NoteOrder:
    return NoteOrder(INVOICE, Settlement.REFUND, "outage", lines, net, whole)


def issue(invoice: Creditable, wanted: NoteOrder, *earlier: CreditNote) -> CreditNote:
    return compute_credit_note(invoice, earlier, wanted, issue_time=END, watermark_position=7)


def credited(note: CreditNote) -> dict[str, int]:
    return {line.line_id: line.nanos // CENT for line in note.lines}


def refused(invoice: Creditable, wanted: NoteOrder, *earlier: CreditNote) -> Reason:
    with pytest.raises(Refusal) as caught:
        issue(invoice, wanted, *earlier)
    return caught.value.reason


def test_unused_days_are_credited_with_their_tax() -> None:
    note = issue(
        creditable(5000, tax_cents=1000), order(LineCredit("1", unused_from_time=END - timedelta(days=3)))
    )

    assert (note.net, note.tax, note.total) == (usd(536), usd(107), usd(643))


def test_a_whole_line_is_credited_with_what_is_left_of_it() -> None:
    invoice = creditable(700, 300)
    first = issue(invoice, order(LineCredit("1", usd(200))))
    second = issue(invoice, order(LineCredit("1"), LineCredit("2")), first)

    assert credited(first) == {"1": 200}
    assert credited(second) == {"1": 500, "2": 300}


def test_a_net_amount_is_split_by_largest_remainder() -> None:
    note = issue(creditable(100, 100, 100), order(net=usd(100)))

    assert credited(note) == {"1": 34, "2": 33, "3": 33}


def test_lines_below_zero_lower_what_is_left_and_are_not_credited() -> None:
    invoice = creditable(1000, -400)
    note = issue(invoice, order(whole=True))

    assert credited(note) == {"1": 600}
    assert refused(invoice, order(LineCredit("1", usd(601)))) is Reason.CREDIT_NOTE_ABOVE_INVOICE
    assert refused(invoice, order(LineCredit("2"))) is Reason.AMOUNT_NOT_POSITIVE


def test_notes_that_credit_the_whole_net_amount_credit_the_whole_tax() -> None:
    invoice = creditable(100, tax_cents=33)
    notes: list[CreditNote] = []
    for _ in range(100):
        notes.append(issue(invoice, order(net=usd(1)), *notes))

    assert sum(note.tax.nanos for note in notes) == 33 * CENT
    assert left_of(invoice, notes) == 0


def test_what_an_applied_credit_paid_is_not_credited_again() -> None:
    invoice = creditable(1000, tax_cents=200, applied_cents=300)
    note = issue(invoice, order(whole=True))

    assert note.total == usd(900)
    assert refused(invoice, order(whole=True), note) is Reason.CREDIT_NOTE_ABOVE_INVOICE


def test_one_cent_above_what_is_left_is_refused() -> None:
    invoice = creditable(1000)
    earlier = issue(invoice, order(LineCredit("1", usd(400))))

    assert issue(invoice, order(LineCredit("1", usd(600))), earlier).total == usd(600)
    assert refused(invoice, order(LineCredit("1", usd(601))), earlier) is Reason.CREDIT_NOTE_ABOVE_INVOICE
    assert refused(invoice, order(net=usd(601)), earlier) is Reason.CREDIT_NOTE_ABOVE_INVOICE


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (order(net=Money("EUR", CENT)), Reason.CURRENCY_MISMATCH),
        (order(LineCredit("1", Money("", CENT))), Reason.CURRENCY_MISMATCH),
        (order(net=usd(0)), Reason.AMOUNT_NOT_POSITIVE),
        (order(LineCredit("1", usd(-1))), Reason.AMOUNT_NOT_POSITIVE),
        (order(LineCredit("1", unused_from_time=END)), Reason.AMOUNT_NOT_POSITIVE),
        (order(net=Money("USD", CENT + 1)), Reason.AMOUNT_NOT_PAYABLE),
        (order(LineCredit("1", Money("USD", CENT - 1))), Reason.AMOUNT_NOT_PAYABLE),
    ],
)
def test_what_cannot_be_credited_is_refused_by_name(wanted: NoteOrder, reason: Reason) -> None:
    assert refused(creditable(1000), wanted) is reason


def test_a_line_without_a_span_has_no_unused_part() -> None:
    invoice = creditable(1000)
    [line] = invoice.lines
    line = CreditableLine(line.line_id, line.kind, line.description, line.nanos)
    spanless = msgspec.structs.replace(invoice, lines=(line,))

    assert refused(spanless, order(LineCredit("1", unused_from_time=START))) is Reason.LINE_WITHOUT_SPAN


def test_a_note_that_settles_counts_against_the_total_and_no_line() -> None:
    invoice = creditable(1000, tax_cents=200)
    settling = NoteOrder(
        INVOICE, Settlement.CREDIT, "due", settles="invoices/acme-20260301T000000Z", total=usd(1100)
    )
    note = issue(invoice, settling)

    assert (note.net, note.tax, [line.kind for line in note.lines]) == (usd(1100), usd(0), ["CREDIT_DUE"])
    assert issue(invoice, order(whole=True), note).total.nanos <= 100 * CENT
    assert refused(invoice, settling, note) is Reason.CREDIT_NOTE_ABOVE_INVOICE


def test_a_record_adds_up_to_the_notes_total() -> None:
    note = issue(creditable(1000, 500, tax_cents=300), order(net=usd(301)))
    record = note_record(note, "cd" * 32)

    assert sum(amount.nanos for amount in record.amounts) + record.tax_nanos == record.total_nanos
    assert (record.credit_note, record.invoice) == (note.name, INVOICE)


def test_a_document_is_read_back_as_the_note_that_it_was() -> None:
    note = issue(creditable(1000, 500, tax_cents=300), order(LineCredit("2", usd(100))))

    assert read_note(note_document(note)) == note
