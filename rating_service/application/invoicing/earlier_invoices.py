"""Which earlier invoices of a contract one rests on, and of which cycles something was learned since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rating_service.application.invoicing.invoice_basis import Basis, InvoiceOrder, contract_of
from rating_service.application.invoicing.invoice_ports import BillingFacts, News
from rating_service.application.ports import Span
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.agreements.stretches import stretches
from rating_service.domain.corrections.open_credits import NOTE_TOPIC, decode_note
from rating_service.domain.documents.invoice_document import CLOSING_KINDS, InvoiceKind
from rating_service.domain.invoicing.commitments import periods_in
from rating_service.domain.invoicing.cycle_statement import CycleFacts
from rating_service.domain.invoicing.invoice_parts import Earlier


def earlier_invoices(facts: BillingFacts, basis: Basis, news: News, order: InvoiceOrder) -> Earlier:
    """Return the earlier invoices that matter; the facts of touched cycles are read while they are consumed."""
    thresholds = [
        head.name
        for head in basis.heads
        if head.kind is InvoiceKind.THRESHOLD and head.cycle.start_time == basis.cycle.start_time
    ]
    closes = order.kind is InvoiceKind.CYCLE
    touched = _touched(facts, basis, news) if closes else []
    following = basis.cycle.end_time
    ahead = _ahead(basis, [*touched, basis.cycle]) if closes else []
    return Earlier(
        closing=facts.documents(_needed(basis, touched)),
        thresholds=facts.documents(thresholds if order.kind is not InvoiceKind.ADVANCE else []),
        touched=_facts_of(facts, basis.contract, touched, news.watermark_position),
        ahead=facts.documents(ahead),
        notes=facts.notes(_notes_on(basis, ahead)),
        next_is_billed=any(
            head.cycle.start_time == following and head.kind is not InvoiceKind.THRESHOLD
            for head in basis.heads
        ),
        last_end_time=max((head.cycle.end_time for head in basis.closing), default=None),
    )


def _ahead(basis: Basis, cycles: Sequence[CycleBounds]) -> list[str]:
    """Return the invoices that may have billed cycles in advance: those of the cycles before, and of the first."""
    starts = {cycle.start_time for cycle in cycles}
    return [
        head.name
        for head in basis.heads
        if (head.kind in CLOSING_KINDS and head.cycle.end_time in starts)
        or (head.kind is InvoiceKind.ADVANCE and head.cycle.start_time in starts)
    ]


def _notes_on(basis: Basis, invoices: Sequence[str]) -> list[str]:
    """Return the credit notes on some invoices that were recorded by the watermark."""
    notes = (decode_note(event.state) for event in basis.events if event.topic == NOTE_TOPIC)
    return [note.credit_note for note in notes if note.invoice in invoices]


def _facts_of(
    facts: BillingFacts, contract: Contract, cycles: Sequence[CycleBounds], watermark_position: int
) -> Iterator[CycleFacts]:
    for cycle in cycles:
        yield facts.cycle(
            Span(contract.name, contract.wallet, cycle.start_time, cycle.end_time, watermark_position)
        )


def _touched(facts: BillingFacts, basis: Basis, news: News) -> list[CycleBounds]:
    """Return the closed cycles of which something was learned: debits, reversals, or terms that have changed."""
    cycles = [head.cycle for head in basis.closing]
    learned = {cycle.start_time for cycle in facts.touched(news, cycles)}
    before = contract_of(
        basis.contract.name, [event for event in basis.events if event.position <= news.after_position]
    )
    return [
        cycle
        for cycle in cycles
        if cycle.start_time in learned
        or (before is not None and stretches(before, cycle) != stretches(basis.contract, cycle))
    ]


def _needed(basis: Basis, touched: Sequence[CycleBounds]) -> list[str]:
    """Return the closing invoices that say what was billed of touched cycles, and of the commitments' periods."""
    starts = {cycle.start_time for cycle in touched}
    since = [head.sequence for head in basis.closing if head.cycle.start_time in starts]
    for cycle in (*touched, basis.cycle):
        for period in periods_in(basis.contract, cycle):
            since += _last_of_period(basis, CycleBounds(period.from_time, period.to_time))
    first = min(since, default=None)
    if first is None:
        return []
    return [head.name for head in basis.closing if head.sequence >= first]


def _last_of_period(basis: Basis, period: CycleBounds) -> list[int]:
    """Return the sequence of the last closing invoice whose cycle shares time with a period, none if there is none."""
    inside = [
        head.sequence
        for head in basis.closing
        if head.cycle.start_time < period.end_time and head.cycle.end_time > period.start_time
    ]
    return inside[-1:]
