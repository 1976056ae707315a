"""Laws of credit notes, whatever the invoice and whatever is asked for, in any order."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

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
)
from rating_service.domain.refusals import Refusal
from rating_service.domain.rounding import round_half_up

CENT = 10_000_000
START, END = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
INVOICE = "invoices/acme"

cents = st.integers(0, 50_000)


@st.composite
def invoices(draw: st.DrawFn) -> Creditable:
    """Draw an invoice with lines above and below zero, taxes, and credit that it applied."""
    amounts = draw(st.lists(st.integers(-5_000, 50_000).filter(bool), min_size=1, max_size=5))
    net = sum(amounts)
    rates = draw(st.lists(st.sampled_from([5, 7, 20]), max_size=2, unique=True))
    taxes = tuple(
        CreditableTax(f"T{rate}", str(rate), "", round_half_up(Fraction(net * CENT * rate, 100), step=CENT))
        for rate in rates
    )
    gross = net * CENT + sum(tax.nanos for tax in taxes)
    applied = draw(st.integers(0, max(gross, 0) // CENT)) * CENT
    lines = tuple(
        CreditableLine(str(place), "BASE_FEE", "", amount * CENT, START, END)
        for place, amount in enumerate(amounts)
    )
    return Creditable(INVOICE, "", "contracts/a", "customers/a", "USD", max(gross - applied, 0), lines, taxes)


def money(amount: int) -> Money:
    return Money("USD", amount * CENT)


parts = st.builds(LineCredit, st.just("0"), st.none() | cents.map(money))
orders = st.one_of(
    st.builds(lambda line: NoteOrder(INVOICE, Settlement.REFUND, "r", lines=(line,)), parts),
    st.builds(lambda net: NoteOrder(INVOICE, Settlement.CREDIT, "r", net_amount=money(net)), cents),
    st.just(NoteOrder(INVOICE, Settlement.OFFSET, "r", whole=True)),
    st.builds(
        lambda due: NoteOrder(INVOICE, Settlement.CREDIT, "r", settles="invoices/b", total=money(due)), cents
    ),
)


def issued(invoice: Creditable, asked: list[NoteOrder]) -> list[CreditNote]:
    """Return the notes of the orders that were not refused, in order."""
    notes: list[CreditNote] = []
    for order in asked:
        try:
            notes.append(compute_credit_note(invoice, notes, order, issue_time=END, watermark_position=1))
        except Refusal:
            continue
    return notes


@settings(max_examples=60)
@given(invoices(), st.lists(orders, max_size=8))
def test_notes_never_exceed_their_invoice_in_total_nor_by_line_nor_by_tax(
    invoice: Creditable, asked: list[NoteOrder]
) -> None:
    notes = issued(invoice, asked)
    on_lines = [note for note in notes if not note.order.settles]

    assert left_of(invoice, notes) >= 0
    assert sum(note.net.nanos for note in on_lines) <= max(invoice.net_nanos, 0)
    for line in invoice.lines:
        credited = sum(each.nanos for note in on_lines for each in note.lines if each.line_id == line.line_id)
        assert credited <= max(line.nanos, 0)
    for place, tax in enumerate(invoice.taxes):
        assert sum(note.taxes[place].nanos for note in on_lines) <= max(tax.nanos, 0)


@settings(max_examples=60)
@given(invoices(), st.lists(orders, max_size=8))
def test_each_note_adds_up_and_is_computed_again_from_its_own_order(
    invoice: Creditable, asked: list[NoteOrder]
) -> None:
    notes = issued(invoice, asked)
    for place, note in enumerate(notes):
        assert note.total.nanos == note.net.nanos + note.tax.nanos > 0
        assert note.net.nanos == sum(line.nanos for line in note.lines)
        assert all(line.nanos > 0 and line.nanos % CENT == 0 for line in note.lines)
        assert note == compute_credit_note(
            invoice, notes[:place], note.order, issue_time=END, watermark_position=1
        )


@settings(max_examples=60)
@given(invoices(), st.lists(orders, max_size=4))
def test_the_whole_rest_leaves_less_than_a_cent_and_its_tax(
    invoice: Creditable, asked: list[NoteOrder]
) -> None:
    whole = NoteOrder(INVOICE, Settlement.REFUND, "r", whole=True)
    notes = issued(invoice, [*asked, whole])
    on_lines = [note for note in notes if not note.order.settles]
    rest_nanos = invoice.net_nanos - sum(note.net.nanos for note in on_lines)

    # Either the lines are used up, or what is left of the total does not pay for one cent more and its tax.
    assert rest_nanos <= 0 or left_of(invoice, notes) <= 2 * CENT + len(invoice.taxes) * CENT
