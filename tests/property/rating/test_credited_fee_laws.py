"""Laws of fees billed ahead that credit notes and later invoices both give back, in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import Contract, ContractPhase, FeeTiming, Money, PlanPhase
from rating_service.domain.agreements.cycles import CycleBounds, boundary
from rating_service.domain.agreements.stretches import stretches
from rating_service.domain.corrections.creditable import creditable
from rating_service.domain.corrections.crediting import compute_credit_note
from rating_service.domain.documents.credit_note import (
    Creditable,
    CreditNote,
    LineCredit,
    NoteOrder,
    Settlement,
)
from rating_service.domain.documents.invoice_document import CLOSING_KINDS, InvoiceKind
from rating_service.domain.documents.invoice_lines import SETTLING_KINDS, InvoiceLine, LineKind
from rating_service.domain.invoicing.cycle_statement import CycleFacts
from rating_service.domain.invoicing.invoice import Invoice, compute_invoice
from rating_service.domain.invoicing.invoice_parts import Earlier
from rating_service.domain.refusals import Reason, Refusal
from tests.unit.rating.builders import MONTHLY, contract, plan_phase

CENT = 10**7
CYCLES = tuple(CycleBounds(boundary(MONTHLY, n), boundary(MONTHLY, n + 1)) for n in range(3))
BEGIN = CYCLES[0].start_time
SPAN_SECONDS = int((CYCLES[-1].end_time - BEGIN).total_seconds())
FEES = (LineKind.BASE_FEE, LineKind.SEATS)


class Step(NamedTuple):
    """A cycle that is closed as a contract is agreed by then, or an order of a note on a line billed ahead."""

    closes: Contract | None = None
    line: int = 0
    cents: int | None = None
    unused_share: int | None = None


class Fee(NamedTuple):
    """A line that billed ahead, and what came back of it: cents by notes, by returns, and by what counts of notes."""

    line: InvoiceLine
    noted: int
    returned: int
    counted: int

    @property
    def back(self) -> int:
        return self.noted + self.returned - self.counted


class Life(NamedTuple):
    invoices: list[Invoice]
    notes: list[CreditNote]
    plain: list[Invoice]
    """Each invoice as it would be if the notes were none."""


@st.composite
def agreements(draw: st.DrawFn, number: int) -> Contract:
    """Return a contract whose first phase is billed ahead; what follows it is this agreement's own."""
    cuts = sorted(draw(st.sets(st.integers(1, SPAN_SECONDS - 1), max_size=3)))
    starts = [BEGIN, *(BEGIN + timedelta(seconds=cut) for cut in cuts)]
    ends = [*starts[1:], None]
    if len(starts) > 1 and draw(st.booleans()):
        starts, ends = starts[:-1], ends[:-1]
    phases = [
        ContractPhase(start, draw(terms(f"of{number if place else 0}at{place}")), end)
        for place, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    return contract(*phases, start=BEGIN)


@st.composite
def terms(draw: st.DrawFn, key: str) -> PlanPhase:
    dollars = 20 if key == "of0at0" else draw(st.integers(0, 50))
    return msgspec.structs.replace(
        plan_phase(key),
        base_fee=Money("USD", dollars * 10**9),
        seat_fee=Money("USD", 7 * 10**9),
        seats=draw(st.integers(0, 3)) if key != "of0at0" else 2,
        fee_timing=FeeTiming.ADVANCE,
    )


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    found: list[Step] = []
    for number, what in enumerate([*draw(st.lists(st.sampled_from("naux"), max_size=5)), "c"], start=1):
        line = draw(st.integers(0, 5))
        if what == "n":
            found.append(Step(line=line))
        elif what == "a":
            found.append(Step(line=line, cents=draw(st.integers(1, 2500))))
        elif what == "u":
            found.append(Step(line=line, unused_share=draw(st.integers(0, 99))))
        else:
            found.append(Step(closes=draw(agreements(number))))
    return found


first_notes = st.builds(Step, st.none(), st.integers(0, 1), st.integers(1, 2500), st.none())


def close(issued: Sequence[Invoice], notes: Sequence[CreditNote], was: Contract, agreed: Contract) -> Invoice:
    """Return the invoice that closes the next cycle, or bills the first one ahead, with what has changed before."""
    closing = [each for each in issued if each.kind in CLOSING_KINDS]
    touched = [each.cycle for each in closing if stretches(was, each.cycle) != stretches(agreed, each.cycle)]
    return compute_invoice(
        contract=agreed,
        cycle=CYCLES[len(closing)],
        debits=(),
        grants=(),
        watermark_position=len(issued) + len(notes),
        earlier=Earlier(
            closing=closing,
            touched=[CycleFacts(cycle, ()) for cycle in touched],
            ahead=issued,
            notes=notes,
        ),
        kind=InvoiceKind.CYCLE if issued else InvoiceKind.ADVANCE,
        name=f"invoices/acme-{len(issued)}",
        issue_time=datetime(2027, 1, 1, tzinfo=UTC),
        sequence=len(issued) + 1,
    )


def live(asked: Sequence[Step]) -> Life:
    """Play steps; notes that are refused are left out."""
    was = contract(ContractPhase(BEGIN, terms_of_first()), start=BEGIN)
    life = Life([], [], [])
    life.invoices.append(close([], [], was, was))
    for step in asked:
        if step.closes is not None:
            if len(life.invoices) > len(CYCLES):
                continue
            life.plain.append(close(life.invoices, (), was, step.closes))
            life.invoices.append(close(life.invoices, life.notes, was, step.closes))
            was = step.closes
            continue
        ahead = [(each, line) for each in life.invoices for line in each.lines if line.advance is not None]
        invoice, line = ahead[step.line % len(ahead)]
        try:
            life.notes.append(note_on(life, invoice, wanted(line, step)))
        except Refusal:
            continue
    return life


def terms_of_first() -> PlanPhase:
    return msgspec.structs.replace(
        plan_phase("of0at0"),
        base_fee=Money("USD", 20 * 10**9),
        seat_fee=Money("USD", 7 * 10**9),
        seats=2,
        fee_timing=FeeTiming.ADVANCE,
    )


def wanted(line: InvoiceLine, step: Step) -> LineCredit:
    if step.cents is not None:
        return LineCredit(line.line_id, Money("USD", step.cents * CENT))
    if step.unused_share is None or line.from_time is None or line.to_time is None:
        return LineCredit(line.line_id)
    whole = line.to_time - line.from_time
    return LineCredit(line.line_id, unused_from_time=line.from_time + whole * step.unused_share / 100)


def as_credited(life: Life, invoice: Invoice) -> Creditable:
    later = [
        each for each in life.invoices if each.sequence > invoice.sequence and each.kind in CLOSING_KINDS
    ]
    return creditable(invoice, "", later)


def note_on(life: Life, invoice: Invoice, line: LineCredit) -> CreditNote:
    earlier = [each for each in life.notes if each.order.invoice == invoice.name]
    return compute_credit_note(
        as_credited(life, invoice),
        earlier,
        NoteOrder(invoice.name, Settlement.REFUND, "r", lines=(line,)),
        issue_time=BEGIN,
        watermark_position=len(life.invoices) + len(life.notes),
    )


def fees(life: Life) -> Iterator[Fee]:
    """Yield what became of each fee billed ahead; a phase has one fee of a kind in a cycle."""
    for invoice in life.invoices:
        for line in invoice.lines:
            if line.advance is None or line.amount.nanos <= 0:
                continue
            about = [
                each
                for later in life.invoices
                for each in later.lines
                if each.advance is None
                and (each.adjusted.cycle if each.adjusted else later.cycle) == line.advance
                and each.key.contract_phase == line.key.contract_phase
                and kind_of(each) is kind_of(line)
            ]
            counted = [each for each in about if each.key.kind is LineKind.CREDITED_BEFORE]
            noted = sum(
                each.nanos
                for note in life.notes
                if note.order.invoice == invoice.name
                for each in note.lines
                if each.line_id == line.line_id
            )
            whole, less = (sum(each.amount.nanos for each in some) for some in (about, counted))
            yield Fee(line, noted // CENT, max(less - whole, 0) // CENT, less // CENT)


def kind_of(line: InvoiceLine) -> LineKind | None:
    key = line.key
    if key.prorated_kind is not None:
        return key.prorated_kind
    return key.kind if key.kind in FEES else key.adjusted_kind


@given(steps())
@settings(max_examples=60)
def test_no_more_of_a_fee_comes_back_than_was_billed_of_it(asked: list[Step]) -> None:
    for fee in fees(live(asked)):
        # A cycle's lines are rounded together, so a return alone may be cents off.
        assert fee.back <= max(fee.line.amount.nanos // CENT, fee.returned)
        assert 0 <= fee.counted <= min(fee.noted, fee.returned)


@given(steps(), st.lists(first_notes, max_size=3))
@settings(max_examples=60)
def test_of_notes_and_a_return_after_them_the_larger_one_comes_back(
    asked: list[Step], first: list[Step]
) -> None:
    life = live([*first, *(step for step in asked if step.closes is not None)])

    for fee in fees(life):
        assert fee.back == max(fee.noted, fee.returned)


@given(steps())
@settings(max_examples=40)
def test_a_note_finds_left_what_is_neither_returned_nor_credited(asked: list[Step]) -> None:
    life = live(asked)
    for invoice in life.invoices:
        for fee in fees(life):
            if fee.line not in invoice.lines:
                continue
            left = max(fee.line.amount.nanos // CENT - fee.back, 0)
            refusal = refused(life, invoice, fee.line, left + 1)
            assert refusal is not None
            assert refusal.reason is Reason.CREDIT_NOTE_ABOVE_INVOICE
            # What is left of a line may still be more than its invoice comes to.
            refusal = refused(life, invoice, fee.line, left) if left else None
            assert refusal is None or "line_id" not in refusal.metadata


def refused(life: Life, invoice: Invoice, line: InvoiceLine, cents: int) -> Refusal | None:
    try:
        note_on(life, invoice, LineCredit(line.line_id, Money("USD", cents * CENT)))
    except Refusal as refusal:
        return refusal
    return None


@given(steps())
@settings(max_examples=60)
def test_notes_change_no_other_line_of_an_invoice(asked: list[Step]) -> None:
    life = live(asked)
    for plain, invoice in zip(life.plain, life.invoices[1:], strict=True):
        assert list(map(line_of, stated(plain))) == [
            line_of(each) for each in stated(invoice) if each.key.kind is not LineKind.CREDITED_BEFORE
        ]


def stated(invoice: Invoice) -> list[InvoiceLine]:
    return [line for line in invoice.lines if line.key.kind not in SETTLING_KINDS]


def line_of(line: InvoiceLine) -> tuple[object, ...]:
    return (line.key, line.amount, line.from_time, line.to_time, line.adjusted)
